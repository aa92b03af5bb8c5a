import Foundation

/// What is read of a config.json, as it is written there: each field that changes what transformers computes.
struct ConfigFile: Decodable {
    struct Vision: Decodable {
        var model_type, hidden_act: String?
        var hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, num_channels: Int?
        var patch_size, image_size: OneOrMore?
        var layer_norm_eps: Float?
    }
    struct Text: Decodable {
        var model_type, hidden_act, hidden_activation: String?
        var hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads, head_dim, intermediate_size: Int?
        var vocab_size, max_position_embeddings, bos_token_id: Int?
        var eos_token_id: OneOrMore?
        var rms_norm_eps: Float?
        var rope_theta, partial_rotary_factor: Double?
        var rope_parameters, rope_scaling: Rope?
        var attention_bias, use_bidirectional_attention: Bool?
        var query_pre_attn_scalar: Double?
        var attn_logit_softcapping, final_logit_softcapping: Nullable<Float>
        var sliding_window: Nullable<Int>
        var layer_types: [String]?
        var per_layer_config: Anything?
        var quantization_config: Quantization?
    }
    struct Rope: Decodable {
        var rope_type, type: String?
        var rope_theta, partial_rotary_factor: Double?
        /// Of a dictionary with an entry for each type of layer.
        var full_attention, sliding_attention: Anything?
        var isEmpty = false

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            rope_type = try fields.decodeIfPresent(String.self, forKey: .rope_type)
            type = try fields.decodeIfPresent(String.self, forKey: .type)
            rope_theta = try fields.decodeIfPresent(Double.self, forKey: .rope_theta)
            partial_rotary_factor = try fields.decodeIfPresent(Double.self, forKey: .partial_rotary_factor)
            full_attention = try fields.decodeIfPresent(Anything.self, forKey: .full_attention)
            sliding_attention = try fields.decodeIfPresent(Anything.self, forKey: .sliding_attention)
            isEmpty = try decoder.container(keyedBy: AnyKey.self).allKeys.isEmpty
        }

        private enum CodingKeys: CodingKey {
            case rope_type, type, rope_theta, partial_rotary_factor, full_attention, sliding_attention
        }
    }
    struct Quantization: Decodable { var quant_method: String? }

    var model_type: String?
    var text_config: Text?
    var vision_config: Vision?
    var image_token_index, image_token_id, bos_token_id: Int?
    var eos_token_id: OneOrMore?
    var tie_word_embeddings: Bool?
    /// `quantization` is MLX's.
    var quantization_config, quantization: Quantization?
    var per_layer_config: Anything?

    /// The fields of a sub-configuration that ask for what is not computed, in words.
    var unsupported: String? {
        if quantization != nil {
            return "quantization: the weights are quantised by MLX; give the model that it was converted from"
        }
        if let quantised = quantization_config ?? text_config?.quantization_config {
            return "quantization_config: the weights are quantised by \(quantised.quant_method ?? "an unknown method");"
                + " load the model with transformers, call dequantize() and save_pretrained(), or give the original"
        }
        if per_layer_config != nil || text_config?.per_layer_config != nil { return "per_layer_config is not computed" }
        return text_config?.unsupported ?? vision_config?.unsupported
    }
}

extension ConfigFile.Vision {
    fileprivate var unsupported: String? {
        if let model_type, model_type != "siglip_vision_model" {
            return "vision_config.model_type \(model_type) is not supported: only siglip_vision_model"
        }
        // "gelu" is the exact one here, by erf, and no other form of it is computed.
        if let hidden_act, hidden_act != "gelu_pytorch_tanh" {
            return "vision_config.hidden_act \(hidden_act) is not supported: only gelu_pytorch_tanh"
        }
        if let num_channels, num_channels != 3 { return "vision_config.num_channels is \(num_channels), expected 3" }
        return nil
    }
}

extension ConfigFile.Text {
    /// The family that `model_type` names.
    var family: ModelConfiguration.Text.Family? { ModelConfiguration.Text.Family(rawValue: model_type ?? "gemma") }

