import CKernels

/// SigLIP's image encoder and the linear projector: pixels to image tokens.
struct VisionTower: Sendable {
    private struct Layer: Sendable {
        let firstNorm: LayerNorm
        let projections: Linear
        let output: Linear
        let secondNorm: LayerNorm
        let fc1: Linear
        let fc2: Linear
    }

    let configuration: ModelConfiguration.Vision
    private let precision: Precision
    private let patches: Linear
    private let positions: [Float]
    private let layers: [Layer]
    private let finalNorm: LayerNorm
    private let projector: Linear

    init(_ c: ModelConfiguration, from weights: inout some WeightSource) throws(InferenceError) {
        let v = c.vision
        let (width, patch) = (v.width, v.patchSize)
        configuration = v
        precision = weights.precision
        patches = try weights.biased(
            [TensorName.patchEmbedding], outputs: width, inputs: 3 * patch * patch, shape: [width, 3, patch, patch])
        positions = try weights.vector(TensorName.positionEmbedding, shape: [c.imageTokenCount, width])
        var layers: [Layer] = []
        for index in 0..<v.layers {
            let name = TensorName.vision(index)
            layers.append(
                Layer(
                    firstNorm: try weights.layerNorm(name + TensorName.firstNorm, width: width, epsilon: v.epsilon),
                    projections: try weights.biased(
                        TensorName.visionProjections.map { name + $0 }, outputs: width, inputs: width),
                    output: try weights.biased([name + TensorName.visionOutput], outputs: width, inputs: width),
                    secondNorm: try weights.layerNorm(
                        name + TensorName.secondNorm, width: width, epsilon: v.epsilon),
                    fc1: try weights.biased([name + TensorName.fc1], outputs: v.mlp, inputs: width),
                    fc2: try weights.biased([name + TensorName.fc2], outputs: width, inputs: v.mlp)))
        }
        self.layers = layers
        finalNorm = try weights.layerNorm(TensorName.visionNorm, width: width, epsilon: v.epsilon)
        projector = try weights.biased([TensorName.projector], outputs: c.text.width, inputs: width)
    }

    /// Image tokens [B·N, text width], N = grid², row-major patches; unscaled.
    func embed(_ images: [ImageInput], _ compute: Compute) throws(InferenceError) -> Matrix {
        let (count, width) = (configuration.grid * configuration.grid, configuration.width)
        let adapted = AdaptedRows.runs(
            images.indices.lazy.map { ($0 * count..<($0 + 1) * count, images[$0].adapter) })
        var x = try embedPatches(images.map(\.pixels), compute)
        var normed = try Operand(rows: x.rows, columns: width, type: precision.operandType)
        var projections = try Matrix(rows: x.rows, columns: 3 * width)
        var attended = try Operand(rows: x.rows, columns: width, type: precision.attentionType)
        var inner = try Operand(rows: x.rows, columns: configuration.mlp, type: precision.attentionType)
        let scale = 1 / Float(width / configuration.heads).squareRoot()
        for (index, layer) in layers.enumerated() {
            var addends = try norm(
                x, layer.firstNorm, adapted.parts { $0.vision[index].projections }, into: &normed, compute)
            compute.linear(normed, layer.projections, into: &projections, addends: addends)
            compute.fullAttention(
                projections, images: images.count, heads: configuration.heads, scale: scale, into: &attended)
            try add(attended, layer.output, adapted.parts { $0.vision[index].output }, to: &x, compute)
            addends = try norm(x, layer.secondNorm, adapted.parts { $0.vision[index].fc1 }, into: &normed, compute)
            compute.linear(normed, layer.fc1, into: &inner, GLOSS_GELU, addends: addends)
            try add(inner, layer.fc2, adapted.parts { $0.vision[index].fc2 }, to: &x, compute)
        }
        let addends = try norm(x, finalNorm, adapted.parts(\.projector), into: &normed, compute)
        var tokens = try Matrix(rows: images.count * count, columns: projector.weights.outputs)
        compute.linear(normed, projector, into: &tokens, addends: addends)
        for run in adapted {
            if let saved = run.adapter.savedProjector { compute.linear(normed, saved, into: &tokens, rows: run.rows) }
        }
        return tokens
    }

    /// The norm before a product, and what rows add to it.
    private func norm(
        _ x: borrowing Matrix, _ norm: LayerNorm, _ parts: [LowRankRows], into normed: inout Operand,
        _ compute: Compute
    ) throws(InferenceError) -> Addends? {
        compute.layerNorm(x, norm, into: &normed)
        if parts.isEmpty || normed.type != GLOSS_INT8 { return try compute.addends(normed, parts) }
        var exact = try Operand(rows: x.rows, columns: x.columns, type: precision.attentionType)
        compute.layerNorm(x, norm, into: &exact)
        return try compute.addends(exact, parts)
    }

    /// x += y · Wᵀ + b. y becomes int8 for it in int8.
    private func add(
        _ y: borrowing Operand, _ linear: Linear, _ parts: [LowRankRows], to x: inout Matrix, _ compute: Compute
    ) throws(InferenceError) {
        let addends = try compute.addends(y, parts)
        guard precision == .int8 else { return compute.linear(y, linear, into: &x, GLOSS_ADD, addends: addends) }
        var rotated = try Operand(rows: y.rows, columns: y.columns, type: GLOSS_INT8)
        compute.convert(y, into: &rotated)
        compute.linear(rotated, linear, into: &x, GLOSS_ADD, addends: addends)
    }

    private var matrices: [PackedWeights] {
        ([patches, projector] + layers.flatMap { [$0.projections, $0.output, $0.fc1, $0.fc2] }).map(\.weights)
    }

    /// Bytes of the packed matrices.
    var weightByteCount: Int { matrices.reduce(0) { $0 + $1.shape.byteCount } }

    /// Patches as rows (channel, y, x), by the convolution's weights, plus positions: [B·N, width].
    private func embedPatches(_ images: [PixelValues], _ compute: Compute) throws(InferenceError) -> Matrix {
        let (grid, patch) = (configuration.grid, configuration.patchSize)
        var rows = try Matrix(rows: images.count * grid * grid, columns: 3 * patch * patch)
        for (index, image) in images.enumerated() {
            for place in 0..<grid * grid {
                rows.setRows(
                    image.patch(row: place / grid, column: place % grid, size: patch), at: index * grid * grid + place)
            }
        }
        var operand = try Operand(rows: rows.rows, columns: rows.columns, type: precision.operandType)
        compute.convert(rows, into: &operand)
        var x = try Matrix(rows: rows.rows, columns: configuration.width)
        compute.linear(operand, patches, into: &x)
        let table = try Matrix(rows: grid * grid, columns: configuration.width, values: positions)
        for index in 0..<images.count { x.addRows(table, at: index * grid * grid) }
        return x
    }
}
