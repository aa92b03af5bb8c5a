import Foundation
import Testing

@testable import Inference

/// A copy of the tiny model whose files a test changes.
struct ModelCopy {
    let url = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID())")

    static let original = Golden.fixtures.appending(path: "tiny/model")

    /// A copy for the time of `body`.
    static func with<Value>(_ body: (ModelCopy) throws -> Value) throws -> Value {
        let copy = ModelCopy()
        try FileManager.default.copyItem(at: original, to: copy.url)
        defer { try? FileManager.default.removeItem(at: copy.url) }
        return try body(copy)
    }

    func file(_ name: String) -> URL { url.appending(path: name) }

    func remove(_ name: String) throws { try FileManager.default.removeItem(at: file(name)) }

    func write(_ text: String, to name: String) throws { try Data(text.utf8).write(to: file(name)) }

    /// Sets a field of a JSON file: `path` is its keys. Nil takes it away, NSNull writes null.
    func set(_ path: [String], _ value: Any?, in name: String = "config.json") throws {
        func setting(_ json: Any?, _ path: ArraySlice<String>) -> Any? {
            guard let key = path.first else { return value }
            var object = json as? [String: Any] ?? [:]
            object[key] = setting(object[key], path.dropFirst())
            return object
        }
        let data = try? Data(contentsOf: file(name))
        let json = try data.map { try JSONSerialization.jsonObject(with: $0) }
        let changed = try #require(setting(json, path[...]))
        try JSONSerialization.data(withJSONObject: changed).write(to: file(name))
    }

    /// Rewrites the weights: each tensor by name, its f32 values and its shape.
    func weights(metadata: [String: String] = [:], _ change: (inout [String: (values: [Float], shape: [Int])]) -> Void)
        throws
    {
        let source = try SafeTensorsFile(Self.original.appending(path: "model.safetensors"))
        var tensors: [String: (values: [Float], shape: [Int])] = [:]
        for (name, entry) in source.entries { tensors[name] = (source.floats(name)!, entry.shape) }
        change(&tensors)
        let sorted = tensors.sorted { $0.key < $1.key }
        var writer = try SafeTensorsWriter(
            sorted.map { ($0.key, $0.value.shape) }, metadata: metadata, to: file("model.safetensors"))
        for tensor in sorted { try writer.append(tensor.value.values) }
        try writer.finish()
    }

    func load(_ options: LoadOptions = LoadOptions()) throws -> PaliGemma {
        try PaliGemma(contentsOf: url, precision: .f32, options: options, compute: Compute(threadCount: 2))
    }

    /// What loading it throws.
    func refusal(_ options: LoadOptions = LoadOptions()) -> InferenceError? {
        do {
            _ = try load(options)
            return nil
        } catch {
            return error as? InferenceError
        }
    }
}

extension PaliGemma {
    /// The last logits of the first case of the tiny model.
    func lastLogits(_ golden: Golden) throws -> [Float] {
        let example = golden.cases[0]
        return try stages(images: golden.pixels(example.images, self), prompt: example.prompt).logits.last!
    }
}
