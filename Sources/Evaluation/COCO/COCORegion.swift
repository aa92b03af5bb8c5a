/// A rectangle as COCO writes it: `[x, y, width, height]` in pixels.
public struct COCOBox: Hashable, Sendable {
    /// The left edge.
    public var x: Double
    /// The upper edge.
    public var y: Double
    /// From left to right.
    public var width: Double
    /// From top to bottom.
    public var height: Double

    public init(x: Double, y: Double, width: Double, height: Double) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    /// Pixels within.
    public var area: Double { width * height }

    /// Intersection over union with the truth; of a crowd, over the detection's own area.
    ///
    /// Source: bbIou of maskApi.c, operation by operation: an IoU that equals a threshold must equal it here.
    func overlap(with truth: COCOBox, isCrowd: Bool) -> Double {
        let w = min(width + x, truth.width + truth.x) - max(x, truth.x)
        guard w > 0 else { return 0 }
        let h = min(height + y, truth.height + truth.y) - max(y, truth.y)
        guard h > 0 else { return 0 }
        let common = w * h
        return common / (isCrowd ? area : area + truth.area - common)
    }
}

/// Where something is: what an evaluation of boxes or one of masks compares.
public enum COCORegion: Hashable, Sendable {
    /// A rectangle.
    case box(COCOBox)
    /// Pixels.
    case mask(MaskRuns)

    /// Pixels within.
    public var area: Double {
        switch self {
        case .box(let box): box.area
        case .mask(let mask): Double(mask.area)
        }
    }

    /// Intersection over union with the truth, 0...1; of a crowd, over the detection's own area. Masks of images of
    /// different sizes do not overlap, nor does a box overlap a mask.
    public func overlap(with truth: COCORegion, isCrowd: Bool = false) -> Double {
        switch (self, truth) {
        case (.box(let box), .box(let other)): return box.overlap(with: other, isCrowd: isCrowd)
        case (.mask(let mask), .mask(let other)):
            let common = mask.intersection(with: other)
            guard common > 0 else { return 0 }
            return Double(common) / Double(isCrowd ? mask.area : mask.area + other.area - common)
        default: return 0
        }
    }
}
