import Annotation
import Foundation
import Testing

@testable import Inference

/// Folders as users have them: what is computed is what transformers computes, and the rest is refused by name.
@Suite struct FolderTests {
    private let golden: Golden
    private let expected: [Float]
    private let embedding = "language_model.model.embed_tokens.weight"

    init() throws {
        golden = try Golden(Golden.fixtures.appending(path: "tiny"))
        expected = try golden.model().lastLogits(golden)
    }

    // MARK: The head

    @Test(arguments: ["lm_head.weight", "language_model.lm_head.weight"])
    func anEqualHeadIsTheEmbedding(name: String) throws {
        try ModelCopy.with { copy in
            try copy.weights { $0[name] = $0[embedding] }
            #expect(try copy.load().lastLogits(golden) == expected)
        }
    }

    /// Rows of the embedding in another order: the same logits in that order.
    @Test(arguments: [true, false]) func anotherHeadIsAMatrixOfItsOwn(tied: Bool) throws {
        try ModelCopy.with { copy in
            try copy.set(["tie_word_embeddings"], tied)
            try copy.weights { tensors in
                var (values, shape) = tensors[embedding]!
                values = Array(values[(7 * shape[1])...] + values[..<(7 * shape[1])])
                tensors["lm_head.weight"] = (values, shape)
            }
            let shifted = Array(expected[7...] + expected[..<7])
            #expect(try copy.load().lastLogits(golden) == shifted)
            let packed = copy.file("model.gloss")
            try PaliGemma.pack(folder: copy.url, precision: .f32, to: packed)
            #expect(try PaliGemma(contentsOf: packed, threads: 2).lastLogits(golden) == shifted)
        }
    }

    @Test func aLoneHeadIsTheEmbeddingToo() throws {
        try ModelCopy.with { copy in
            try copy.weights { $0["lm_head.weight"] = $0.removeValue(forKey: embedding) }
            #expect(try copy.load().lastLogits(golden) == expected)
            try copy.set(["tie_word_embeddings"], false)
            #expect(copy.refusal()?.message.contains("tie_word_embeddings is false") == true)
        }
    }

    @Test func aHeadThatIsNotTiedMustBeThere() throws {
        try ModelCopy.with { copy in
            try copy.set(["tie_word_embeddings"], false)
            #expect(copy.refusal()?.message.contains("lm_head.weight is missing") == true)
        }
    }

    // MARK: Files

    /// As in transformers, the single file comes first; the digest is of what is read.
    @Test func aSingleFileComesBeforeAnIndex() throws {
        try ModelCopy.with { copy in
            let digest = try copy.load().fileDigest
            try copy.write(
                #"{"weight_map": {"a": "model-00001-of-00001.safetensors"}}"#, to: "model.safetensors.index.json")
            try copy.write("stale", to: "model-00001-of-00001.safetensors")
            let model = try copy.load()
            #expect(try model.lastLogits(golden) == expected)
            #expect(model.fileDigest == digest)
            #expect(model.warnings.count == 1 && model.warnings[0].contains("model.safetensors.index.json"))
        }
    }

    struct Foreign: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let files: [String: String]
        let words: [String]
        var keeps = ["config.json", "tokenizer.model"]
    }

    private static let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

    static let foreign = [
        Foreign(
            testDescription: "adapter",
            files: [
                "adapter_config.json": #"{"base_model_name_or_path": "google/x"}"#, "adapter_model.safetensors": "",
            ],
            words: ["adapter of PEFT for google/x", "--adapter"], keeps: []),
        Foreign(
            testDescription: "pickle", files: ["pytorch_model.bin": "PK"],
            words: ["pytorch_model.bin", "save_pretrained"]),
        Foreign(
            testDescription: "big_vision", files: ["pt_224.f16.npz": "PK"], words: ["pt_224.f16.npz", "big_vision"],
            keeps: []),
        Foreign(testDescription: "MLX", files: ["weights.npz": "PK"], words: ["weights.npz", "MLX"]),
        Foreign(testDescription: "GGUF", files: ["model-q4.gguf": "GGUF"], words: ["GGUF", "llama.cpp"]),
        Foreign(testDescription: "Flax", files: ["flax_model.msgpack": ""], words: ["flax_model.msgpack", "Flax"]),
        Foreign(
            testDescription: "another name", files: ["model.fp16.safetensors": ""],
            words: ["model.fp16.safetensors", "rename"]),
        Foreign(testDescription: "pointer", files: ["model.safetensors": pointer], words: ["git lfs pull"]),
        Foreign(
            testDescription: "pointer of the tokenizer", files: ["tokenizer.model": pointer],
            words: ["tokenizer.model", "git lfs pull"], keeps: ["config.json", "model.safetensors"]),
    ]

