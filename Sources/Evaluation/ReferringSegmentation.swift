/// RefCOCO: one thing an expression, given by a box and a mask.
///
/// Source: big_vision's evaluators/proj/paligemma/transfers/segmentation.py for the boxes and the mean IoU; the cumulative IoU
/// is that of the referring segmentation papers, the grouped one that of LISA and its successors.
public struct ReferringSegmentation: Sendable {
    /// What became of an expression.
    public struct Expression: Hashable, Sendable {
        /// The IoU of the boxes, 0...1.
        public var boxOverlap: Double
        /// Pixels inside both masks; nil: the labels have no mask.
        public var intersection: Int?
        /// Pixels inside either mask; nil: the labels have no mask.
        public var union: Int?
        /// The image, for the mean over images.
        public var image: String

        public init(boxOverlap: Double, intersection: Int? = nil, union: Int? = nil, image: String) {
            self.boxOverlap = boxOverlap
            self.intersection = intersection
            self.union = union
            self.image = image
        }

        /// The IoU of the masks; nil: the labels have no mask. Two empty masks have 0.
        public var maskOverlap: Double? {
            guard let intersection, let union else { return nil }
            return union == 0 ? 0 : Double(intersection) / Double(union)
        }

        /// Compares what was found with the truth.
        ///
        /// - Parameters:
        ///   - box: nil: nothing was found, or it could not be read; so is a box without an area. It counts as an IoU of 0.
        ///   - mask: nil: there is none. All pixels of the truth are in the union then.
        public init(
            box: COCOBox?, mask: MaskRuns?, truthBox: COCOBox?, truthMask: MaskRuns?, image: String
        ) {
            let isValid = box.map { $0.width > 0 && $0.height > 0 } ?? false
            let overlap =
                if let box, let truthBox, isValid { box.overlap(with: truthBox, isCrowd: false) } else { 0.0 }
            guard let truthMask else {
                self.init(boxOverlap: overlap, image: image)
                return
            }
            let given = isValid ? mask : nil
            let common = given.map { $0.intersection(with: truthMask) } ?? 0
            self.init(
                boxOverlap: overlap, intersection: common, union: truthMask.area + (given?.area ?? 0) - common,
                image: image)
        }
    }

    /// The figures of expressions, each weighted: `mIoU` (mean over expressions), `cIoU` (Σ intersection / Σ union), `gIoU` (the
    /// mean over images of their mIoU), `box accuracy .5`, `box accuracy .75`, `box mIoU`. Those of masks are left out if no
    /// label has one.
    public static func figures(_ expressions: [Expression], weights: [Int]? = nil) -> [Figure] {
        var (count, boxes, half, three) = (0, 0.0, 0, 0)
        var (maskCount, masks, intersections, unions) = (0, 0.0, 0, 0)
        var images: [String: (sum: Double, count: Int)] = [:]
        for (index, expression) in expressions.enumerated() {
            let weight = weights?[index] ?? 1
            guard weight > 0 else { continue }
            count += weight
            boxes += Double(weight) * expression.boxOverlap
            if expression.boxOverlap >= 0.5 { half += weight }
            if expression.boxOverlap >= 0.75 { three += weight }
            guard let overlap = expression.maskOverlap else { continue }
            maskCount += weight
            masks += Double(weight) * overlap
            intersections += weight * (expression.intersection ?? 0)
            unions += weight * (expression.union ?? 0)
            images[expression.image, default: (0, 0)].sum += Double(weight) * overlap
            images[expression.image, default: (0, 0)].count += weight
        }
        func share(_ number: Double, _ whole: Int) -> Double? { whole == 0 ? nil : number / Double(whole) }
        var figures: [Figure] = []
        if expressions.contains(where: { $0.union != nil }) {
            let means = images.sorted { $0.key < $1.key }.map { $0.value.sum / Double($0.value.count) }
            figures += [
                Figure(name: "mIoU", value: share(masks, maskCount), count: maskCount),
                Figure(name: "cIoU", value: share(Double(intersections), unions), count: maskCount),
                Figure(name: "gIoU", value: share(means.reduce(0, +), means.count), count: means.count),
            ]
        }
        return figures + [
            Figure(name: "box accuracy .5", value: share(Double(half), count), count: count),
            Figure(name: "box accuracy .75", value: share(Double(three), count), count: count),
            Figure(name: "box mIoU", value: share(boxes, count), count: count),
        ]
    }
}
