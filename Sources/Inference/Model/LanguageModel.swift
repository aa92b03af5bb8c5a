import CKernels

/// The decoder of Gemma and Gemma 2: embeddings to hidden states to logits.
struct LanguageModel: Sendable {
    private struct Layer: Sendable {
        let specification: LayerSpecification
        let inputNorm: [Float]
        /// Queries, keys and values in one matrix.
        let projections: Linear
        let output: Linear
        /// Of what attention gives; nil: none.
        let attentionPostNorm: [Float]?
        let feedForwardNorm: [Float]
        /// Gate and up in one matrix.
        let gateAndUp: Linear
        let down: Linear
        /// Of what the MLP gives; nil: none.
        let feedForwardPostNorm: [Float]?

        var matrices: [PackedWeights] { [projections, output, gateAndUp, down].map(\.weights) }
    }

    /// Rows of the MLP computed at once: bounds its memory (2 × 16384 columns at 2B). A prefill with one image of 224
    /// px is not split.
    private static let mlpRows = 384

    let configuration: ModelConfiguration.Text
    let heads: HeadLayout
    private let precision: Precision
    private let embedding: Linear
    /// The embedding, unless the checkpoint has another.
    private let head: Linear
    private let layers: [Layer]
    private let finalNorm: [Float]
    private let rotary: RotaryTable

    init(_ c: ModelConfiguration.Text, from weights: inout some WeightSource) throws(InferenceError) {
        configuration = c
        precision = weights.precision
        heads = HeadLayout(
            queryHeads: c.heads,
            cache: KeyValueLayout(
                layers: c.layers, heads: c.kvHeads, headDimension: c.headSize,
                type: weights.precision.attentionType))
        embedding = Linear(
            weights: try weights.matrix([(TensorName.tokenEmbedding, c.vocabulary)], inputs: c.width), bias: nil)
        head =
            weights.contains(TensorName.head)
            ? Linear(weights: try weights.matrix([(TensorName.head, c.vocabulary)], inputs: c.width), bias: nil)
            : embedding
        var layers: [Layer] = []
        for (index, specification) in c.layerSpecifications.enumerated() {
            layers.append(try Self.layer(index, specification, c, from: &weights, heads: heads))
        }
        self.layers = layers
        finalNorm = try weights.vector(TensorName.finalNorm, shape: [c.width])
        rotary = RotaryTable(headDimension: c.headSize, base: c.ropeBase, positions: c.maxPositions + 1)
    }

    private static func layer(
        _ index: Int, _ specification: LayerSpecification, _ c: ModelConfiguration.Text,
        from weights: inout some WeightSource, heads: HeadLayout
    ) throws(InferenceError) -> Layer {
        let name = TensorName.text(index)
        let hasPostNorms = specification.hasPostNorms
        func norm(_ tensor: String) throws(InferenceError) -> [Float] {
            try weights.vector(name + tensor, shape: [c.width])
        }
        let widths = [heads.queryWidth, heads.keyWidth, heads.keyWidth]
        let projections = zip(TensorName.textProjections, widths).map { (name: name + $0, rows: $1) }
        let gateAndUp = TensorName.gateAndUp.map { (name: name + $0, rows: c.mlp) }
        return Layer(
            specification: specification, inputNorm: try norm(TensorName.inputNorm),
            projections: Linear(weights: try weights.matrix(projections, inputs: c.width), bias: nil),
            output: Linear(
                weights: try weights.matrix([(name + TensorName.textOutput, c.width)], inputs: heads.queryWidth),
                bias: nil),
            attentionPostNorm: hasPostNorms ? try norm(TensorName.postAttentionNorm) : nil,
            feedForwardNorm: try norm(
                hasPostNorms ? TensorName.preFeedForwardNorm : TensorName.postAttentionNorm),
            gateAndUp: Linear(weights: try weights.gatedPair(gateAndUp, inputs: c.width), bias: nil),
            down: Linear(weights: try weights.matrix([(name + TensorName.down, c.width)], inputs: c.mlp), bias: nil),
            feedForwardPostNorm: hasPostNorms ? try norm(TensorName.postFeedForwardNorm) : nil)
    }

