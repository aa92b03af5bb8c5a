import Foundation
import TestSupport
import Testing

@testable import Inference

/// Every layout and number format loads; what is wrong is named.
@Suite struct LoadingTests {
    private let tiny = Golden.fixtures.appending(path: "tiny")

    @Test func layoutsAndFormatsAgree() throws {
        let golden = try Golden(tiny)
        let example = golden.cases[0]
        func last(_ name: String) throws -> [Float] {
            let model = try golden.model(name)
            return try model.stages(images: golden.pixels(example.images, model), prompt: example.prompt).logits.last!
        }
        let expected = try #require(golden.lastLogits("bf16/\(example.id)"))
        #expect(relativeError(try last("model_bf16_sharded"), expected) < 2e-5)
        let half = try #require(golden.lastLogits("f16/\(example.id)"))
        #expect(relativeError(try last("model_f16"), half) < 2e-5)
    }

    @Test func digestIsThatOfTheShellCommand() async throws {
        let model = try Golden(tiny).model()
        let output = FileManager.default.temporaryDirectory.appending(path: "digest-\(UUID())")
        defer { try? FileManager.default.removeItem(at: output) }
        let command = "cd \"$0\"; sha256sum config.json model*.safetensors tokenizer.model | sha256sum"
        let shell = try ChildProcess(
            "/bin/sh", ["-c", command, tiny.appending(path: "model").path],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], output: output.path)
        #expect(await shell.wait() == 0)
        #expect(try String(contentsOf: output, encoding: .utf8).hasPrefix(model.fileDigest))
    }

    /// A copy of the model with one file changed, and the words that its error must have.
    struct Damage: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let file: String
        let change: @Sendable (inout Data) -> Void
        let words: [String]
    }

    static let damages = [
        Damage(
            testDescription: "truncated weights", file: "model.safetensors", change: { $0.removeLast(1000) },
            words: ["model.safetensors", "tensor", "truncated"]),
        Damage(
            testDescription: "empty weights", file: "model.safetensors", change: { $0 = Data() },
            words: ["model.safetensors", "0 bytes"]),
        Damage(
            testDescription: "header length beyond the file", file: "model.safetensors",
            change: { $0.replaceSubrange(0..<8, with: [255, 255, 255, 255, 255, 255, 255, 127]) },
            words: ["model.safetensors", "header"]),
        Damage(
            testDescription: "header is no JSON", file: "model.safetensors", change: { $0[8] = 0x58 },
            words: ["model.safetensors", "header is not valid"]),
        Damage(
            testDescription: "renamed tensor", file: "model.safetensors",
            change: { $0.swap("layers.0.mlp.down_proj", "layers.0.mlp.DOWN_proj") },
            words: ["layers.0.mlp.down_proj", "missing"]),
        Damage(
            testDescription: "offsets swapped into nonsense", file: "model.safetensors",
            change: { $0.swap("data_offsets\":[0,", "data_offsets\":[9,") }, words: ["tensor", "needs", "found"]),
        Damage(
            testDescription: "integer weights", file: "model.safetensors", change: { $0.swap("\"F32\"", "\"I32\"") },
            words: ["tensor", "not F32"]),
        Damage(
            testDescription: "config is no JSON", file: "config.json", change: { $0.removeLast(20) },
            words: ["config.json"]),
        Damage(
            testDescription: "another width", file: "config.json",
            change: { $0.swap("\"hidden_size\": 64", "\"hidden_size\": 96", all: true) },
            words: ["expected shape", "found shape"]),
        Damage(
            testDescription: "another model", file: "config.json", change: { $0.swap("\"paligemma\"", "\"llava\"") },
            words: ["model_type is llava", "expected paligemma"]),
        Damage(
            testDescription: "Gemma 2's layers without their norms", file: "config.json",
            change: { $0.swap("\"model_type\": \"gemma\"", "\"model_type\": \"gemma2\"") },
            words: ["layers.0.pre_feedforward_layernorm.weight", "missing"]),
        Damage(
            testDescription: "negative layers", file: "config.json",
            change: { $0.swap("\"num_hidden_layers\": 2", "\"num_hidden_layers\": -3") },
            words: ["num_hidden_layers is -3"]),
        Damage(
            testDescription: "huge vocabulary", file: "config.json",
            change: { $0.swap("\"vocab_size\": 1792", "\"vocab_size\": 99999999", all: true) },
            words: ["vocab_size is 99999999"]),
        Damage(
            testDescription: "tokenizer is noise", file: "tokenizer.model",
            change: { $0 = Data((0..<500).map { UInt8($0 * 7 % 256) }) },
            words: ["tokenizer.model", "not a SentencePiece model"]),
    ]

    @Test(arguments: damages) func damageIsNamed(damage: Damage) throws {
        try withCopy { folder in
            let file = folder.appending(path: damage.file)
            var data = try Data(contentsOf: file)
            let before = data
            damage.change(&data)
            try #require(data != before, "the damage must change the file")
            try data.write(to: file)
            let error = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: folder) }
            for word in damage.words { #expect("\(error!)".contains(word), "\(error!)") }
        }
    }

    @Test(arguments: ["config.json", "tokenizer.model", "model.safetensors"]) func missingFile(name: String) throws {
        try withCopy { folder in
            try FileManager.default.removeItem(at: folder.appending(path: name))
            let error = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: folder) }
            #expect("\(error!)".contains("\(name): no such file"))
        }
    }

    @Test func everyTruncationOfASmallFileIsAnError() throws {
        let data = try Data(contentsOf: tiny.appending(path: "model/model.safetensors"))
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).safetensors")
        defer { try? FileManager.default.removeItem(at: file) }
        for size in stride(from: 0, to: data.count, by: data.count / 50) {
            try data.prefix(size).write(to: file)
            #expect(throws: InferenceError.self) { try SafeTensorsFile(file) }
        }
    }

    /// int8 sums its products in 32 bits, which bounds how many.
    @Test(arguments: [
        ("vision_config", "hidden_size", "vision_config.hidden_size is 44016"),
        ("vision_config", "intermediate_size", "vision_config.intermediate_size is 44016"),
        ("vision_config", "patch_size", "3 x vision_config.patch_size x patch_size is 5812224768"),
        ("text_config", "hidden_size", "text_config.hidden_size is 44016"),
        ("text_config", "intermediate_size", "text_config.intermediate_size is 44016"),
        ("text_config", "head_dim", "text_config.num_attention_heads x head_dim is 176064"),
    ]) func tooWideForInt8IsNamed(part: String, field: String, words: String) throws {
        try withCopy { folder in
            let file = folder.appending(path: "config.json")
            let json = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
            var config = try #require(json)
            var values = try #require(config[part] as? [String: Any])
            values[field] = 44016
            if field == "patch_size" {
                values["image_size"] = 44016
                try FileManager.default.removeItem(at: folder.appending(path: "preprocessor_config.json"))
            }
            config[part] = values
            try JSONSerialization.data(withJSONObject: config).write(to: file)
            let load = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: folder, precision: .int8) }
            #expect(load?.code == .unsupportedModel && load?.message.contains(words) == true, "\(load!)")
            let pack = #expect(throws: InferenceError.self) {
                try PaliGemma.pack(folder: folder, precision: .int8, to: folder.appending(path: "out"))
            }
            #expect(pack?.message.contains(words) == true, "\(pack!)")
            let other = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: folder, precision: .bf16) }
            #expect(other?.message.contains("expected shape") == true, "\(other!)")
        }
    }

    @Test func int8sBoundIsExact() throws {
        var configuration = ModelConfiguration.paliGemma3B(imageSize: 224)
        configuration.text.mlp = 44000
        try configuration.check(.int8, path: "config.json")
        configuration.text.mlp = 44001
        #expect(throws: InferenceError.self) { try configuration.check(.int8, path: "config.json") }
        try configuration.check(.bf16, path: "config.json")
    }

    private func withCopy(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID())")
        try FileManager.default.copyItem(at: tiny.appending(path: "model"), to: folder)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }
}

extension Data {
    /// Replaces text by text; the first occurrence, or all.
    fileprivate mutating func swap(_ old: String, _ new: String, all: Bool = false) {
        while let range = range(of: Data(old.utf8)) {
            replaceSubrange(range, with: Data(new.utf8))
            if !all { return }
        }
    }
}
