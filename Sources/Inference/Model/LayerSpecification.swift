/// What a decoder layer computes beside its matrix products. The sizes of these are the same in all layers.
struct LayerSpecification: Sendable, Equatable {
    /// How products of queries and keys become weights.
    struct Attention: Sendable, Equatable {
        /// Multiplies each product.
        let scale: Float
        /// c of c · tanh(x / c) on the scaled products; nil: none.
        var softCap: Float?
        /// Tokens that a suffix's query sees, its own included; nil: all. A prefix sees all of itself.
        var window: Int?
    }

    let attention: Attention
    /// Whether what attention and the MLP give is normed before it is added to the residual stream.
    let hasPostNorms: Bool
}

extension ModelConfiguration.Text {
    /// The specification of each layer.
    var layerSpecifications: [LayerSpecification] {
        slidingLayers.map { isSliding in
            LayerSpecification(
                attention: LayerSpecification.Attention(
                    scale: queryScale, softCap: attentionSoftCap, window: isSliding ? slidingWindow : nil),
                hasPostNorms: hasPostNorms)
        }
    }
}
