/// The checkpoint's tensor names, after `canonical`: the only place where they stand.
enum TensorName {
    static let tokenEmbedding = "language_model.embed_tokens.weight"
    /// Where it is not the embedding.
    static let head = "lm_head.weight"
    static let finalNorm = "language_model.norm.weight"
    static let projector = "multi_modal_projector.linear"
    /// What an adapter may replace.
    static let savedProjector = [".weight", ".bias"].map { projector + $0 }
    static let patchEmbedding = "vision_tower.embeddings.patch_embedding"
    static let positionEmbedding = "vision_tower.embeddings.position_embedding.weight"
    static let visionNorm = "vision_tower.post_layernorm"

    static func text(_ layer: Int) -> String { "language_model.layers.\(layer)." }
    static let inputNorm = "input_layernorm.weight"
    /// Gemma's norm before the MLP; Gemma 2's norm of what attention gives.
    static let postAttentionNorm = "post_attention_layernorm.weight"
    static let preFeedForwardNorm = "pre_feedforward_layernorm.weight"
    static let postFeedForwardNorm = "post_feedforward_layernorm.weight"
    static let textProjections = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].map { $0 + ".weight" }
    static let textOutput = "self_attn.o_proj.weight"
    static let gateAndUp = ["mlp.gate_proj.weight", "mlp.up_proj.weight"]
    static let down = "mlp.down_proj.weight"

    static func vision(_ layer: Int) -> String { "vision_tower.encoder.layers.\(layer)." }
    static let firstNorm = "layer_norm1"
    static let secondNorm = "layer_norm2"
    static let visionProjections = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]
    static let visionOutput = "self_attn.out_proj"
    static let fc1 = "mlp.fc1"
    static let fc2 = "mlp.fc2"

    /// One name for the layouts found in the wild; nil for what is not read: the pooling head, buffers.
    static func canonical(_ name: String) -> String? {
        var name = Substring(name)
        name.dropPrefix("model.")
        if name == "language_model.lm_head.weight" { return head }
        if name.dropPrefix("language_model.model.") { name = "language_model." + name }
        if name.dropPrefix("vision_tower.vision_model.") { name = "vision_tower." + name }
        if name.hasPrefix("vision_tower.head.") { return nil }
        if name.hasSuffix("position_ids") || name.hasSuffix("inv_freq") { return nil }
        return String(name)
    }
}

extension Substring {
    @discardableResult
    fileprivate mutating func dropPrefix(_ prefix: String) -> Bool {
        guard hasPrefix(prefix) else { return false }
        removeFirst(prefix.count)
        return true
    }
}
