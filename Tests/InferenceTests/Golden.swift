import Foundation

@testable import Inference

/// A golden set as reference/make_fixtures.py writes it: a model, and what Hugging Face made of it.
struct Golden {
    struct Case: Decodable {
        struct Greedy: Decodable {
            let ids: [Int]
            let logprobs: [Double]
            let margins: [Double]
            let text: String
        }
        struct Score: Decodable {
            let suffix: String
            let suffix_ids: [Int]
            let logprobs: [Double]
        }
        let id: String
        let images: [String]
        let prompt: String
        let input_ids: [Int]
        let greedy: Greedy
        let score: Score
    }
    struct Texts: Decodable {
        struct Encoded: Decodable {
            let text: String
            let ids: [Int]
            let decoded: String
        }
        struct Decoded: Decodable {
            let ids: [Int]
            let text: String
        }
        let encode: [Encoded]
        let decode: [Decoded]
    }

    let folder: URL
    let cases: [Case]
    let texts: Texts
    private let images: SafeTensorsFile
    private let prefill: SafeTensorsFile

    static let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures")

    init(_ folder: URL) throws {
        self.folder = folder
        let golden = folder.appending(path: "golden")
        let decoder = JSONDecoder()
        cases = try Self.cases(golden.appending(path: "cases.json"))
        texts = try decoder.decode(Texts.self, from: Data(contentsOf: golden.appending(path: "tokenizer.json")))
        images = try SafeTensorsFile(golden.appending(path: "images.safetensors"))
        prefill = try SafeTensorsFile(golden.appending(path: "prefill.safetensors"))
    }

    private static func cases(_ file: URL) throws -> [Case] {
        struct Cases: Decodable { let cases: [Case] }
        return try JSONDecoder().decode(Cases.self, from: Data(contentsOf: file)).cases
    }

    /// Those of another file.
    func cases(_ name: String) throws -> [Case] { try Self.cases(folder.appending(path: "golden/\(name).json")) }

    /// In f32, the reference's arithmetic, unless told otherwise.
    func model(
        _ name: String = "model", precision: Precision = .f32, options: LoadOptions = LoadOptions(),
        compute: Compute = Compute(threadCount: 2)
    ) throws -> PaliGemma {
        try PaliGemma(
            contentsOf: folder.appending(path: name), precision: precision, options: options, compute: compute)
    }

    var imageNames: [String] {
        Set(images.entries.keys.map { $0.split(separator: "/")[0] }).map(String.init).sorted()
    }

    /// Decoded RGB on white: [height, width, 3].
    func rgb(_ image: String) -> (bytes: [UInt8], width: Int, height: Int)? {
        images.raw("\(image)/rgb").map { ($0.bytes, $0.shape[1], $0.shape[0]) }
    }

    func resized(_ image: String) -> [UInt8]? { images.raw("\(image)/resized")?.bytes }
    func pixelValues(_ image: String) -> [Float]? { images.floats("\(image)/pixel_values") }
    func features(_ image: String) -> [Float]? { images.floats("\(image)/features") }
    func logits(_ id: String) -> [Float]? { prefill.floats("\(id)/logits") }
    func lastLogits(_ id: String) -> [Float]? { prefill.floats("\(id)/last_logits") }

    func pixels(_ names: [String], _ model: PaliGemma) -> [PixelValues] {
        names.map { name in
            let image = rgb(name)!
            return model.pixelValues(rgb: image.bytes, width: image.width, height: image.height)
        }
    }
}

extension SafeTensorsFile {
    func floats(_ name: String) -> [Float]? {
        entries[name].map { entry in withBytes(of: entry) { Inference.floats(from: $0, type: entry.type) } }
    }

    /// A u8 tensor: the reader keeps no shape of it, so the header is read again.
    func raw(_ name: String) -> (bytes: [UInt8], shape: [Int])? {
        struct Tensor: Decodable { let shape: [Int] }
        guard let entry = entries[name], let data = try? Data(contentsOf: url) else { return nil }
        let length = Int(data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        let header = try? JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: Any]
        guard let shape = (header?[name] as? [String: Any])?["shape"] as? [Int] else { return nil }
        return (Array(data[entry.range]), shape)
    }
}

/// Largest difference, relative to the larger of 1 and the reference's largest value.
func relativeError(_ found: [Float], _ expected: [Float]) -> Float {
    guard found.count == expected.count else { return .infinity }
    let scale = max(expected.map(abs).max() ?? 1, 1)
    return zip(found, expected).map { abs($0 - $1) }.max()! / scale
}
