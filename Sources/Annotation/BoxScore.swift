import Foundation

/// How a box is scored.
///
/// The score is the probability that the model, if it answered once more, would give this box again: the product of
///
/// - the probability that the answer goes on: of the separator before the box; 1 for the first one;
/// - the probability of the place: that four coordinates, drawn each from the model's distribution at its step
///   (softmax of the raw logits) and independently, make a box whose overlap with this one, intersection over union, is
///   1/2 or more. A token that is no location makes no box, so a box that the model hardly began has a low score;
/// - the probability of the label: the geometric mean of its tokens' probabilities; 1 for a box that has no label.
///
/// The probability of the place is summed over the 16⁴ boxes that the cells of the four `LocationSpread`s make. It is
/// right to some 0.01. Nothing here is fitted to a model: a score is as good as the model's own probabilities are.
public enum BoxScore {
    /// The probability of the place.
    ///
    /// - Parameters:
    ///   - corners: y1, x1, y2, x2 of the box, 0...1023; y2 > y1, x2 > x1.
    ///   - spreads: of each of them.
    public static func place(_ corners: [Int], _ spreads: [LocationSpread]) -> Double {
        let heights = sides(corners[0], corners[2], spreads[0], spreads[2])
        let widths = sides(corners[1], corners[3], spreads[1], spreads[3])
        let area = Double((corners[2] - corners[0]) * (corners[3] - corners[1]))
        var share = 0.0
        for height in heights {
            for width in widths
            where 3 * height.common * width.common >= area + height.length * width.length {
                share += height.share * width.share
            }
        }
        return spreads.reduce(min(1, share)) { $0 * $1.mass }
    }

    /// Heights or widths of the drawn boxes, how much of each lies beside this box's, which runs from `low` to `high`, and
    /// how likely each is.
    private static func sides(
        _ low: Int, _ high: Int, _ lower: LocationSpread, _ upper: LocationSpread
    ) -> [(common: Double, length: Double, share: Double)] {
        let last = cells(upper)
        return cells(lower).flatMap { first in
            last.map { last in
                let common = min(last.position, Double(high)) - max(first.position, Double(low))
                return (max(0, common), max(0, last.position - first.position), first.share * last.share)
            }
        }
    }

    /// Equal cells as one: a sure model has few.
    private static func cells(_ spread: LocationSpread) -> [(position: Double, share: Double)] {
        var cells: [(position: Double, share: Double)] = []
        for (position, share) in zip(spread.positions, LocationSpread.shares) {
            if cells.last?.position != Double(position) { cells.append((Double(position), 0)) }
            cells[cells.count - 1].share += share
        }
        return cells
    }
}
