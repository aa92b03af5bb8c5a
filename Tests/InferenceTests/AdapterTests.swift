import Annotation
import CKernels
import Foundation
import Testing

@testable import Inference

/// An adapter's folder in the fixtures, and what PEFT made of it.
struct GoldenAdapter: CustomTestStringConvertible {
    struct Case: Decodable {
        let image: String
        let prompt: String
        let ids: [Int]
        let logprobs: [Double]
    }

    let set: String
    let name: String

    static let names = ["plain", "rslora", "vision", "ranks", "projector"]
    static let all = ["tiny", "tiny3"].flatMap { set in names.map { GoldenAdapter(set: set, name: $0) } }

    var testDescription: String { "\(set)/\(name)" }
    var url: URL { Golden.fixtures.appending(path: "\(set)/adapters/\(name)") }

    func golden() throws -> Golden { try Golden(Golden.fixtures.appending(path: set)) }

    func cases() throws -> [Case] {
        struct Cases: Decodable { let cases: [Case] }
        return try JSONDecoder().decode(Cases.self, from: Data(contentsOf: url.appending(path: "golden.json"))).cases
    }
}

extension PaliGemma {
    /// What it answers to an adapter's case.
    func answer(_ example: GoldenAdapter.Case, _ golden: Golden, _ adapter: Adapter?) throws -> Generation {
        let images = try embedImages(golden.pixels([example.image], self), adapter: adapter)
        let request = GenerationRequest(
            images: images, prompt: example.prompt, settings: DecodeSettings(maxTokens: example.ids.count),
            adapter: adapter)
        return try generate([request])[0].get()[0]
    }
}

