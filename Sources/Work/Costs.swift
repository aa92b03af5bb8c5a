import Annotation
import Queue

/// What work costs this engine, measured: averages in which an answer weighs the less the older it is.
struct Costs {
    /// A sum over a count, both of which fade.
    struct Average {
        private var sum = 0.0
        private var count = 0.0

        /// Nil before anything is measured.
        var value: Double? { count > 0 ? sum / count : nil }

        mutating func add(_ amount: Double, per units: Double) {
            guard units > 0 else { return }
            sum = sum * Costs.memory + amount
            count = count * Costs.memory + units
        }
    }

    /// What is left of an answer's weight when the next is there: after 70 answers a half.
    private static let memory = 0.99

    private var image = Average()
    private var prefill = Average()
    private var token = Average()
    /// Tokens that are decoded, as a share of the most that could be.
    private var shares: [TaskName: Average] = [:]

    /// What a claim is weighed with.
    private(set) var weights = WorkWeights()

    /// Whether anything is measured.
    var isMeasured: Bool { prefill.value != nil }

    mutating func add(_ cost: EngineCost, of task: TaskName, mostTokens: Int) {
        image.add(cost.visionSeconds, per: cost.images)
        prefill.add(cost.prefillSeconds, per: cost.prefills)
        token.add(cost.decodeSeconds, per: Double(cost.tokens))
        shares[task, default: Average()].add(Double(cost.tokens), per: Double(mostTokens))
        (weights.image, weights.prefill, weights.token) = (image.value ?? 0, prefill.value ?? 0, token.value ?? 0)
        weights.tasks[task.rawValue] = shares[task]?.value.map { min(1, $0) }
    }
}
