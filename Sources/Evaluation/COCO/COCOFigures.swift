/// COCO's twelve numbers, each 0...1; nil where pycocotools says −1: no category has anything to be found.
public struct COCOFigures: Hashable, Sendable {
    /// The numbers' names in pycocotools' order.
    public static let names = [
        "AP", "AP50", "AP75", "AP small", "AP medium", "AP large", "AR1", "AR10", "AR100", "AR small", "AR medium",
        "AR large",
    ]
    /// The numbers, in the order of ``names``.
    public let values: [Double?]

    /// Average precision over the ten thresholds.
    public var averagePrecision: Double? { values[0] }
}

/// How good detections are above a score, at an IoU of .5.
public struct DetectionCounts: Hashable, Sendable {
    /// Things that were found.
    public var found = 0
    /// Detections of what is not there, or was found already.
    public var wrong = 0
    /// Things that were not found.
    public var missed = 0

    public init() {}

    /// The share of the detections that are right; nil without detections.
    public var precision: Double? { found + wrong == 0 ? nil : Double(found) / Double(found + wrong) }
    /// The share of the things that were found; nil if there are none.
    public var recall: Double? { found + missed == 0 ? nil : Double(found) / Double(found + missed) }
    /// Their harmonic mean; nil without detections and things.
    public var f1: Double? {
        found + wrong + missed == 0 ? nil : 2 * Double(found) / Double(2 * found + wrong + missed)
    }
}

extension COCOEvaluation {
    /// The twelve numbers.
    /// - Parameter weights: how often each image counts, in the order of ``images``, for a bootstrap; nil: once.
    ///
    /// Source: accumulate and summarize of pycocotools' cocoeval.py.
    public func figures(weights: [Int]? = nil) -> COCOFigures {
        var precision = [[Mean]](repeating: [Mean](repeating: Mean(), count: 4), count: 10)  // [threshold][area]
        var recall = [Mean](repeating: Mean(), count: 6)  // of 1, 10, 100 detections; of small, medium, large
        var curve = Curve()
        for category in categories {
            let positives = category.positiveCounts(weights)
            for area in 0..<4 where positives[area] > 0 {
                for index in Self.thresholds.indices {
                    let last = curve.trace(category.entries, area, index, positives[area], weights)
                    precision[index][area].add(contentsOf: curve.precisions)
                    recall[area + 2].add(last)
                    guard area == 0 else { continue }
                    for (place, most) in [1, 10].enumerated() {
                        recall[place].add(curve.recall(category.entries, area, index, positives[0], weights, most))
                    }
                }
            }
        }
        func over(_ area: Int) -> Double? {
            var mean = Mean()
            for index in precision.indices { mean.add(precision[index][area]) }
            return mean.value
        }
        let averages = [over(0), precision[0][0].value, precision[5][0].value, over(1), over(2), over(3)]
        return COCOFigures(values: averages + recall.map(\.value))
    }

    /// The average precision of each category, by its id; nil where nothing is to be found.
    public func averagePrecisions() -> [(category: Int, value: Double?)] {
        var curve = Curve()
        return categories.map { category in
            let positives = category.positiveCounts(nil)
            guard positives[0] > 0 else { return (category.id, nil) }
            var mean = Mean()
            for index in Self.thresholds.indices {
                _ = curve.trace(category.entries, 0, index, positives[0], nil)
                mean.add(contentsOf: curve.precisions)
            }
            return (category.id, mean.value)
        }
    }

    /// What is right among the detections with this score or more, at an IoU of .5, by category's id.
    public func counts(from score: Double = -.infinity) -> [(category: Int, counts: DetectionCounts)] {
        categories.map { category in
            var counts = DetectionCounts()
            for entry in category.entries where entry.score >= score && entry.ignored[0] & 1 == 0 {
                if entry.matched[0] & 1 == 1 { counts.found += 1 } else { counts.wrong += 1 }
            }
            counts.missed = category.positiveCounts(nil)[0] - counts.found
            return (category.id, counts)
        }
    }

