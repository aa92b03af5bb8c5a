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

    /// Encodes a mask of `height` × `width` pixels, row by row.
    public init(height: Int, width: Int, pixels: [Bool]) {
        precondition(pixels.count == height * width)
        self.init(height: height, width: width, counts: Self.compressed(Self.runs(pixels, height, width)))
    }

    private static func runs(_ pixels: [Bool], _ height: Int, _ width: Int) -> [Int] {
        var runs: [Int] = []
        var (value, length) = (false, 0)
        for column in 0..<width {
            for row in 0..<height {
                if pixels[row * width + column] != value {
                    runs.append(length)
                    (value, length) = (!value, 0)
                }
                length += 1
            }
        }
        return runs + [length]
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
