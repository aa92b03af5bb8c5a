/// Gemma's decoder: embeddings to hidden states to logits. The head is the embedding, transposed.
struct LanguageModel: Sendable {
    private struct Layer: Sendable {
        let inputNorm: [Float]
        /// Queries, keys and values in one matrix.
        let projections: Linear
        let output: Linear
        let attentionNorm: [Float]
        /// Gate and up in one matrix.
        let gateAndUp: Linear
        let down: Linear
    }

    /// Rows of the MLP computed at once: bounds its memory (2 × 16384 columns at 2B), no gain beyond.
    private static let mlpRows = 256

    let configuration: ModelConfiguration.Text
    let heads: HeadLayout
    private let embedding: Linear
    private let layers: [Layer]
    private let finalNorm: [Float]
    private let rotary: RotaryTable

    init(_ c: ModelConfiguration.Text, from checkpoint: inout Checkpoint) throws(InferenceError) {
        configuration = c
        heads = HeadLayout(
            queryHeads: c.heads,
            cache: KeyValueLayout(layers: c.layers, heads: c.kvHeads, headDimension: c.headDimension))
        embedding = Linear(
            weights: try checkpoint.matrix([(TensorName.tokenEmbedding, c.vocabulary)], inputs: c.width), bias: nil)
        var layers: [Layer] = []
        for index in 0..<c.layers { layers.append(try Self.layer(index, c, from: &checkpoint, heads: heads)) }
        self.layers = layers
        finalNorm = try checkpoint.vector(TensorName.finalNorm, shape: [c.width])
        rotary = RotaryTable(headDimension: c.headDimension, base: c.ropeBase, positions: c.maxPositions + 1)
    }

    private static func layer(
        _ index: Int, _ c: ModelConfiguration.Text, from checkpoint: inout Checkpoint, heads: HeadLayout
    ) throws(InferenceError) -> Layer {
        let name = TensorName.text(index)
        let widths = [heads.queryWidth, heads.keyWidth, heads.keyWidth]
        let projections = zip(TensorName.textProjections, widths).map { (name: name + $0, rows: $1) }
        let gateAndUp = TensorName.gateAndUp.map { (name: name + $0, rows: c.mlp) }
        return Layer(
            inputNorm: try checkpoint.vector(name + TensorName.inputNorm, shape: [c.width]),
            projections: Linear(weights: try checkpoint.matrix(projections, inputs: c.width), bias: nil),
            output: Linear(
                weights: try checkpoint.matrix([(name + TensorName.textOutput, c.width)], inputs: heads.queryWidth),
                bias: nil),
            attentionNorm: try checkpoint.vector(name + TensorName.attentionNorm, shape: [c.width]),
            gateAndUp: Linear(weights: try checkpoint.matrix(gateAndUp, inputs: c.width), bias: nil),
            down: Linear(weights: try checkpoint.matrix([(name + TensorName.down, c.width)], inputs: c.mlp), bias: nil))
    }

    /// Embeddings of `tokens`, times sqrt(width), from row `row` of `hidden` on.
    func embed(_ tokens: [Int], into hidden: inout Matrix, at row: Int) {
        let scale = Float(configuration.width).squareRoot()
        for (offset, token) in tokens.enumerated() {
            embedding.weights.unpackRow(token, into: &hidden, row: row + offset, scale: scale)
        }
    }

    /// All layers over the rows of `sequences`; their caches grow by these rows. `hidden` [rows, width], in place.
    func forward(_ hidden: inout Matrix, _ sequences: [SequenceRows], _ compute: Compute) {
        var normed = Matrix(rows: hidden.rows, columns: configuration.width)
        var projections = Matrix(rows: hidden.rows, columns: heads.rowWidth)
        var attended = Matrix(rows: hidden.rows, columns: heads.queryWidth)
        let scale = 1 / Float(configuration.headDimension).squareRoot()
        for (index, layer) in layers.enumerated() {
            compute.rmsNorm(hidden, weight: layer.inputNorm, epsilon: configuration.epsilon, into: &normed)
            compute.linear(normed, layer.projections, into: &projections)
            compute.rotateAndStore(&projections, sequences, heads: heads, rotary: rotary, layer: index)
            compute.attention(projections, sequences, heads: heads, layer: index, scale: scale, into: &attended)
            compute.linear(attended, layer.output, into: &hidden, accumulate: true)
            compute.rmsNorm(hidden, weight: layer.attentionNorm, epsilon: configuration.epsilon, into: &normed)
            feedForward(normed, layer, into: &hidden, compute)
        }
        for sequence in sequences { sequence.own.advance(by: sequence.rows.count) }
    }

    /// hidden += down(gelu(gate(x)) · up(x)), some rows at a time.
    private func feedForward(_ x: borrowing Matrix, _ layer: Layer, into hidden: inout Matrix, _ compute: Compute) {
        for start in stride(from: 0, to: x.rows, by: Self.mlpRows) {
            let count = min(Self.mlpRows, x.rows - start)
            var input = Matrix(rows: count, columns: x.columns)
            input.copyRows(of: x, from: start, count: count)
            var pair = Matrix(rows: count, columns: 2 * configuration.mlp)
            compute.linear(input, layer.gateAndUp, into: &pair)
            var inner = Matrix(rows: count, columns: configuration.mlp)
            compute.geglu(pair, into: &inner)
            compute.linear(inner, layer.down, into: &input)
            hidden.addRows(input, at: start)
        }
    }

    /// Logits of chosen rows of `hidden`: [rows chosen, vocabulary].
    func logits(_ hidden: borrowing Matrix, rows: [Int], _ compute: Compute) -> Matrix {
        var chosen = Matrix(rows: rows.count, columns: hidden.columns)
        for (index, row) in rows.enumerated() { chosen.copyRows(of: hidden, from: row, to: index, count: 1) }
        var normed = Matrix(rows: rows.count, columns: hidden.columns)
        compute.rmsNorm(chosen, weight: finalNorm, epsilon: configuration.epsilon, into: &normed)
        var logits = Matrix(rows: rows.count, columns: configuration.vocabulary)
        compute.linear(normed, embedding, into: &logits)
        return logits
    }

    /// An empty cache for up to `capacity` tokens.
    func makeCache(capacity: Int) -> KeyValueCache { KeyValueCache(layout: heads.cache, capacity: capacity) }
}