/// Adapters beside the model against PEFT in f32, and merged into it.
@Suite struct AdapterTests {
    @Test(arguments: GoldenAdapter.all) func equalsPEFT(_ subject: GoldenAdapter) throws {
        let golden = try subject.golden()
        let model = try golden.model()
        let adapter = try model.adapter(contentsOf: subject.url)
        #expect(adapter.touchesImages == (subject.name != "plain" && subject.name != "ranks"))
        for example in try subject.cases() {
            let answer = try model.answer(example, golden, adapter)
            #expect(answer.tokens == example.ids, "\(example.prompt)")
            for (a, b) in zip(answer.logProbabilities, example.logprobs) { #expect(abs(a - b) < 1e-4) }
        }
    }

    @Test(arguments: GoldenAdapter.all) func mergedEqualsPEFT(_ subject: GoldenAdapter) throws {
        let golden = try subject.golden()
        let file = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID()).gloss")
        defer { try? FileManager.default.removeItem(at: file) }
        let folder = golden.folder.appending(path: "model")
        try PaliGemma.pack(folder: folder, precision: .f32, adapter: subject.url, to: file)
        let model = try PaliGemma(contentsOf: file)
        let base = try golden.model()
        #expect(model.digest != base.digest && model.fileDigest.count == 64)
        for example in try subject.cases() {
            let answer = try model.answer(example, golden, nil)
            #expect(answer.tokens == example.ids, "\(example.prompt)")
            for (a, b) in zip(answer.logProbabilities, example.logprobs) { #expect(abs(a - b) < 1e-4) }
        }
    }

    /// Tensors stored in bf16 are not rounded to bf16 again once an adapter is merged.
    @Test func mergingWidensStoredBF16() throws {
        let subject = GoldenAdapter(set: "tiny", name: "vision")
        let golden = try subject.golden()
        let folder = golden.folder.appending(path: "model_bf16_sharded")
        let file = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID()).gloss")
        defer { try? FileManager.default.removeItem(at: file) }
        try PaliGemma.pack(folder: folder, precision: .f32, adapter: subject.url, to: file)
        let (merged, beside) = (try PaliGemma(contentsOf: file), try PaliGemma(contentsOf: folder, precision: .f32))
        let adapter = try beside.adapter(contentsOf: subject.url)
        for example in try subject.cases() {
            let (a, b) = (try merged.answer(example, golden, nil), try beside.answer(example, golden, adapter))
            #expect(a.tokens == b.tokens)
            for (a, b) in zip(a.logProbabilities, b.logProbabilities) { #expect(abs(a - b) < 1e-4) }
        }
    }

    /// Every way to compute a response knows the adapter.
    @Test(arguments: GoldenAdapter.all) func scoringAndTheSlowTwin(_ subject: GoldenAdapter) throws {
        let golden = try subject.golden()
        let model = try golden.model()
        let adapter = try model.adapter(contentsOf: subject.url)
        let example = try subject.cases()[1]
        let images = try model.embedImages(golden.pixels([example.image], model), adapter: adapter)
        let request = GenerationRequest(
            images: images, prompt: example.prompt, settings: DecodeSettings(maxTokens: 6, samples: 2, temperature: 1),
            adapter: adapter)
        let (cached, slow) = (try model.generate([request])[0].get(), try model.generateUncached(request))
        #expect(cached.map(\.tokens) == slow.map(\.tokens))
        for (a, b) in zip(cached.flatMap(\.logProbabilities), slow.flatMap(\.logProbabilities)) {
            #expect(abs(a - b) < 1e-4)
        }
        let with = try model.score(images: images, prompt: example.prompt, suffix: "cat", adapter: adapter)
        let without = try model.score(images: images, prompt: example.prompt, suffix: "cat")
        #expect(with.tokens == without.tokens && with.logProbabilities != without.logProbabilities)
    }

    /// The digest is what sha256sum says of the two files.
    @Test func digestIsOfBothFiles() throws {
        let subject = GoldenAdapter.all[0]
        let adapter = try subject.golden().model().adapter(contentsOf: subject.url)
        let names = ["adapter_config.json", "adapter_model.safetensors"]
        #expect(try adapter.digest == modelDigest(folder: subject.url, names: names))
        #expect(adapter.base == "base")
    }

    /// Beside the model no more is lost by rounding than in a merged one, of which every weight is rounded.
    @Test(arguments: [Precision.bf16, .bf16AMX, .int8]) func isAsExactAsMerged(precision: Precision) throws {
        var (beside, merged) = (0.0, 0.0)
        for subject in GoldenAdapter.all {
            let golden = try subject.golden()
            let file = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID()).gloss")
            defer { try? FileManager.default.removeItem(at: file) }
            try PaliGemma.pack(
                folder: golden.folder.appending(path: "model"), precision: precision, adapter: subject.url, to: file)
            let models = [
                try golden.model(), try golden.model(precision: precision),
                try PaliGemma(contentsOf: file, precision: precision),
            ]
            for example in try subject.cases() {
                let scores = try models.enumerated().map { index, model in
                    let adapter = index == 2 ? nil : try model.adapter(contentsOf: subject.url)
                    let images = try model.embedImages(golden.pixels([example.image], model), adapter: adapter)
                    return try model.score(
                        images: images, prompt: example.prompt, suffix: "a red cube", adapter: adapter
                    ).logProbabilities
                }
                beside += zip(scores[0], scores[1]).reduce(0) { $0 + abs($1.0 - $1.1) }
                merged += zip(scores[0], scores[2]).reduce(0) { $0 + abs($1.0 - $1.1) }
            }
        }
        #expect(beside < 1.25 * merged, "\(beside) \(merged)")
    }
}

