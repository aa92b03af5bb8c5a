import Annotation
import Foundation

/// The tokens of locations, for what is kept of a distribution beside the token that was taken.
struct LocationTokens: Sendable {
    /// Of the locations 0...1023 in order; nil where the model has none.
    private let ids: [Int?]
    private let values: [Int: Int]

    /// - Parameter values: the locations that tokens stand for, by id.
    init(_ values: [Int: Int]) {
        self.values = values
        var ids = [Int?](repeating: nil, count: (values.values.max() ?? -1) + 1)
        for (id, value) in values { ids[value] = id }
        self.ids = ids
    }

    func contains(_ token: Int) -> Bool { values[token] != nil }

    /// The distribution over locations that row `row` of `logits` gives. `logSumExp`: of that row.
    func spread(_ logits: borrowing Matrix, row: Int, logSumExp: Double) -> LocationSpread {
        var probabilities: [Double] = []
        probabilities.reserveCapacity(ids.count)
        for id in ids { probabilities.append(id.map { exp(Double(logits[row, $0]) - logSumExp) } ?? 0) }
        return LocationSpread(probabilities: probabilities)
    }
}