    fileprivate var unsupported: String? {
        guard let family else {
            return "text_config.model_type \(model_type!) is not supported: only gemma and gemma2"
        }
        if let problem = unsupportedActivation(family) ?? unsupportedRope { return "text_config." + problem }
        if attention_bias == true { return "text_config.attention_bias is true, which is not computed" }
        if use_bidirectional_attention == false {
            return "text_config.use_bidirectional_attention is false: only full attention within the prefix is computed"
        }
        let known = family == .gemma ? ["full_attention"] : ["full_attention", "sliding_attention"]
        if let other = layer_types?.first(where: { !known.contains($0) }) {
            return "text_config.layer_types has \(other), which \(family.rawValue) does not compute"
        }
        if family == .gemma, case .value(let window) = sliding_window {
            return "text_config.sliding_window is \(window), and gemma has none"
        }
        return nil
    }

    /// Of Gemma's hidden_act "gelu" has always meant the form by tanh. Gemma 2 reads hidden_activation, as it is.
    private func unsupportedActivation(_ family: ModelConfiguration.Text.Family) -> String? {
        let tanh = family == .gemma ? ["gelu_pytorch_tanh", "gelu"] : ["gelu_pytorch_tanh"]
        if let hidden_activation, !tanh.contains(hidden_activation) {
            return "hidden_activation \(hidden_activation) is not supported: only gelu_pytorch_tanh"
        }
        if family == .gemma, let hidden_act, !tanh.contains(hidden_act) {
            return "hidden_act \(hidden_act) is not supported: only gelu_pytorch_tanh"
        }
        return nil
    }

    /// The dictionary that counts: an old one that says anything, else the new one.
    private var rope: (name: String, fields: ConfigFile.Rope)? {
        if let rope_scaling, !rope_scaling.isEmpty { return ("rope_scaling", rope_scaling) }
        return rope_parameters.map { ("rope_parameters", $0) }
    }

    private var unsupportedRope: String? {
        if let partial_rotary_factor, partial_rotary_factor != 1 {
            return "partial_rotary_factor is \(partial_rotary_factor), which is not computed"
        }
        guard let (name, rope) = rope else { return nil }
        let type = rope.rope_type ?? rope.type ?? "default"
        if type != "default" { return "\(name): rope_type \(type) is not supported: only default" }
        if rope.full_attention != nil || rope.sliding_attention != nil {
            return "\(name) has an entry for each type of layer, which is not computed"
        }
        if let part = rope.partial_rotary_factor, part != 1 {
            return "\(name): partial_rotary_factor is \(part), which is not computed"
        }
        return nil
    }

    /// RoPE's base.
    var ropeBase: Double { rope?.fields.rope_theta ?? rope_theta ?? 10000 }
}

/// A whole number, or a list of them.
struct OneOrMore: Decodable {
    let values: [Int]

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        values = try (try? value.decode(Int.self)).map { [$0] } ?? value.decode([Int].self)
    }

    /// Of a side: both are the same, or it is nil.
    var side: Int? { Set(values).count == 1 && values.count <= 2 ? values[0] : nil }
}

/// A value of which only that it is there counts.
struct Anything: Decodable { init(from decoder: any Decoder) throws {} }

private struct AnyKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// A field for which null is a value of its own: null says that there is none, while a field that is absent has a
/// default.
enum Nullable<Value: Decodable>: Decodable {
    case absent
    case null
    case value(Value)

    init(from decoder: any Decoder) throws { self = .value(try Value(from: decoder)) }

    func value(default other: Value?) -> Value? {
        switch self {
        case .absent: other
        case .null: nil
        case .value(let value): value
        }
    }
}

extension KeyedDecodingContainer {
    /// What `ConfigFile`'s synthesised decoding calls for such a field.
    func decode<Value>(_ type: Nullable<Value>.Type, forKey key: Key) throws -> Nullable<Value> {
        guard contains(key) else { return .absent }
        return try decodeNil(forKey: key) ? .null : .value(decode(Value.self, forKey: key))
    }
}

/// A decoding error in a line: where, and what.
func describe(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "\(error)" }
    func path(_ context: DecodingError.Context) -> String {
        context.codingPath.map(\.stringValue).joined(separator: ".")
    }
    switch error {
    case .keyNotFound(let key, let context):
        return "\((path(context) + "." + key.stringValue).drop { $0 == "." }) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
        return "\(path(context)): \(context.debugDescription)"
    case .dataCorrupted(let context): return "\(path(context)) \(context.debugDescription)"
    @unknown default: return "\(error)"
    }
}