/// The low-rank part of a product against plain loops, in every form and on every instruction set.
@Suite struct LowRankTests {
    @Test(arguments: Precision.allCases, [GLOSS_STORE, GLOSS_ADD, GLOSS_GELU, GLOSS_GEGLU])
    func equalsPlainLoops(precision: Precision, form: gloss_form) throws {
        let (rows, inputs, isGated) = (7, 50, form == GLOSS_GEGLU)
        let outputs = [70, isGated ? 70 : 41]
        var noise = Noise(3)
        let x = noise.values(rows * inputs)
        let weights = noise.values(outputs.reduce(0, +) * inputs, scale: 0.2)
        let bias = isGated ? nil : noise.values(outputs.reduce(0, +))
        let shape = WeightShape(
            outputs: outputs.reduce(0, +), inputs: inputs, type: precision.weightType(.f32), isGated: isGated)
        let packed = try PackedWeights(shape)
        for gate in 0..<(isGated ? 2 : 1) {
            let part = isGated ? Array(weights[gate * 70 * inputs..<(gate + 1) * 70 * inputs]) : weights
            part.withUnsafeBytes {
                _ = packed.fill(
                    at: 0, rows: part.count / inputs, gate: isGated ? gate : nil, from: $0.bytes, type: .f32)
            }
        }
        let linear = Linear(weights: packed, bias: bias)
        var parts: [LowRank.Part] = []
        for (index, rank) in [5, 3].enumerated() {
            let first = isGated ? 0 : index * outputs[0]
            parts.append(
                LowRank.Part(
                    outputs: first..<first + outputs[index], gate: isGated ? index : nil,
                    a: noise.values(rank * inputs), b: noise.values(rank * outputs[index], scale: 0.3), rank: rank))
        }
        let matrix = try LowRank(parts, inputs: inputs, outputs: shape.outputs, type: precision.attentionType)
        func compute(_ isa: gloss_isa, _ adapted: [Range<Int>]) throws -> [Float] {
            let compute = Compute(instructionSet: isa, isTiled: precision == .bf16AMX, threadCount: 2)
            let values = try Matrix(rows: rows, columns: inputs, values: x)
            var left = try Operand(rows: rows, columns: inputs, type: precision.operandType)
            var exact = try Operand(rows: rows, columns: inputs, type: precision.attentionType)
            compute.convert(values, into: &left)
            compute.convert(values, into: &exact)
            let addends = try compute.addends(exact, adapted.map { LowRankRows(rows: $0, matrix: matrix) })
            if form == GLOSS_STORE || form == GLOSS_ADD {
                let start = [Float](repeating: 0.25, count: rows * shape.outputs)
                var y = try Matrix(rows: rows, columns: shape.outputs, values: start)
                compute.linear(left, linear, into: &y, form, addends: addends)
                return y.values(rows: 0..<rows)
            }
            var y = try Operand(rows: rows, columns: isGated ? 70 : shape.outputs, type: precision.attentionType)
            compute.linear(left, linear, into: &y, form, addends: addends)
            return y.values
        }
        let (plain, mixed) = (try compute(GLOSS_GENERIC, []), try compute(GLOSS_GENERIC, [1..<3, 6..<7]))
        let all = try compute(GLOSS_GENERIC, [0..<rows])
        let width = plain.count / rows
        for row in 0..<rows {
            let range = row * width..<(row + 1) * width
            #expect(Array(mixed[range]) == Array(([1, 2, 6].contains(row) ? all : plain)[range]), "row \(row)")
        }
        for isa in instructionSets { #expect(try compute(isa, [1..<3, 6..<7]) == mixed) }
        // The values themselves.
        let delta = (0..<rows).map { row in
            parts.map { part in
                (0..<part.b.count / part.rank).map { output in
                    (0..<part.rank).reduce(Float(0)) { sum, k in
                        sum + part.b[output * part.rank + k]
                            * (0..<inputs).reduce(0) { $0 + part.a[k * inputs + $1] * x[row * inputs + $1] }
                    }
                }
            }
        }
        let exact = try product(
            x, Linear(weights: try f32(weights, inputs), bias: bias), rows: rows, .f32, GLOSS_STORE,
            Compute(threadCount: 1))
        let tolerance: Float = precision == .f32 ? 1e-4 : 0.2
        for row in 0..<rows {
            for column in 0..<width {
                let sums = exact[row * shape.outputs..<(row + 1) * shape.outputs]
                let whole = zip(sums, delta[row].joined()).map { $0 + $1 }
                let expected: Float =
                    switch form {
                    case GLOSS_STORE: whole[column]
                    case GLOSS_ADD: whole[column] + 0.25
                    case GLOSS_GELU: gelu(whole[column])
                    default: gelu(whole[column]) * whole[70 + column]
                    }
                #expect(abs(all[row * width + column] - expected) < tolerance * max(1, abs(expected)))
            }
        }
    }

    private func f32(_ values: [Float], _ inputs: Int) throws -> PackedWeights {
        let packed = try PackedWeights(WeightShape(outputs: values.count / inputs, inputs: inputs, type: GLOSS_F32))
        values.withUnsafeBytes { _ = packed.fill(at: 0, rows: values.count / inputs, from: $0.bytes, type: .f32) }
        return packed
    }

    private func gelu(_ x: Float) -> Float { 0.5 * x * (1 + tanh(0.797_884_56 * (x + 0.044_715 * x * x * x))) }
}
