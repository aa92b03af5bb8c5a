import Annotation
import Console
import Foundation

/// Texts to choose from, scored.
struct Choices {
    /// A choice as `--json` gives it.
    struct Row: Encodable {
        let text: String
        let sumLogprob: Double
        let normLogprob: Double
        /// Softmax of `sumLogprob` over the choices.
        let probability: Double

        enum CodingKeys: String, CodingKey {
            case text, probability
            case sumLogprob = "sum_logprob"
            case normLogprob = "norm_logprob"
        }
    }

    /// In the order given.
    let responses: [Generation]
    let rows: [Row]
    /// Index of the likeliest; of equal ones the first.
    let best: Int

    init(_ texts: [String], _ responses: [Generation]) {
        self.responses = responses
        let sums = responses.map(\.sumLogprob)
        let most = sums.max() ?? 0
        let weights = sums.map { exp($0 - most) }
        let total = weights.reduce(0, +)
        rows = texts.indices.map { index in
            Row(
                text: texts[index], sumLogprob: sums[index], normLogprob: responses[index].normLogprob,
                probability: weights[index] / total)
        }
        best = sums.firstIndex(of: most) ?? 0
    }

    var table: Table {
        var table = Table([.text("CHOICE"), .number("PROBABILITY"), .number("SUM"), .number("NORMALISED")])
        for (index, row) in rows.enumerated() {
            let numbers = [row.probability, row.sumLogprob, row.normLogprob].map { Formats.fixed($0, 4) }
            table.add([Table.Cell(row.text, index == best ? .green : .plain)] + numbers.map { Table.Cell($0) })
        }
        return table
    }
}
