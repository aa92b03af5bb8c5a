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
            #"{"model_type": "gemma", "num_key_value_heads": 1, "attn_logit_softcapping": 50, "sliding_window": 8}"#)
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