    /// What a detection found.
    public struct Match: Hashable, Sendable {
        /// Index into the detections.
        public var detection: Int
        /// The annotation's id; nil: nothing.
        public var truth: Int?
        /// The IoU with it; of a crowd, over the detection's own area.
        public var overlap: Double?
        /// Whether it counts neither as right nor as wrong.
        public var isIgnored: Bool
    }

    /// What each detection found at an IoU of .5, in the order of the detections; those beyond 100 of an image and category
    /// are left out.
    public func matches() -> [Match] {
        categories.flatMap(\.entries).sorted { $0.detection < $1.detection }.map { entry in
            Match(
                detection: entry.detection, truth: entry.found?.id, overlap: entry.found?.overlap,
                isIgnored: entry.ignored[0] & 1 == 1)
        }
    }
}

extension COCOEvaluation.Category {
    /// How many things count, by area.
    func positiveCounts(_ weights: [Int]?) -> SIMD4<Int> {
        positives.reduce(into: .zero) { sum, here in
            sum &+= here.counts &* SIMD4(repeating: weights.map { $0[here.image] } ?? 1)
        }
    }
}

/// Precision over recall of one category, area and threshold.
private struct Curve {
    /// 0, .01, …, 1 as numpy's linspace has them: i · .01, not i / 100.
    private static let recalls = (0...100).map { Double($0) * 0.01 }
    private var points: [(recall: Double, precision: Double)] = []
    /// The precision at each of the 101 recalls.
    private(set) var precisions = [Double](repeating: 0, count: 101)

    /// - Returns: the recall of all detections.
    mutating func trace(
        _ entries: [COCOEvaluation.Entry], _ area: Int, _ threshold: Int, _ positives: Int, _ weights: [Int]?
    ) -> Double {
        points.removeAll(keepingCapacity: true)
        let bit: UInt16 = 1 << UInt16(threshold)
        var (right, wrong) = (0, 0)
        for entry in entries where entry.ignored[area] & bit == 0 {
            let weight = weights.map { $0[entry.image] } ?? 1
            guard weight > 0 else { continue }
            if entry.matched[area] & bit != 0 { right += weight } else { wrong += weight }
            let precision = Double(right) / (Double(wrong) + Double(right) + Double.ulpOfOne)
            points.append((Double(right) / Double(positives), precision))
        }
        // Precision never falls from right to left.
        if points.count > 1 {
            for index in stride(from: points.count - 1, to: 0, by: -1) {
                points[index - 1].precision = max(points[index - 1].precision, points[index].precision)
            }
        }
        var place = 0
        for (index, recall) in Self.recalls.enumerated() {
            while place < points.count, points[place].recall < recall { place += 1 }
            precisions[index] = place < points.count ? points[place].precision : 0
        }
        return points.last?.recall ?? 0
    }

    /// The recall of so many detections an image at most.
    func recall(
        _ entries: [COCOEvaluation.Entry], _ area: Int, _ threshold: Int, _ positives: Int, _ weights: [Int]?,
        _ most: Int
    ) -> Double {
        let bit: UInt16 = 1 << UInt16(threshold)
        var right = 0
        for entry in entries
        where entry.rank < most && entry.ignored[area] & bit == 0 && entry.matched[area] & bit != 0 {
            right += weights.map { $0[entry.image] } ?? 1
        }
        return Double(right) / Double(positives)
    }
}

/// A mean of many numbers, summed with Neumaier's correction: as exact as numpy's pairwise sum.
struct Mean: Sendable {
    private var sum = 0.0, correction = 0.0
    private(set) var count = 0

    /// The mean; nil of no numbers.
    var value: Double? { count == 0 ? nil : (sum + correction) / Double(count) }

    private mutating func addPart(_ number: Double) {
        let total = sum + number
        correction += abs(sum) >= abs(number) ? (sum - total) + number : (number - total) + sum
        sum = total
    }

    mutating func add(_ number: Double) {
        addPart(number)
        count += 1
    }

    mutating func add(contentsOf numbers: [Double]) {
        for number in numbers { add(number) }
    }

    /// All numbers of another mean.
    mutating func add(_ other: Mean) {
        addPart(other.sum)
        addPart(other.correction)
        count += other.count
    }
}
