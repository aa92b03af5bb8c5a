/// Where a model's weights come from: a checkpoint, a packed file, or chance. Each weight is taken once.
protocol WeightSource {
    /// How matrices are held.
    var precision: Precision { get }

    /// Whether there is such a tensor.
    func contains(_ name: String) -> Bool

    /// Values of a tensor of exactly `shape`.
    mutating func vector(_ name: String, shape: [Int]) throws(InferenceError) -> [Float]

    /// Matrices with `inputs` columns, stacked in this order into one: [rows of each, added up]. `shape`: how each is
    /// stored, where not as [rows, inputs].
    mutating func matrix(
        _ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?
    ) throws(InferenceError) -> PackedWeights

    /// Gate and up, two matrices of one size, interleaved as GEGLU takes them.
    mutating func gatedPair(_ parts: [(name: String, rows: Int)], inputs: Int) throws(InferenceError) -> PackedWeights
}

extension WeightSource {
    mutating func matrix(_ parts: [(name: String, rows: Int)], inputs: Int) throws(InferenceError) -> PackedWeights {
        try matrix(parts, inputs: inputs, shape: nil)
    }

    /// `name`.weight [outputs, inputs] and `name`.bias [outputs].
    mutating func biased(_ names: [String], outputs: Int, inputs: Int, shape: [Int]? = nil) throws(InferenceError)
        -> Linear
    {
        var bias: [Float] = []
        for name in names { bias += try vector(name + ".bias", shape: [outputs]) }
        let parts = names.map { (name: $0 + ".weight", rows: outputs) }
        return Linear(weights: try matrix(parts, inputs: inputs, shape: shape), bias: bias)
    }

    /// `name`.weight and `name`.bias of a LayerNorm.
    mutating func layerNorm(_ name: String, width: Int, epsilon: Float) throws(InferenceError) -> LayerNorm {
        LayerNorm(
            weight: try vector(name + ".weight", shape: [width]), bias: try vector(name + ".bias", shape: [width]),
            epsilon: epsilon)
    }
}

/// Weights drawn by chance, as sizes and speed need them: a normal model's numbers never look like these.
struct RandomWeights: WeightSource {
    let precision: Precision
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    init(precision: Precision) { self.precision = precision }

    func contains(_ name: String) -> Bool { name != TensorName.head }

    mutating func vector(_ name: String, shape: [Int]) throws(InferenceError) -> [Float] {
        [Float](repeating: 0.01, count: shape.reduce(1, *))
    }

    mutating func matrix(
        _ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?
    ) throws(InferenceError) -> PackedWeights {
        let rows = parts.reduce(0) { $0 + $1.rows }
        return try draw(WeightShape(outputs: rows, inputs: inputs, type: precision.weightType(.bf16)))
    }

    mutating func gatedPair(
        _ parts: [(name: String, rows: Int)], inputs: Int
    ) throws(InferenceError) -> PackedWeights {
        let rows = parts.reduce(0) { $0 + $1.rows }
        return try draw(WeightShape(outputs: rows, inputs: inputs, type: precision.weightType(.bf16), isGated: true))
    }

    private mutating func draw(_ shape: WeightShape) throws(InferenceError) -> PackedWeights {
        state &+= 1
        let packed = try PackedWeights(shape)
        packed.fillRandomly(seed: state)
        return packed
    }
}