    @Test(arguments: foreign) func foreignFormsAreNamed(foreign: Foreign) throws {
        try ModelCopy.with { copy in
            for name in try FileManager.default.contentsOfDirectory(atPath: copy.url.path)
            where !foreign.keeps.contains(name) { try copy.remove(name) }
            for (name, text) in foreign.files { try copy.write(text, to: name) }
            let error = try #require(copy.refusal())
            for word in foreign.words { #expect(error.message.contains(word), "\(error)") }
        }
    }

    @Test(arguments: [
        ("model-q4.gguf", "GGUF....", "llama.cpp"), ("pt_224.npz", "PK..", "big_vision"),
        ("pytorch_model.bin", "PK..", "save_pretrained"), ("model.gloss", "noise", "glossctl pack"),
        ("model.safetensors", "........", "folder"), ("model.gloss", pointer, "git lfs pull"),
    ]) func foreignFilesAreNamed(name: String, text: String, words: String) throws {
        try ModelCopy.with { copy in
            try copy.write(text + String(repeating: " ", count: 64), to: name)
            let error = #expect(throws: InferenceError.self) { try PaliGemma(contentsOf: copy.file(name)) }
            #expect(error?.message.contains(words) == true, "\(error!)")
        }
    }

    @Test(arguments: ["module.", "_orig_mod.", "base_model.model.", "wrapped."]) func wrappersAreNamed(prefix: String)
        throws
    {
        try ModelCopy.with { copy in
            try copy.weights { $0 = Dictionary(uniqueKeysWithValues: $0.map { (prefix + $0, $1) }) }
            #expect(copy.refusal()?.message.contains("begin with \(prefix)") == true)
        }
    }

    @Test func weightsByMLXAreNamed() throws {
        try ModelCopy.with { copy in
            try copy.weights(metadata: ["format": "mlx"]) { _ in }
            #expect(copy.refusal()?.message.contains("written by MLX") == true)
        }
    }

    // MARK: The tokenizer

    @Test func tokenizerJSONAlone() throws {
        try ModelCopy.with { copy in
            try copy.remove("tokenizer.model")
            #expect(copy.refusal()?.message.contains("tokenizer.model: no such file, nor tokenizer.json") == true)
            try FileManager.default.copyItem(at: Self.tinyJSON, to: copy.file("tokenizer.json"))
            let model = try copy.load()
            #expect(try model.lastLogits(golden) == expected)
            let other = try golden.model()
            #expect(
                model.tokenizer.hasPieces(of: other.tokenizer)
                    && model.vocabulary.locations == other.vocabulary.locations)
            for example in golden.texts.encode where !example.text.contains("\0") {
                #expect(try model.tokenizer.encode(example.text) == example.ids, "\(example.text.debugDescription)")
                #expect(model.tokenizer.decode(example.ids) == example.decoded)
            }
            let packed = copy.file("model.gloss")
            try PaliGemma.pack(folder: copy.url, precision: .f32, to: packed)
            let loaded = try PaliGemma(contentsOf: packed, threads: 2)
            #expect(try loaded.digest == model.digest && loaded.lastLogits(golden) == expected)
        }
    }

    private static let tinyJSON = Golden.fixtures.appending(path: "tokenizer/tiny.json")

