import Annotation
import Foundation
import Testing

@testable import Inference

/// What is read of an adapter's folder, and what is refused by name.
@Suite struct AdapterFolderTests {
    private static let original = GoldenAdapter(set: "tiny", name: "ranks")

    /// A copy of an adapter whose files a test changes.
    private struct Copy {
        let url = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID())")

        static func with<Value>(_ name: String = "ranks", _ body: (Copy) throws -> Value) throws -> Value {
            let copy = Copy()
            try FileManager.default.copyItem(at: GoldenAdapter(set: "tiny", name: name).url, to: copy.url)
            defer { try? FileManager.default.removeItem(at: copy.url) }
            return try body(copy)
        }

        func file(_ name: String) -> URL { url.appending(path: name) }

        func set(_ key: String, _ value: Any) throws {
            let file = file("adapter_config.json")
            var object = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any] ?? [:]
            object[key] = value
            try JSONSerialization.data(withJSONObject: object).write(to: file)
        }

        func weights(_ change: (inout [String: (values: [Float], shape: [Int])]) -> Void) throws {
            let file = file("adapter_model.safetensors")
            let source = try SafeTensorsFile(file)
            var tensors: [String: (values: [Float], shape: [Int])] = [:]
            for (name, entry) in source.entries { tensors[name] = (source.floats(name)!, entry.shape) }
            change(&tensors)
            let sorted = tensors.sorted { $0.key < $1.key }
            var writer = try SafeTensorsWriter(sorted.map { ($0.key, $0.value.shape) }, to: file)
            for tensor in sorted { try writer.append(tensor.value.values) }
            try writer.finish()
        }

        func refusal() throws -> InferenceError? {
            let model = try original.golden().model()
            do {
                _ = try model.adapter(contentsOf: url)
                return nil
            } catch {
                return error
            }
        }
    }

    struct Refused: CustomTestStringConvertible, @unchecked Sendable {
        let key: String
        let value: Any
        let words: [String]
        var testDescription: String { "\(key): \(value)" }
    }

    static let refused = [
        Refused(key: "peft_type", value: "LOHA", words: ["peft_type is LOHA", "expected LORA"]),
        Refused(key: "peft_type", value: "IA3", words: ["peft_type is IA3"]),
        Refused(key: "peft_type", value: "PROMPT_TUNING", words: ["peft_type is PROMPT_TUNING"]),
        Refused(key: "use_dora", value: true, words: ["use_dora", "merge_and_unload"]),
        Refused(key: "bias", value: "all", words: ["bias is all"]),
        Refused(key: "lora_bias", value: true, words: ["lora_bias is set"]),
        Refused(key: "init_lora_weights", value: "pissa", words: ["init_lora_weights is pissa"]),
        Refused(key: "init_lora_weights", value: "loftq", words: ["init_lora_weights is loftq"]),
        Refused(key: "loftq_config", value: ["loftq_bits": 4], words: ["loftq_config", "quantised"]),
        Refused(key: "use_qalora", value: true, words: ["use_qalora", "quantised"]),
        Refused(key: "layer_replication", value: [[0, 2], [1, 2]], words: ["layer_replication is set"]),
        Refused(key: "alora_invocation_tokens", value: [3], words: ["alora_invocation_tokens is set"]),
        Refused(key: "trainable_token_indices", value: [3], words: ["trainable_token_indices is set"]),
        Refused(key: "target_parameters", value: ["x"], words: ["target_parameters is set"]),
        Refused(key: "new_field_of_peft", value: 3, words: ["new_field_of_peft is set"]),
        Refused(key: "r", value: 5, words: ["the rank of", "is 5", "have 4"]),
        Refused(key: "rank_pattern", value: ["layers.0.mlp.down_proj": 6], words: ["down_proj", "is 6", "have 7"]),
        Refused(key: "r", value: "four", words: ["r is \"four\""]),
        Refused(key: "target_modules", value: ["q_proj"], words: ["target_modules", "do not name this module"]),
        Refused(key: "target_modules", value: "(", words: ["no pattern"]),
        Refused(key: "exclude_modules", value: ["k_proj"], words: ["k_proj", "do not name this module"]),
        Refused(
            key: "modules_to_save", value: ["lm_head"], words: ["modules_to_save", "lm_head", "only the projector"]),
    ]

    @Test(arguments: refused) func whatIsNotComputedIsNamed(_ subject: Refused) throws {
        try Copy.with { copy in
            try copy.set(subject.key, subject.value)
            let error = try #require(try copy.refusal())
            for word in subject.words { #expect(error.message.contains(word), "\(error)") }
        }
    }

    @Test func layersThatAreNotToBeTransformed() throws {
        try Copy.with { copy in
            try copy.set(
                "target_modules", ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
            #expect(try copy.refusal() == nil)
            try copy.set("layers_to_transform", [0, 1])
            #expect(try copy.refusal() == nil)
            try copy.set("layers_pattern", "layers")
            #expect(try copy.refusal() == nil)
            try copy.set("layers_to_transform", 0)
            let error = try #require(try copy.refusal())
            #expect(error.message.contains("layers.1.") && error.message.contains("layers_to_transform"))
        }
    }

    /// PEFT takes it as false of linear layers, and what it writes differs in nothing else.
    @Test func fanInFanOutOfLinearLayersIsNothing() throws {
        try Copy.with { copy in
            try copy.set("fan_in_fan_out", true)
            try copy.set("init_lora_weights", "gaussian")
            #expect(try copy.refusal() == nil)
        }
    }

    struct Names: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let text: String
        let vision: String
        let projector: String
    }

    /// As PEFT writes them for models of the four layouts: published, 4.52, saved by 5.x, in memory.
    static let layouts = [
        Names(
            testDescription: "published", text: "language_model.model.", vision: "vision_tower.vision_model.",
            projector: "multi_modal_projector."),
        Names(
            testDescription: "4.52", text: "language_model.", vision: "vision_tower.vision_model.",
            projector: "multi_modal_projector."),
        Names(
            testDescription: "5.x", text: "model.language_model.", vision: "model.vision_tower.vision_model.",
            projector: "model.multi_modal_projector."),
        Names(
            testDescription: "in memory", text: "model.language_model.model.", vision: "model.vision_tower.",
            projector: "model.multi_modal_projector."),
    ]

    @Test(arguments: layouts) func namesOfEveryLayout(_ names: Names) throws {
        let subject = GoldenAdapter(set: "tiny", name: "vision")
        let golden = try subject.golden()
        try Copy.with("vision") { copy in
            try copy.weights { tensors in
                var renamed: [String: (values: [Float], shape: [Int])] = [:]
                for (name, tensor) in tensors {
                    let canonical = TensorName.canonical(String(name.dropFirst("base_model.model.".count)))!
                    let new = canonical.replacing(/^language_model\./, with: names.text)
                        .replacing(/^vision_tower\./, with: names.vision)
                        .replacing(/^multi_modal_projector\./, with: names.projector)
                    renamed["base_model.model." + new] = tensor
                }
                tensors = renamed
            }
            let model = try golden.model()
            let adapter = try model.adapter(contentsOf: copy.url)
            let example = try subject.cases()[0]
            #expect(try model.answer(example, golden, adapter).tokens == example.ids)
        }
    }

    struct Damage: CustomTestStringConvertible, Sendable {
        let testDescription: String
        var adapter = "ranks"
        let change: @Sendable (inout [String: (values: [Float], shape: [Int])]) -> Void
        let words: [String]
    }

    private static let module = "base_model.model.model.language_model.layers.0.self_attn.q_proj"

    static let damages = [
        Damage(
            testDescription: "half a pair", change: { $0[module + ".lora_B.weight"] = nil },
            words: ["q_proj", "lora_B.weight is missing"]),
        Damage(
            testDescription: "the other half", change: { $0[module + ".lora_A.weight"] = nil },
            words: ["q_proj", "lora_A.weight is missing"]),
        Damage(
            testDescription: "not a number", change: { $0[module + ".lora_A.weight"]!.values[3] = .nan },
            words: ["q_proj.lora_A", "1 of", "not finite"]),
        Damage(
            testDescription: "another width",
            change: { $0[module + ".lora_A.weight"] = ([Float](repeating: 0, count: 12), [4, 3]) },
            words: ["expected lora_A.weight of shape [rank, 64]", "[4, 3]", "another model"]),
        Damage(
            testDescription: "a layer that is not there",
            change: { tensors in
                for half in ["A", "B"] {
                    let name = module + ".lora_\(half).weight"
                    tensors[name.replacing("layers.0", with: "layers.9")] = tensors[name]
                }
            }, words: ["layers.9.self_attn.q_proj", "no layer of this name"]),
        Damage(
            testDescription: "DoRA's magnitudes",
            change: { $0[module + ".lora_magnitude_vector"] = ([Float](repeating: 1, count: 128), [128]) },
            words: ["lora_magnitude_vector", "DoRA"]),
        Damage(
            testDescription: "an embedding",
            change: { $0["base_model.model.model.language_model.embed_tokens.lora_embedding_A"] = ([1, 2], [1, 2]) },
            words: ["embed_tokens", "adapted embedding"]),
        Damage(
            testDescription: "a bias", change: { $0[module + ".lora_B.bias"] = ([1], [1]) },
            words: ["q_proj.lora_B.bias", "only lora_A.weight and lora_B.weight"]),
        Damage(
            testDescription: "a module saved whole",
            change: { $0["base_model.model.lm_head.weight"] = ([1], [1, 1]) }, words: ["lm_head", "only the projector"]),
        Damage(
            testDescription: "no name of PEFT", change: { $0["q_proj.lora_A.weight"] = ([1], [1, 1]) },
            words: ["expected a name that begins with base_model.model."]),
        Damage(
            testDescription: "half a projector", adapter: "projector",
            change: { tensors in
                tensors["base_model.model.model.multi_modal_projector.linear.bias"] = nil
            }, words: ["multi_modal_projector.linear.bias"]),
    ]

    @Test(arguments: damages) func damageIsNamed(_ damage: Damage) throws {
        try Copy.with(damage.adapter) { copy in
            try copy.weights { tensors in
                let before = tensors.count
                damage.change(&tensors)
                precondition(before > 0)
            }
            let error = try #require(try copy.refusal())
            for word in damage.words { #expect(error.message.contains(word), "\(error)") }
        }
    }

    @Test func missingFiles() throws {
        try Copy.with { copy in
            let weights = copy.file("adapter_model.safetensors")
            try FileManager.default.moveItem(at: weights, to: copy.file("adapter_model.bin"))
            #expect(try copy.refusal()?.message.contains("adapter_model.bin is a pickle") == true)
            try FileManager.default.removeItem(at: copy.file("adapter_model.bin"))
            #expect(try copy.refusal()?.message.contains("adapter_model.safetensors: no such file") == true)
            try FileManager.default.removeItem(at: copy.file("adapter_config.json"))
            #expect(try copy.refusal()?.message.contains("no adapter_config.json") == true)
        }
    }
}
