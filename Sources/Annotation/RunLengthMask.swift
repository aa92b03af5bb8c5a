/// The pixels of something in an image, as COCO's compressed run lengths.
public struct RunLengthMask: Hashable, Sendable {
    /// The image's height in pixels, as it is shown upright.
    public var height: Int
    /// The image's width in pixels, as it is shown upright.
    public var width: Int
    /// The lengths of runs of pixels that are outside, inside, outside, …, down the columns from left to right, in the
    /// characters of pycocotools: what it calls `counts`.
    public var counts: String

    public init(height: Int, width: Int, counts: String) {
        self.height = height
        self.width = width
        self.counts = counts
    }

    /// Encodes runs.
    /// - Parameter runs: the lengths of runs of pixels that are outside, inside, outside, … of an image of this size.
    public init(height: Int, width: Int, runs: [Int]) {
        self.init(height: height, width: width, counts: Self.compressed(runs))
    }

    /// Encodes a window of a mask; nothing is inside beyond it.
    ///
    /// - Parameters:
    ///   - rows: of the window, within 0..<height.
    ///   - columns: of the window, within 0..<width.
    ///   - pixels: whether each pixel of the window is inside, row by row.
    public init(height: Int, width: Int, rows: Range<Int>, columns: Range<Int>, pixels: [Bool]) {
        precondition(
            pixels.count == rows.count * columns.count && rows.upperBound <= height && columns.upperBound <= width)
        var runs: [Int] = []
        var (value, length) = (false, 0)
        func add(_ pixel: Bool, _ count: Int) {
            if pixel != value, count > 0 {
                runs.append(length)
                (value, length) = (pixel, 0)
            }
            length += count
        }
        add(false, columns.lowerBound * height)
        for column in columns.indices {
            add(false, rows.lowerBound)
            for row in 0..<rows.count { add(pixels[row * columns.count + column - columns.lowerBound], 1) }
            add(false, height - rows.upperBound)
        }
        add(false, (width - columns.upperBound) * height)
        self.init(height: height, width: width, runs: runs + [length])
    }

    /// The lengths of the runs, the first one outside; nil if `counts` are no run lengths of an image of this size.
    ///
    /// Source: rleFrString of cocoapi's maskApi.c.
    public var runs: [Int]? {
        guard height >= 0, width >= 0 else { return nil }
        var (runs, total) = ([Int](), 0)
        var (value, shift) = (0, 0)
        for byte in counts.utf8 {
            guard 48..<112 ~= byte, shift < 60 else { return nil }
            let group = Int(byte) - 48
            value |= (group & 31) << shift
            shift += 5
            if group & 32 != 0 { continue }
            if group & 16 != 0 { value |= -1 << shift }
            if runs.count > 2 { value += runs[runs.count - 2] }
            guard value >= 0, value <= height * width - total else { return nil }
            total += value
            runs.append(value)
            (value, shift) = (0, 0)
        }
        return shift == 0 && total == height * width ? runs : nil
    }

    /// From the fourth run on, the difference from the run before the last. Each number in groups of five bits, the
    /// lowest first, with a sixth bit where more follow: characters from `0` on.
    ///
    /// Source: rleToString of cocoapi's maskApi.c.
    private static func compressed(_ runs: [Int]) -> String {
        var bytes: [UInt8] = []
        for (index, run) in runs.enumerated() {
            var rest = index > 2 ? run - runs[index - 2] : run
            var goesOn = true
            while goesOn {
                var group = UInt8(rest & 31)
                rest >>= 5
                goesOn = group & 16 == 0 ? rest != 0 : rest != -1
                if goesOn { group |= 32 }
                bytes.append(group + 48)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
