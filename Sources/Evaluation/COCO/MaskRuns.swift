import Annotation

/// A mask as the lengths of runs of pixels outside, inside, outside, …, down the columns from left to right.
public struct MaskRuns: Hashable, Sendable {
    /// The image's height in pixels.
    public let height: Int
    /// The image's width in pixels.
    public let width: Int
    /// Ranges of pixels inside, in order, as start, end, start, end, …; a pixel's number is column · height + row.
    let edges: [Int32]
    /// How many pixels are inside.
    public let area: Int

    /// Runs of an image.
    /// - Parameter runs: the lengths, the first one outside; nil is returned if they are not those of an image of this size.
    public init?(height: Int, width: Int, runs: [Int]) {
        guard height > 0, width > 0, height <= Int(Int32.max) / width else { return nil }
        var (edges, at, area) = ([Int32](), 0, 0)
        for (index, run) in runs.enumerated() {
            guard run >= 0, run <= height * width - at else { return nil }
            if index % 2 == 1, run > 0 {
                area += run
                // Behind an empty run outside, two runs are one.
                if edges.last == Int32(at) {
                    edges[edges.count - 1] = Int32(at + run)
                } else {
                    edges += [Int32(at), Int32(at + run)]
                }
            }
            at += run
        }
        guard at == height * width else { return nil }
        self.init(height: height, width: width, edges: edges, area: area)
    }

    /// Run lengths in the characters of pycocotools; nil if they are none of an image of this size.
    public init?(_ mask: RunLengthMask) {
        guard let runs = mask.runs else { return nil }
        self.init(height: mask.height, width: mask.width, runs: runs)
    }

    private init(height: Int, width: Int, edges: [Int32], area: Int) {
        self.height = height
        self.width = width
        self.edges = edges
        self.area = area
    }

    /// In the characters of pycocotools.
    public var encoded: RunLengthMask {
        var (runs, at) = ([Int](), 0)
        for edge in edges {
            runs.append(Int(edge) - at)
            at = Int(edge)
        }
        if at < height * width || runs.isEmpty { runs.append(height * width - at) }
        return RunLengthMask(height: height, width: width, runs: runs)
    }

    /// Pixels that are inside both; 0 for images of different sizes.
    public func intersection(with other: MaskRuns) -> Int {
        guard height == other.height, width == other.width else { return 0 }
        var (common, i, j) = (0, 0, 0)
        while i < edges.count, j < other.edges.count {
            let end = min(edges[i + 1], other.edges[j + 1])
            common += max(0, Int(end) - Int(max(edges[i], other.edges[j])))
            if edges[i + 1] == end { i += 2 }
            if other.edges[j + 1] == end { j += 2 }
        }
        return common
    }

    /// Pixels that are inside any; the masks are of images of one size.
    private static func union(_ masks: [MaskRuns], height: Int, width: Int) -> MaskRuns {
        let ranges = masks.flatMap { mask in
            stride(from: 0, to: mask.edges.count, by: 2).map { (mask.edges[$0], mask.edges[$0 + 1]) }
        }.sorted { $0 < $1 }
        var edges: [Int32] = []
        for (start, end) in ranges {
            if let last = edges.last, start <= last {
                edges[edges.count - 1] = max(last, end)
            } else {
                edges += [start, end]
            }
        }
        let area = stride(from: 0, to: edges.count, by: 2).reduce(0) { $0 + Int(edges[$1 + 1]) - Int(edges[$1]) }
        return MaskRuns(height: height, width: width, edges: edges, area: area)
    }
}

// MARK: - Polygons

extension MaskRuns {
    /// The pixels of an object of several polygons, as pycocotools rasterises them.
    ///
    /// - Parameter polygons: corners `x, y, x, y, …` in pixels. Nil is returned if one has less than three, as many numbers
    ///   as make no pairs, or numbers beyond ±100,000,000.
    public init?(polygons: [[Double]], height: Int, width: Int) {
        guard height > 0, width > 0, height <= Int(Int32.max) / width, !polygons.isEmpty else { return nil }
        var masks: [MaskRuns] = []
        for polygon in polygons {
            guard polygon.count >= 6, polygon.count.isMultiple(of: 2), polygon.allSatisfy({ abs($0) < 1e8 }),
                let mask = MaskRuns(
                    height: height, width: width, runs: Self.runs(polygon: polygon, height: height, width: width))
            else { return nil }
            masks.append(mask)
        }
        self = masks.count == 1 ? masks[0] : Self.union(masks, height: height, width: width)
    }

    /// Where the outline crosses columns, on a grid five times as fine, and so the runs.
    ///
    /// Source: rleFrPoly of maskApi.c.
    private static func runs(polygon: [Double], height: Int, width: Int) -> [Int] {
        let scale = 5.0
        var crossings: [Int] = []
        var last: (u: Int, v: Int)?
        outline(polygon.map { Int(scale * $0 + 0.5) }) { u, v in
            defer { last = (u, v) }
            guard let last, u != last.u else { return }
            let x = (Double(u < last.u ? u : u - 1) + 0.5) / scale - 0.5
            guard x.rounded(.down) == x, x >= 0, x <= Double(width - 1) else { return }
            let y = (Double(min(v, last.v)) + 0.5) / scale - 0.5
            crossings.append(Int(x) * height + Int(min(max(y, 0), Double(height)).rounded(.up)))
        }
        crossings.append(height * width)
        crossings.sort()
        // Each crossing begins a run; two at one place cancel each other.
        var (runs, before, isJoined) = ([Int](), 0, false)
        for crossing in crossings {
            let run = crossing - before
            before = crossing
            if isJoined {
                runs[runs.count - 1] += run
                isJoined = false
            } else if run == 0 && !runs.isEmpty {
                isJoined = true
            } else {
                runs.append(run)
            }
        }
        return runs
    }

    /// Each point of the outline on the grid, in order around it.
    private static func outline(_ corners: [Int], _ point: (_ u: Int, _ v: Int) -> Void) {
        let count = corners.count / 2
        for index in 0..<count {
            let next = (index + 1) % count
            var (x1, y1, x2, y2) = (
                corners[2 * index], corners[2 * index + 1], corners[2 * next], corners[2 * next + 1]
            )
            let (dx, dy) = (abs(x2 - x1), abs(y2 - y1))
            let isWide = dx >= dy
            // The rounding is that of the way from left to right, or down.
            let isFlipped = isWide ? x1 > x2 : y1 > y2
            if isFlipped { (x1, y1, x2, y2) = (x2, y2, x1, y1) }
            let steps = isWide ? dx : dy
            let slope = steps == 0 ? 0 : Double(isWide ? y2 - y1 : x2 - x1) / Double(steps)
            for step in 0...steps {
                let t = isFlipped ? steps - step : step
                if isWide {
                    point(x1 + t, Int(Double(y1) + slope * Double(t) + 0.5))
                } else {
                    point(Int(Double(x1) + slope * Double(t) + 0.5), y1 + t)
                }
            }
        }
    }
}