    /// Where both say the same, nothing changes; where a fine-tune added a token, its tokenizer.json is read.
    @Test func tokenizerJSONBesideTheOther() throws {
        try ModelCopy.with { copy in
            let digest = try copy.load().fileDigest
            var text = try String(contentsOf: Self.tinyJSON, encoding: .utf8)
            try copy.write(text, to: "tokenizer.json")
            #expect(try copy.load().fileDigest == digest)
            text = text.replacing(
                #""id":1728,"content":"<image>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}"#,
                with: #""id":1728,"content":"<image>","special":true},{"id":1729,"content":"<mine>","special":false}"#)
            try copy.write(text, to: "tokenizer.json")
            let model = try copy.load()
            #expect(try model.tokenizer.encode("<mine>") == [1729] && model.fileDigest != digest)
            #expect(model.tokenizer.decode([1728, 1729]) == "<mine>")
        }
    }

    /// A lone tokenizer.model beside files that list other tokens: transformers would read them, and so does Gloss where
    /// tokenizer.json has them.
    @Test func listedTokensMustBeInTheTokenizer() throws {
        let image = #""1728": {"content": "<image>", "special": true}"#
        let good = [
            ("added_tokens.json", #"{"<image>": 1728, "<loc0000>": 576, "<bos>": 2}"#),
            ("tokenizer_config.json", "{}"),
            (
                "tokenizer_config.json",
                #"{"added_tokens_decoder": {\#(image), "1": {"content": "<eos>"}}, "extra_special_tokens": ["<image>"], "#
                    + #""additional_special_tokens": [{"content": "<image>"}], "bos_token": "<bos>"}"#
            ),
        ]
        let bad = [
            ("added_tokens.json", #"{"<image>": 1728, "<mine>": 1729}"#, "the token <mine> is not in tokenizer.model"),
            ("added_tokens.json", #"{"<bos>": 9}"#, "the token <bos> has the id 9, and 2 in tokenizer.model"),
            ("added_tokens.json", "[]", "added_tokens.json: not valid"),
            (
                "tokenizer_config.json", #"{"added_tokens_decoder": {\#(image), "1729": {"content": "<mine>"}}}"#,
                "tokenizer_config.json: the token <mine> is not in tokenizer.model"
            ),
            (
                "tokenizer_config.json", #"{"additional_special_tokens": ["<image>", "<sep>"]}"#,
                "the token <sep> is not in tokenizer.model"
            ),
            (
                "tokenizer_config.json", #"{"extra_special_tokens": {"own_token": "<own>"}}"#,
                "the token <own> is not in tokenizer.model"
            ),
        ]
        try ModelCopy.with { copy in
            for (name, text) in good {
                try copy.write(text, to: name)
                #expect(copy.refusal() == nil, "\(text)")
                try copy.remove(name)
            }
            for (name, text, reason) in bad {
                try copy.write(text, to: name)
                let refusal = copy.refusal()
                #expect(refusal?.message.contains(reason) == true, "\(text): \(refusal?.message ?? "")")
                #expect(throws: InferenceError.self) {
                    try PaliGemma.pack(folder: copy.url, precision: .f32, to: copy.file("model.gloss"))
                }
                try copy.remove(name)
            }
            // With a tokenizer.json, that is what says.
            try copy.write(bad[0].1, to: bad[0].0)
            try FileManager.default.copyItem(at: Self.tinyJSON, to: copy.file("tokenizer.json"))
            #expect(copy.refusal() == nil)
        }
    }

    @Test func aTokenizerOfAnotherModelIsWarnedOf() throws {
        try ModelCopy.with { copy in
            #expect(try copy.load().warnings == [])
            try copy.set(["image_token_index"], 1790)
            let warnings = try copy.load().warnings
            #expect(warnings.count == 1 && warnings[0].contains("has 1728 pieces, the model knows 1790"), "\(warnings)")
        }
        try ModelCopy.with { copy in
            try copy.remove("tokenizer.model")
            let text = try String(contentsOf: Self.tinyJSON, encoding: .utf8).replacing("<loc", with: "<pos")
            try copy.write(text, to: "tokenizer.json")
            let model = try copy.load()
            #expect(model.vocabulary.locations.isEmpty)
            #expect(model.warnings.count == 1 && model.warnings[0].contains("no pieces <loc0000>"), "\(model.warnings)")
        }
    }

    // MARK: End tokens

    @Test func anyEndTokenEndsAResponse() throws {
        let example = golden.cases[0]
        let settings = DecodeSettings(maxTokens: 5)
        func answer(_ model: PaliGemma) throws -> [Int] {
            let images = try model.embedImages(golden.pixels(example.images, model))
            return try model.generate([GenerationRequest(images: images, prompt: example.prompt, settings: settings)])[
                0
            ].get()[0]
            .tokens
        }
        let tokens = try answer(golden.model())
        try ModelCopy.with { copy in
            let digest = try copy.load().fileDigest
            try copy.set(["eos_token_id"], [1, tokens[2]], in: "generation_config.json")
            let model = try copy.load()
            #expect(try answer(model) == Array(tokens.prefix { $0 != tokens[2] } + [tokens[2]]))
            #expect(model.fileDigest != digest, "generation_config.json changes responses")
            let packed = copy.file("model.gloss")
            try PaliGemma.pack(folder: copy.url, precision: .f32, to: packed)
            #expect(try PaliGemma(contentsOf: packed).configuration.endTokens == [1, tokens[2]])
            try copy.set(["eos_token_id"], nil, in: "generation_config.json")
            #expect(try copy.load().warnings.first?.contains("names no eos_token_id") == true)
        }
    }

    @Test(arguments: [("repetition_penalty", "1.2"), ("suppress_tokens", "[5]"), ("no_repeat_ngram_size", "2")])
    func generationSettingsThatChangeResponsesAreRefused(field: String, value: String) throws {
        try ModelCopy.with { copy in
            try copy.write(
                #"{"eos_token_id": 1, "do_sample": true, "\#(field)": \#(value)}"#, to: "generation_config.json")
            #expect(copy.refusal()?.message.contains(field) == true)
        }
    }

    // MARK: The image processor

    @Test(arguments: [
        ("image_mean", "[0.4, 0.5, 0.5]"), ("image_std", "[0.2, 0.2, 0.2]"), ("rescale_factor", "0.0078125"),
        ("do_rescale", "false"), ("do_resize", "false"), ("do_normalize", "false"), ("do_center_crop", "true"),
        ("size", "{\"height\": 112, \"width\": 112}"), ("size", "224"),
        ("image_processor_type", "\"CLIPImageProcessor\""),
        ("resample", "2"),
    ]) func otherImageProcessorsAreRefused(field: String, value: String) throws {
        try ModelCopy.with { copy in
            try copy.write(#"{"\#(field)": \#(value)}"#, to: "preprocessor_config.json")
            #expect(copy.refusal()?.message.contains("preprocessor_config.json: \(field)") == true)
            // Where both are there, transformers reads this one.
            try copy.write(#"{"image_processor": {"resample": 3}}"#, to: "processor_config.json")
            #expect(copy.refusal()?.message == nil)
        }
    }

    @Test func aResizeThatIsAskedForOverridesTheFolders() throws {
        try ModelCopy.with { copy in
            try copy.set(["resample"], 2, in: "preprocessor_config.json")
            let model = try copy.load(LoadOptions(resize: .bilinearAntialias))
            #expect(model.digest.hasSuffix("-f32-bilinear-antialias") && model.resize == .bilinearAntialias)
            #expect(try copy.load(LoadOptions(resize: .bicubic)).digest.hasSuffix("-f32"))
        }
    }

    // MARK: Stages

    @Test func theStageFileHasTheStages() throws {
        let (model, example) = (try golden.model(), golden.cases[0])
        let pixels = golden.pixels(example.images, model)
        let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).safetensors")
        defer { try? FileManager.default.removeItem(at: url) }
        try model.writeStages(images: pixels, prompt: String(repeating: example.prompt, count: 60), to: url)
        let stages = try model.stages(images: pixels, prompt: String(repeating: example.prompt, count: 60))
        let file = try SafeTensorsFile(url)
        #expect(stages.logits.count > 128, "more than two parts")
        #expect(file.floats("logits") == stages.logits.flatMap(\.self))
        #expect(file.floats("image_features") == stages.imageFeatures.flatMap(\.values))
        #expect(file.floats("pixel_values") == stages.pixelValues.flatMap(\.values))
    }
}