    /// Embeddings of `tokens`, times sqrt(width), from row `row` of `hidden` on.
    func embed(_ tokens: [Int], into hidden: inout Matrix, at row: Int) {
        let scale = Float(configuration.width).squareRoot()
        for (offset, token) in tokens.enumerated() {
            embedding.weights.unpackRow(token, into: &hidden, row: row + offset, scale: scale)
        }
    }

    /// All layers over the rows of `sequences`; their caches grow by these rows. `hidden` [rows, width], in place.
    func forward(_ hidden: inout Matrix, _ sequences: [SequenceRows], _ compute: Compute) throws(InferenceError) {
        var buffers = try Buffers(self, rows: hidden.rows)
        let adapted = sequences.adaptedRows
        for index in layers.indices {
            try project(hidden, index, sequences, adapted, into: &buffers, compute)
            try finishLayer(&hidden, index, sequences, adapted, &buffers, compute)
        }
        for sequence in sequences { sequence.own.advance(by: sequence.rows.count) }
    }

    /// The same, of which only each sequence's last row is wanted: [sequences, width]. The last layer computes keys and
    /// values of all rows, and the rest of these alone.
    func forwardToLast(
        _ hidden: consuming Matrix, _ sequences: [SequenceRows], _ compute: Compute
    ) throws(InferenceError) -> Matrix {
        var buffers = try Buffers(self, rows: hidden.rows)
        let adapted = sequences.adaptedRows
        for index in layers.indices.dropLast() {
            try project(hidden, index, sequences, adapted, into: &buffers, compute)
            try finishLayer(&hidden, index, sequences, adapted, &buffers, compute)
        }
        let index = layers.count - 1
        try storeKeys(hidden, index, sequences, adapted, into: &buffers, compute)
        var wanted = try Matrix(rows: sequences.count, columns: hidden.columns)
        for (row, sequence) in sequences.enumerated() {
            wanted.copyRows(of: hidden, from: sequence.rows.upperBound - 1, to: row, count: 1)
        }
        let last = sequences.enumerated().map { $1.last(row: $0) }
        var few = try Buffers(self, rows: wanted.rows)
        try projectQueries(wanted, index, last, last.adaptedRows, into: &few, compute)
        try finishLayer(&wanted, index, last, last.adaptedRows, &few, compute)
        for sequence in sequences { sequence.own.advance(by: sequence.rows.count) }
        return wanted
    }

    /// What a layer computes beside `hidden`.
    private struct Buffers: ~Copyable {
        /// [rows, width], normed: the left side of what follows.
        var normed: Operand
        /// [rows, queries | keys | values].
        var projections: Matrix
        /// [rows, queries].
        var attended: Operand

        init(_ model: LanguageModel, rows: Int) throws(InferenceError) {
            let (heads, precision) = (model.heads, model.precision)
            let normed = try Operand(rows: rows, columns: model.configuration.width, type: precision.operandType)
            let projections = try Matrix(rows: rows, columns: heads.rowWidth)
            let attended = try Operand(rows: rows, columns: heads.queryWidth, type: precision.attentionType)
            self.normed = normed
            self.projections = projections
            self.attended = attended
        }
    }

    /// norm → queries, keys and values; keys and values go to the caches.
    private func project(
        _ hidden: borrowing Matrix, _ index: Int, _ sequences: [SequenceRows], _ adapted: [AdaptedRows],
        into buffers: inout Buffers, _ compute: Compute
    ) throws(InferenceError) {
        let layer = layers[index]
        let addends = try normProjected(hidden, index, adapted, into: &buffers, compute)
        compute.linear(buffers.normed, layer.projections, into: &buffers.projections, addends: addends)
        compute.rotateAndStoreKeys(&buffers.projections, sequences, heads: heads, rotary: rotary, layer: index)
        compute.rotateQueries(&buffers.projections, sequences, heads: heads, rotary: rotary)
    }

