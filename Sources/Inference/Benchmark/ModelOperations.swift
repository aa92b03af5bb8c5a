/// Multiplications and additions of the matrix products, attention included, as each stage needs them.
extension ModelConfiguration {
    /// Images through the vision tower and the projector.
    public func visionOperations(images: Int) -> Double {
        let (rows, width) = (Double(imageTokenCount), Double(vision.width))
        let layer = width * Double(4 * vision.width + 2 * vision.mlp)
        let ends = width * Double(3 * vision.patchSize * vision.patchSize + text.width)
        let layers = Double(vision.layers)
        return Double(images) * (2 * rows * (layers * layer + ends) + 4 * rows * rows * width * layers)
    }

    /// Prefixes of `tokens` tokens each. Of the last layer a prefix needs keys and values, and the rest of the last token
    /// alone.
    public func prefillOperations(sequences: Int, tokens: Int) -> Double {
        let (rows, cut) = (Double(sequences * tokens), Double(sequences * (tokens - 1)))
        let keys = text.width * 2 * text.kvHeads * text.headSize
        let trimmed = 2 * cut * Double(layerParameterCount - keys) + attention(cut * Double(tokens))
        return layers(rows: rows, attended: rows * Double(tokens)) - trimmed + head(rows: Double(sequences))
    }

    /// A token for each of `rows` responses that see `seen` tokens each.
    public func extendOperations(rows: Int, seen: Double) -> Double {
        layers(rows: Double(rows), attended: Double(rows) * seen) + head(rows: Double(rows))
    }

    /// Inputs and outputs of the matrices: those of the language model's layers and its head, then the vision tower's.
    public var products: [(name: String, inputs: Int, outputs: Int)] {
        let (queries, keys) = (text.heads * text.headSize, text.kvHeads * text.headSize)
        return [
            ("q, k, v", text.width, queries + 2 * keys), ("o", queries, text.width),
            ("gate, up", text.width, 2 * text.mlp), ("down", text.mlp, text.width),
            ("logits", text.width, text.vocabulary),
            ("vision q, k, v", vision.width, 3 * vision.width), ("vision o", vision.width, vision.width),
            ("vision fc1", vision.width, vision.mlp), ("vision fc2", vision.mlp, vision.width),
        ]
    }

    /// The same sizes with fewer layers and tokens: what takes a fraction of the time and of the memory.
    func reduced(visionLayers: Int, textLayers: Int, vocabulary: Int) -> ModelConfiguration {
        var few = self
        few.vision.layers = min(visionLayers, vision.layers)
        few.text.layers = min(textLayers, text.layers)
        few.text.slidingLayers = Array(text.slidingLayers.prefix(few.text.layers))
        few.text.vocabulary = min(vocabulary, text.vocabulary)
        return few
    }

    /// Weights of a decoder layer's matrices.
    private var layerParameterCount: Int {
        text.width * (2 * (text.heads + text.kvHeads) * text.headSize + 3 * text.mlp)
    }

    private func layers(rows: Double, attended: Double) -> Double {
        Double(text.layers) * (2 * rows * Double(layerParameterCount) + attention(attended))
    }

    /// Of one layer whose rows see `attended` tokens in all.
    private func attention(_ attended: Double) -> Double { 4 * attended * Double(text.heads * text.headSize) }

    private func head(rows: Double) -> Double { 2 * rows * Double(text.width) * Double(text.vocabulary) }
}
