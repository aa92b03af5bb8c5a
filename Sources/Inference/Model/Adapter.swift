import CKernels
import Foundation

/// A LoRA adapter of one model: what it adds to the model's products, row by row, while the model stays as it is.
/// Immutable.
public final class Adapter: Sendable {
    /// What a decoder layer's products add.
    struct Text: Sendable {
        let projections, output, gateAndUp, down: LowRank?
    }

    /// What a layer of the vision tower's products add.
    struct Vision: Sendable {
        let projections, output, fc1, fc2: LowRank?
    }

    /// Identity of the adapter's files: sha256, hexadecimal.
    public let digest: String
    /// Whether images are seen otherwise with it: it changes the vision tower or the projector.
    public let touchesImages: Bool
    /// The model that it was trained on, as its trainer named it.
    public let base: String?
    let text: [Text]
    let vision: [Vision]
    let projector: LowRank?
    /// In the place of the model's own.
    let savedProjector: Linear?

    convenience init(
        _ folder: AdapterFolder, for c: ModelConfiguration, _ precision: Precision
    ) throws(InferenceError) {
        let maker = Maker(type: precision.attentionType) { name, _, _ in folder.factors(of: name) }
        let saved = try Maker.savedProjector(
            folder, precision, outputs: c.text.width, inputs: c.vision.width)
        try self.init(
            digest: folder.digest, base: folder.base, touchesImages: folder.touchesImages, savedProjector: saved,
            for: c, maker)
    }

    /// Of noise, for all linear layers of the decoder: to measure what adapters cost.
    convenience init(
        random rank: Int, seed: UInt64, for c: ModelConfiguration, _ precision: Precision
    ) throws(InferenceError) {
        let maker = Maker(type: precision.attentionType) { name, outputs, inputs in
            guard name.hasPrefix("language_model.") else { return nil }
            let noise = (0..<4099).map { Float(sin(Double($0 &+ Int(seed)) * 1.7)) * 0.01 }
            func values(_ count: Int) -> [Float] { (0..<count).map { noise[$0 % noise.count] } }
            return AdapterFolder.Factors(a: values(rank * inputs), b: values(outputs * rank), rank: rank)
        }
        try self.init(
            digest: "", base: nil, touchesImages: false, savedProjector: nil, for: c, maker)
    }

    private init(
        digest: String, base: String?, touchesImages: Bool, savedProjector: Linear?, for c: ModelConfiguration,
        _ maker: Maker
    ) throws(InferenceError) {
        (self.digest, self.base, self.touchesImages) = (digest, base, touchesImages)
        self.savedProjector = savedProjector
        let (t, v) = (c.text, c.vision)
        let (queries, keys) = (t.heads * t.headSize, t.kvHeads * t.headSize)
        var text: [Text] = []
        for index in 0..<t.layers {
            let name = TensorName.text(index)
            text.append(
                Text(
                    projections: try maker.lowRank(
                        Array(zip(TensorName.textProjections.map { name + $0 }, [queries, keys, keys])),
                        inputs: t.width),
                    output: try maker.lowRank([(name + TensorName.textOutput, t.width)], inputs: queries),
                    gateAndUp: try maker.gated(TensorName.gateAndUp.map { name + $0 }, outputs: t.mlp, inputs: t.width),
                    down: try maker.lowRank([(name + TensorName.down, t.width)], inputs: t.mlp)))
        }
        var vision: [Vision] = []
        for index in 0..<v.layers {
            func lowRank(_ parts: [String], _ outputs: Int, _ inputs: Int) throws(InferenceError) -> LowRank? {
                try maker.lowRank(
                    parts.map { (TensorName.vision(index) + $0 + ".weight", outputs) }, inputs: inputs)
            }
            vision.append(
                Vision(
                    projections: try lowRank(TensorName.visionProjections, v.width, v.width),
                    output: try lowRank([TensorName.visionOutput], v.width, v.width),
                    fc1: try lowRank([TensorName.fc1], v.mlp, v.width),
                    fc2: try lowRank([TensorName.fc2], v.width, v.mlp)))
        }
        (self.text, self.vision) = (text, vision)
        projector = try maker.lowRank([(TensorName.projector + ".weight", t.width)], inputs: v.width)
    }