    /// The same without queries.
    private func storeKeys(
        _ hidden: borrowing Matrix, _ index: Int, _ sequences: [SequenceRows], _ adapted: [AdaptedRows],
        into buffers: inout Buffers, _ compute: Compute
    ) throws(InferenceError) {
        let layer = layers[index]
        let addends = try normProjected(hidden, index, adapted, into: &buffers, compute)
        compute.linear(
            buffers.normed, layer.projections, into: &buffers.projections,
            columns: heads.queryWidth..<heads.rowWidth, addends: addends)
        compute.rotateAndStoreKeys(&buffers.projections, sequences, heads: heads, rotary: rotary, layer: index)
    }

    private func projectQueries(
        _ hidden: borrowing Matrix, _ index: Int, _ sequences: [SequenceRows], _ adapted: [AdaptedRows],
        into buffers: inout Buffers, _ compute: Compute
    ) throws(InferenceError) {
        let layer = layers[index]
        let addends = try normProjected(hidden, index, adapted, into: &buffers, compute)
        compute.linear(
            buffers.normed, layer.projections, into: &buffers.projections,
            columns: 0..<heads.queryWidth, addends: addends)
        compute.rotateQueries(&buffers.projections, sequences, heads: heads, rotary: rotary)
    }

    /// The norm before the projections, and what rows add to these.
    private func normProjected(
        _ hidden: borrowing Matrix, _ index: Int, _ adapted: [AdaptedRows], into buffers: inout Buffers,
        _ compute: Compute
    ) throws(InferenceError) -> Addends? {
        try norm(
            hidden, layers[index].inputNorm, adapted.parts { $0.text[index].projections }, into: &buffers.normed,
            compute)
    }

    /// The norm before a product, and what rows add to it.
    private func norm(
        _ hidden: borrowing Matrix, _ weight: [Float], _ parts: [LowRankRows], into normed: inout Operand,
        _ compute: Compute
    ) throws(InferenceError) -> Addends? {
        compute.rmsNorm(hidden, weight: weight, epsilon: configuration.epsilon, into: &normed)
        if parts.isEmpty || normed.type != GLOSS_INT8 { return try compute.addends(normed, parts) }
        var exact = try Operand(rows: hidden.rows, columns: hidden.columns, type: precision.attentionType)
        compute.rmsNorm(hidden, weight: weight, epsilon: configuration.epsilon, into: &exact)
        return try compute.addends(exact, parts)
    }

    /// attention → output (→ norm), then norm → MLP (→ norm), onto the residual stream.
    private func finishLayer(
        _ hidden: inout Matrix, _ index: Int, _ sequences: [SequenceRows], _ adapted: [AdaptedRows],
        _ buffers: inout Buffers, _ compute: Compute
    ) throws(InferenceError) {
        let layer = layers[index]
        compute.attention(
            buffers.projections, sequences, heads: heads, layer: index, layer.specification.attention,
            into: &buffers.attended)
        try add(
            buffers.attended, layer.output, adapted.parts { $0.text[index].output }, norm: layer.attentionPostNorm,
            to: &hidden, compute)
        try feedForward(index, adapted, &hidden, compute)
    }

    /// hidden += x · Wᵀ, or the norm of that product. x becomes int8 for it in int8.
    private func add(
        _ x: borrowing Operand, _ linear: Linear, _ parts: [LowRankRows], norm: [Float]?, to hidden: inout Matrix,
        _ compute: Compute
    ) throws(InferenceError) {
        let addends = try compute.addends(x, parts)
        guard let norm else { return try product(x, linear, addends, into: &hidden, GLOSS_ADD, compute) }
        var sums = try Matrix(rows: hidden.rows, columns: hidden.columns)
        try product(x, linear, addends, into: &sums, GLOSS_STORE, compute)
        compute.addRMSNorm(sums, weight: norm, epsilon: configuration.epsilon, to: &hidden)
    }

