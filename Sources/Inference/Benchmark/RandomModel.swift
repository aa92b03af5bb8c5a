import Annotation
import Foundation

/// A PaliGemma of random weights, to measure what each stage costs: no file is needed. Its responses mean nothing; its
/// work is a real model's.
public final class RandomModel {
    /// What was measured.
    public struct Cost: Sendable {
        /// Seconds on the clock.
        public let seconds: Double
        /// Multiplications and additions of the matrix products, attention included, and nothing else.
        public let operations: Double
        /// Bytes of weights that were read at least once.
        public let weightBytes: Double

        /// What costs nothing.
        public static let nothing = Cost(seconds: 0, operations: 0, weightBytes: 0)

        /// One after the other.
        public static func + (a: Cost, b: Cost) -> Cost {
            Cost(
                seconds: a.seconds + b.seconds, operations: a.operations + b.operations,
                weightBytes: a.weightBytes + b.weightBytes)
        }

        /// So many times the same.
        public func scaled(by factor: Double) -> Cost {
            Cost(seconds: seconds * factor, operations: operations * factor, weightBytes: weightBytes * factor)
        }
    }

    /// Prefixes that were computed, to be extended.
    public struct Prefilled {
        let caches: [KeyValueCache]

        /// Both.
        public static func + (a: Prefilled, b: Prefilled) -> Prefilled { Prefilled(caches: a.caches + b.caches) }

        /// The first few.
        public func first(_ count: Int) -> Prefilled { Prefilled(caches: Array(caches.prefix(count))) }

        /// Bytes of keys and values.
        public var byteCount: Int { caches.reduce(0) { $0 + $1.byteCount } }
    }

    /// Sizes.
    public let configuration: ModelConfiguration
    /// The arithmetic.
    public let precision: Precision
    private let vision: VisionTower
    private let language: LanguageModel
    private let compute: Compute

    /// Draws the weights; some seconds at 3B.
    public init(
        _ configuration: ModelConfiguration, precision: Precision, instructionSet: InstructionSet = .best, threads: Int
    ) throws(InferenceError) {
        try configuration.check(precision, path: "a random model")
        var weights = RandomWeights(precision: precision)
        self.configuration = configuration
        self.precision = precision
        compute = Compute(
            instructionSet: instructionSet.kernel, isTiled: precision == .bf16AMX, threadCount: threads)
        vision = try VisionTower(configuration, from: &weights)
        language = try LanguageModel(configuration.text, from: &weights)
    }

    /// Bytes of a model's weights, about, with the keys and values of `tokens` tokens.
    public static func byteCount(_ configuration: ModelConfiguration, precision: Precision, tokens: Int) -> Int {
        let text = configuration.text
        let token = 2 * text.layers * text.kvHeads * text.headSize * precision.attentionType.byteCount
        return configuration.parameterCount * precision.weightType(.bf16).byteCount + tokens * token
    }

    /// Bytes of all packed matrices.
    public var weightByteCount: Int { vision.weightByteCount + language.weightByteCount }

    /// Bytes of the keys and values of `tokens` tokens.
    public func cacheByteCount(tokens: Int) -> Int { language.heads.cache.byteCount(capacity: tokens) }

    /// Adapters of noise for all linear layers of the decoder.
    public func adapters(_ count: Int, rank: Int) -> [Adapter] {
        certain {
            try (0..<count).map { index in
                try Adapter(random: rank, seed: UInt64(index), for: configuration, precision)
            }
        }
    }

    /// Images through the vision tower and the projector, together.
    public func embed(images count: Int) -> Cost {
        let side = configuration.vision.imageSize
        let rgb = (0..<side * side * 3).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        let pixels = PixelValues(rgb: rgb, width: side, height: side, size: side)
        let images = [PixelValues](repeating: pixels, count: count)
        return cost(operations: configuration.visionOperations(images: count), weightBytes: vision.weightByteCount) {
            _ = try vision.embed(images.map { ImageInput(pixels: $0) }, compute)
        }
    }

    /// Prefixes of `tokens` tokens each, in one pass; the next token of each is drawn.
    public func prefill(sequences: Int, tokens: Int, adapters: [Adapter] = []) -> (Prefilled, Cost) {
        let caches = (0..<sequences).map { _ in cache(capacity: tokens) }
        let operations = configuration.prefillOperations(sequences: sequences, tokens: tokens)
        let cost = cost(operations: operations, weightBytes: language.weightByteCount) {
            let parts = caches.enumerated().map { index, cache in
                SequenceRows(
                    own: cache, rows: index * tokens..<(index + 1) * tokens, bidirectional: tokens,
                    adapter: adapters.isEmpty ? nil : adapters[index % adapters.count])
            }
            try draw(language.forwardToLast(noise(rows: sequences * tokens), parts, compute), from: caches)
        }
        return (Prefilled(caches: caches), cost)
    }