    /// Makes the matrices of one product from the adapter's.
    private struct Maker {
        let type: gloss_dtype
        /// Of a matrix by its name, outputs and inputs; nil: the adapter does not change it.
        let factors: (String, Int, Int) -> AdapterFolder.Factors?

        /// Of matrices with these numbers of outputs, one below the other. Nil: the adapter changes none of them.
        func lowRank(_ matrices: [(name: String, outputs: Int)], inputs: Int) throws(InferenceError) -> LowRank? {
            var parts: [LowRank.Part] = []
            var outputs = 0
            for matrix in matrices {
                if let factors = factors(matrix.name, matrix.outputs, inputs) {
                    parts.append(
                        LowRank.Part(
                            outputs: outputs..<outputs + matrix.outputs, a: factors.a, b: factors.b, rank: factors.rank)
                    )
                }
                outputs += matrix.outputs
            }
            return parts.isEmpty ? nil : try LowRank(parts, inputs: inputs, outputs: outputs, type: type)
        }

        func gated(_ names: [String], outputs: Int, inputs: Int) throws(InferenceError) -> LowRank? {
            var parts: [LowRank.Part] = []
            for (gate, name) in names.enumerated() {
                guard let factors = factors(name, outputs, inputs) else { continue }
                parts.append(
                    LowRank.Part(outputs: 0..<outputs, gate: gate, a: factors.a, b: factors.b, rank: factors.rank))
            }
            return parts.isEmpty ? nil : try LowRank(parts, inputs: inputs, outputs: 2 * outputs, type: type)
        }

        static func savedProjector(
            _ folder: AdapterFolder, _ precision: Precision, outputs: Int, inputs: Int
        ) throws(InferenceError) -> Linear? {
            let tensors = TensorName.savedProjector.compactMap { folder.savedTensor($0) }
            guard let weight = tensors.first, let bias = tensors.last else { return nil }
            let shape = WeightShape(
                outputs: outputs, inputs: inputs, type: precision.weightType(weight.entry.type))
            let packed = try PackedWeights(shape)
            _ = weight.file.withBytes(of: weight.entry) {
                packed.fill(at: 0, rows: outputs, from: $0, type: weight.entry.type)
            }
            return Linear(
                weights: packed, bias: bias.file.withBytes(of: bias.entry) { floats(from: $0, type: bias.entry.type) })
        }
    }
}

extension Adapter: Hashable {
    /// The same object.
    public static func == (a: Adapter, b: Adapter) -> Bool { a === b }

    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// Rows of a pass that have an adapter.
struct AdaptedRows {
    let rows: Range<Int>
    let adapter: Adapter

    /// Of rows under each other, each run with its adapter; neighbours with the same one are one.
    static func runs(_ all: some Sequence<(rows: Range<Int>, adapter: Adapter?)>) -> [AdaptedRows] {
        var runs: [AdaptedRows] = []
        for case (let rows, let adapter?) in all {
            if let last = runs.last, last.adapter === adapter, last.rows.upperBound == rows.lowerBound {
                runs[runs.count - 1] = AdaptedRows(rows: last.rows.lowerBound..<rows.upperBound, adapter: adapter)
            } else {
                runs.append(AdaptedRows(rows: rows, adapter: adapter))
            }
        }
        return runs
    }
}

extension [AdaptedRows] {
    /// What they add to one product.
    func parts(_ product: (Adapter) -> LowRank?) -> [LowRankRows] {
        compactMap { run in product(run.adapter).map { LowRankRows(rows: run.rows, matrix: $0) } }
    }

    /// Those of the rows of `range`, counted from its begin.
    func within(_ range: Range<Int>) -> [AdaptedRows] {
        compactMap { run in
            let rows = run.rows.clamped(to: range)
            guard !rows.isEmpty else { return nil }
            return AdaptedRows(
                rows: rows.lowerBound - range.lowerBound..<rows.upperBound - range.lowerBound, adapter: run.adapter)
        }
    }
}