    private func product(
        _ x: borrowing Operand, _ linear: Linear, _ addends: Addends?, into y: inout Matrix, _ form: gloss_form,
        _ compute: Compute
    ) throws(InferenceError) {
        guard precision == .int8 else { return compute.linear(x, linear, into: &y, form, addends: addends) }
        var rotated = try Operand(rows: x.rows, columns: x.columns, type: GLOSS_INT8)
        compute.convert(x, into: &rotated)
        compute.linear(rotated, linear, into: &y, form, addends: addends)
    }

    /// hidden += down(gelu(gate(x)) · up(x)), or the norm of that; x = norm(hidden), some rows at a time.
    private func feedForward(
        _ index: Int, _ adapted: [AdaptedRows], _ hidden: inout Matrix, _ compute: Compute
    ) throws(InferenceError) {
        let parts = (hidden.rows + Self.mlpRows - 1) / Self.mlpRows
        if parts == 1 { return try addFeedForward(index, adapted, &hidden, compute) }
        for part in 0..<parts {
            let start = hidden.rows * part / parts
            let count = hidden.rows * (part + 1) / parts - start
            var rows = try Matrix(rows: count, columns: hidden.columns)
            rows.copyRows(of: hidden, from: start, count: count)
            try addFeedForward(index, adapted.within(start..<start + count), &rows, compute)
            hidden.copyRows(of: rows, to: start, count: count)
        }
    }

    private func addFeedForward(
        _ index: Int, _ adapted: [AdaptedRows], _ rows: inout Matrix, _ compute: Compute
    ) throws(InferenceError) {
        let layer = layers[index]
        var normed = try Operand(rows: rows.rows, columns: rows.columns, type: precision.operandType)
        let addends = try norm(
            rows, layer.feedForwardNorm, adapted.parts { $0.text[index].gateAndUp }, into: &normed, compute)
        var inner = try Operand(rows: rows.rows, columns: configuration.mlp, type: precision.attentionType)
        compute.linear(normed, layer.gateAndUp, into: &inner, GLOSS_GEGLU, addends: addends)
        try add(
            inner, layer.down, adapted.parts { $0.text[index].down }, norm: layer.feedForwardPostNorm, to: &rows,
            compute)
    }

    /// Logits of chosen rows of `hidden`: [rows chosen, vocabulary].
    func logits(_ hidden: borrowing Matrix, rows: [Int], _ compute: Compute) throws(InferenceError) -> Matrix {
        var chosen = try Matrix(rows: rows.count, columns: hidden.columns)
        for (index, row) in rows.enumerated() { chosen.copyRows(of: hidden, from: row, to: index, count: 1) }
        var normed = try Operand(rows: rows.count, columns: hidden.columns, type: precision.operandType)
        compute.rmsNorm(chosen, weight: finalNorm, epsilon: configuration.epsilon, into: &normed)
        var logits = try Matrix(rows: rows.count, columns: configuration.vocabulary)
        compute.linear(normed, head, into: &logits)
        if let cap = configuration.logitSoftCap { compute.softCap(&logits, cap) }
        return logits
    }

    /// Gate and up of the first layer.
    var largestProduct: Linear { layers[0].gateAndUp }

    /// Bytes of the packed matrices, the embedding included.
    var weightByteCount: Int {
        (layers.flatMap(\.matrices) + [embedding.weights]).reduce(0) { $0 + $1.shape.byteCount }
    }

    /// An empty cache for up to `capacity` tokens.
    func makeCache(capacity: Int) throws(InferenceError) -> KeyValueCache {
        try KeyValueCache(layout: heads.cache, capacity: capacity)
    }
}

extension [SequenceRows] {
    fileprivate var adaptedRows: [AdaptedRows] { AdaptedRows.runs(lazy.map { ($0.rows, $0.adapter) }) }
}