    /// Prefixes of noise, as if they were computed: to extend many at no cost.
    public func prefixes(_ count: Int, tokens: Int) -> Prefilled {
        Prefilled(
            caches: (0..<count).map { _ in
                let cache = cache(capacity: tokens)
                cache.fillRandomly()
                cache.advance(by: tokens)
                return cache
            })
    }

    /// One token for each of `samples` responses of each prefix, `steps` times; the next tokens are drawn at
    /// temperature 1. The cost of one step.
    public func extend(_ prefilled: Prefilled, samples: Int, steps: Int, adapters: [Adapter] = []) -> Cost {
        let rows = prefilled.caches.count * samples
        var own = (0..<rows).map { _ in KeyValueBlocks(layout: language.heads.cache, limit: steps) }
        let seen = Double(prefilled.caches.first?.count ?? 0) + Double(steps) / 2
        let all = cost(
            operations: configuration.extendOperations(rows: rows, seen: seen) * Double(steps),
            weightBytes: language.weightByteCount * steps
        ) {
            for _ in 0..<steps {
                for row in 0..<rows { try own[row].makeRoom() }
                let parts = (0..<rows).map {
                    SequenceRows(
                        prefix: prefilled.caches[$0 / samples], response: own[$0], rows: $0..<$0 + 1,
                        // Side by side, as the scheduler has them.
                        adapter: adapters.isEmpty ? nil : adapters[$0 * adapters.count / rows])
                }
                var hidden = try noise(rows: rows)
                try language.forward(&hidden, parts, compute)
                try draw(hidden, from: prefilled.caches)
            }
        }
        return Cost(
            seconds: all.seconds / Double(steps), operations: all.operations / Double(steps),
            weightBytes: all.weightBytes / Double(steps))
    }

    /// Products of some numbers of rows with weights of the given size, over copies of them that no cache holds; the cost
    /// of one of each.
    public func product(rows counts: [Int], inputs: Int, outputs: Int, seconds: Double) -> [Cost] {
        let shape = WeightShape(outputs: outputs, inputs: inputs, type: precision.weightType(.bf16))
        return certain {
            var copies: [Linear] = []
            for index in 0..<max(1, 400_000_000 / shape.byteCount) {
                let weights = try PackedWeights(shape)
                weights.fillRandomly(seed: UInt64(index))
                copies.append(Linear(weights: weights, bias: nil))
            }
            return try counts.map { rows in
                let spent = try repeated(rows: rows, copies, seconds: seconds)
                return Cost(
                    seconds: spent, operations: 2 * Double(rows) * Double(inputs) * Double(outputs),
                    weightBytes: Double(shape.byteCount))
            }
        }
    }

    /// Seconds of a product of `rows` rows with each copy in turn, after one to warm up.
    private func repeated(rows: Int, _ copies: [Linear], seconds: Double) throws(InferenceError) -> Double {
        let (inputs, outputs) = (copies[0].weights.inputs, copies[0].weights.outputs)
        var x = try Operand(rows: rows, columns: inputs, type: precision.operandType)
        let values = [Float](repeating: 0.1, count: rows * inputs)
        compute.convert(try Matrix(rows: rows, columns: inputs, values: values), into: &x)
        var y = try Matrix(rows: rows, columns: outputs)
        compute.linear(x, copies[copies.count - 1], into: &y)
        var count = 0
        let start = ContinuousClock.now
        repeat {
            compute.linear(x, copies[count % copies.count], into: &y)
            count += 1
        } while (.now - start) / .seconds(1) < seconds
        return (.now - start) / .seconds(1) / Double(count)
    }

    private func noise(rows: Int) throws(InferenceError) -> Matrix {
        let values = (0..<1031).map { Float(sin(Double($0 * $0))) }
        var hidden = try Matrix(rows: rows, columns: configuration.text.width)
        for row in 0..<rows {
            hidden.setRows((0..<hidden.columns).map { values[($0 + 37 * row) % values.count] }, at: row)
        }
        return hidden
    }

    private func draw(_ hidden: borrowing Matrix, from prefixes: [KeyValueCache]) throws(InferenceError) {
        let own = KeyValueBlocks(layout: language.heads.cache, limit: 1)
        let settings = DecodeSettings(temperature: 1)
        var live = (0..<hidden.rows).map { row in
            LiveSequence(query: row, sample: row, prefix: prefixes[0], own: own, sampler: Sampler(settings: settings))
        }
        try language.draw(hidden, rows: live.firstRows, for: &live, locations: LocationTokens([:]), compute)
    }

    private func cache(capacity: Int) -> KeyValueCache {
        certain { try language.makeCache(capacity: capacity) }
    }

    /// Nothing is measured without memory.
    private func certain<Value>(_ work: () throws -> Value) -> Value {
        do { return try work() } catch { fatalError("\(error)") }
    }

    private func cost(operations: Double, weightBytes: Int, _ work: () throws -> Void) -> Cost {
        let start = ContinuousClock.now
        certain(work)
        return Cost(
            seconds: (.now - start) / .seconds(1), operations: operations, weightBytes: Double(weightBytes))
    }
}
