import Foundation
import Testing

@testable import Inference

/// What is read of a config.json.
@Suite struct ConfigurationTests {
    private func read(_ text: String) throws -> ModelConfiguration.Text {
        try ModelConfiguration(
            Data(#"{"model_type": "paligemma", "vision_config": {}, "text_config": \#(text)}"#.utf8),
            path: "config.json"
        ).text
    }

    @Test func paliGemma1HasNoneOfGemma2sParts() throws {
        let text = ModelConfiguration.paliGemma3B(imageSize: 224).text
        #expect(text.family == .gemma && !text.hasPostNorms && text.queryScale == 1 / 16)
        #expect(text.attentionSoftCap == nil && text.logitSoftCap == nil && text.slidingWindow == nil)
        #expect(text.slidingLayers == [Bool](repeating: false, count: 18))
        let same = try read(
            """
            {"model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18,
             "num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": 257216, "attn_logit_softcapping": 50}
            """)
        #expect(same == text, "Gemma has no such fields")
    }

    @Test func gemma2sDefaults() throws {
        let text = try read(#"{"model_type": "gemma2"}"#)
        #expect(text.family == .gemma2 && text.hasPostNorms && text.queryScale == 1 / 16)
        #expect(text.width == 2304 && text.layers == 26 && text.mlp == 9216)
        #expect(text.heads == 8 && text.kvHeads == 4 && text.headSize == 256)
        #expect(text.attentionSoftCap == 50 && text.logitSoftCap == 30 && text.slidingWindow == 4096)
        #expect(text.slidingLayers == (0..<26).map { $0 % 2 == 0 })
    }

    @Test func gemma2sFields() throws {
        let text = try read(
            """
            {"model_type": "gemma2", "num_hidden_layers": 3, "head_dim": 128, "query_pre_attn_scalar": 144,
             "attn_logit_softcapping": null, "final_logit_softcapping": null, "sliding_window": null,
             "layer_types": ["full_attention", "sliding_attention", "full_attention"]}
            """)
        #expect(text.headSize == 128 && text.queryScale == 1 / 12)
        #expect(text.attentionSoftCap == nil && text.logitSoftCap == nil && text.slidingWindow == nil)
        #expect(text.slidingLayers == [false, true, false])
    }

    @Test(arguments: [
        (#""query_pre_attn_scalar": 0"#, "query_pre_attn_scalar"), (#""attn_logit_softcapping": -1"#, "is -1"),
        (#""final_logit_softcapping": 0"#, "final_logit_softcapping is 0"), (#""sliding_window": 0"#, "is 0"),
        (#""layer_types": ["full_attention"]"#, "layer_types has 1 layers, num_hidden_layers is 26"),
        (#""num_hidden_layers": 999999999999"#, "num_hidden_layers is 999999999999"),
    ]) func whatCannotBeIsNamed(field: String, words: String) {
        let error = #expect(throws: InferenceError.self) { try read(#"{"model_type": "gemma2", \#(field)}"#) }
        #expect(error?.message.contains(words) == true, "\(error!)")
    }

    private func whole(_ json: String) throws -> ModelConfiguration {
        try ModelConfiguration(Data(json.utf8), path: "config.json")
    }

    /// A sub-configuration that is there has its own class's values for what it omits; only one that is not there has
    /// PaliGemma's.
    @Test func fieldsThatAreAbsent() throws {
        for json in [#"{"model_type": "paligemma"}"#, #"{"model_type": "paligemma", "vision_config": null}"#] {
            let absent = try whole(json)
            #expect(absent.vision.width == 1152 && absent.vision.layers == 27 && absent.vision.heads == 16)
            #expect(absent.vision.mlp == 4096 && absent.vision.patchSize == 14)
            #expect(absent.text.width == 2048 && absent.text.layers == 18 && absent.text.kvHeads == 1)
            #expect(absent.text.vocabulary == 257_152 && absent.endTokens == [1] && absent.tiesHead)
        }
        let empty = try whole(#"{"model_type": "paligemma", "vision_config": {}, "text_config": {}}"#)
        #expect(empty.vision.width == 768 && empty.vision.layers == 12 && empty.vision.heads == 12)
        #expect(empty.vision.mlp == 3072 && empty.vision.patchSize == 16 && empty.vision.imageSize == 224)
        #expect(empty.text.width == 3072 && empty.text.layers == 28 && empty.text.heads == 16)
        #expect(empty.text.kvHeads == 16 && empty.text.mlp == 24576 && empty.text.vocabulary == 256_000)
    }

    /// As published in 2024, and as 4.5x and 5.x write the same model.
    @Test func writersAgree() throws {
        let published = try whole(
            """
            {"model_type": "paligemma", "bos_token_id": 2, "eos_token_id": 1, "hidden_size": 2304,
             "image_token_index": 257152, "projection_dim": 2304, "text_config": {"model_type": "gemma2",
             "hidden_size": 2304, "intermediate_size": 9216, "num_attention_heads": 8, "num_hidden_layers": 26,
             "num_image_tokens": 256, "num_key_value_heads": 4, "torch_dtype": "float32", "vocab_size": 257216},
             "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "model_type": "siglip_vision_model",
             "num_attention_heads": 16, "num_hidden_layers": 27, "num_image_tokens": 256, "patch_size": 14,
             "projection_dim": 2304, "projector_hidden_act": "gelu_fast", "vision_use_head": false}}
            """)
        let saved = try whole(
            """
            {"model_type": "paligemma", "dtype": "bfloat16", "image_token_index": 257152, "tie_word_embeddings": true,
             "text_config": {"model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216,
             "num_attention_heads": 8, "num_hidden_layers": 26, "num_key_value_heads": 4, "vocab_size": 257216,
             "head_dim": 256, "hidden_activation": null, "hidden_act": "gelu_pytorch_tanh", "eos_token_id": [1],
             "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "attention_bias": false,
             "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
             "sliding_window": 4096, "use_bidirectional_attention": true, "cache_implementation": "hybrid",
             "layer_types": [\((0..<26).map { $0 % 2 == 0 ? "\"sliding_attention\"" : "\"full_attention\"" }
                .joined(separator: ","))]},
             "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "model_type": "siglip_vision_model",
             "num_attention_heads": 16, "num_hidden_layers": 27, "image_size": [224, 224], "patch_size": [14, 14],
             "layer_norm_eps": 1e-06, "hidden_act": "gelu_pytorch_tanh", "vision_use_head": true}}
            """)
        #expect(published == saved)
    }

    @Test func ropesBaseIsThatOfTheDictionary() throws {
        #expect(try read(#"{"rope_theta": 5e3}"#).ropeBase == 5000)
        #expect(try read(#"{"rope_theta": 5e3, "rope_parameters": {"rope_theta": 7e3}}"#).ropeBase == 7000)
        #expect(try read(#"{"rope_theta": 5e3, "rope_parameters": {}}"#).ropeBase == 5000)
        #expect(
            try read(#"{"rope_scaling": {"rope_theta": 9e3}, "rope_parameters": {"rope_theta": 7e3}}"#).ropeBase == 9000
        )
        #expect(try read(#"{"rope_scaling": {}, "rope_parameters": {"rope_theta": 7e3}}"#).ropeBase == 7000)
    }

    static let refused: [(part: String, field: String)] = [
        ("text", #""attention_bias": true"#), ("text", #""use_bidirectional_attention": false"#),
        ("text", #""hidden_act": "relu""#), ("text", #""hidden_activation": "silu""#),
        ("text", #""rope_parameters": {"rope_type": "linear", "factor": 2}"#),
        ("text", #""rope_scaling": {"type": "dynamic", "factor": 2}"#),
        ("text", #""rope_parameters": {"full_attention": {"rope_theta": 1e4}}"#),
        ("text", #""partial_rotary_factor": 0.5"#), ("text", #""sliding_window": 8"#),
        ("text", #""layer_types": ["sliding_attention"]"#), ("text", #""per_layer_config": {"0": {}}"#),
        ("text", #""model_type": "llama""#), ("vision", #""hidden_act": "gelu""#), ("vision", #""num_channels": 1"#),
        ("vision", #""model_type": "clip_vision_model""#), ("vision", #""image_size": [224, 448]"#),
        ("vision", #""patch_size": [14, 16]"#), ("top", #""quantization_config": {"quant_method": "gptq"}"#),
        ("top", #""quantization": {"group_size": 64}"#), ("top", #""model_type": "paligemma3""#),
    ]

    @Test(arguments: refused) func whatIsNotComputedIsNamed(part: String, field: String) throws {
        func fields(_ name: String) -> String { part == name ? field : "" }
        let head = part == "top" ? "" : #""model_type": "paligemma","#
        let top =
            part == "top"
            ? (field.contains("model_type") ? field + "," : #""model_type": "paligemma","# + field + ",") : head
        let error = #expect(throws: InferenceError.self) {
            try whole(#"{\#(top) "text_config": {\#(fields("text"))}, "vision_config": {\#(fields("vision"))}}"#)
        }
        let name = field.split(separator: "\"")[0]
        #expect(error?.code == .unsupportedModel && error?.message.contains(name) == true, "\(error!)")
    }

    /// Gemma 2 takes its activation as it is named; of Gemma, "gelu" has always meant tanh's.
    @Test func geluOfGemma() throws {
        _ = try read(#"{"hidden_act": "gelu"}"#)
        #expect(throws: InferenceError.self) { try read(#"{"model_type": "gemma2", "hidden_activation": "gelu"}"#) }
        #expect(try read(#"{"final_logit_softcapping": 20}"#).logitSoftCap == 20)
    }

    @Test func theWindowIsAnOptionWhereThereIsOne() throws {
        let json = #"{"model_type": "paligemma", "vision_config": {}, "text_config": {"model_type": "gemma2"}}"#
        let file = try ModelConfiguration(Data(json.utf8), path: "config.json")
        var configuration = file
        #expect(LoadOptions().apply(to: &configuration) == [] && configuration == file)
        #expect(LoadOptions(window: .none).apply(to: &configuration) == ["window-none"])
        #expect(configuration.text.slidingWindow == nil)
        var first = ModelConfiguration.paliGemma3B(imageSize: 224)
        #expect(LoadOptions(window: .none).apply(to: &first) == [])
    }

    /// The files of PaliGemma 3B and of PaliGemma 2 have so many numbers.
    @Test func parametersOfThePublishedModels() {
        #expect(ModelConfiguration.paliGemma3B(imageSize: 224).parameterCount == 2_923_466_480)
        let counts = ModelConfiguration.PaliGemma2.allCases.map {
            Double(ModelConfiguration.paliGemma2($0, imageSize: 224).parameterCount) / 1e9
        }
        for (count, billions) in zip(counts, [3.032, 9.663, 27.650]) { #expect(abs(count - billions) < 0.001) }
        let large = ModelConfiguration.paliGemma2(.large, imageSize: 896).text
        #expect(large.queryScale == 1 / 12 && large.heads * large.headSize == 4096 && large.width == 4608)
    }

    /// What docs/operating.md says that a token costs.
    @Test func keysAndValuesOfAToken() {
        let kibibytes =
            ([.paliGemma3B(imageSize: 224)]
            + ModelConfiguration.PaliGemma2.allCases.map { .paliGemma2($0, imageSize: 224) }).map {
                (configuration: ModelConfiguration) in
                let both = [1, 0].map {
                    RandomModel.byteCount(configuration, precision: .bf16, tokens: $0)
                }
                return (both[0] - both[1]) / 1024
            }
        #expect(kibibytes == [18, 104, 336, 368])
    }
}
