import Annotation
import Testing

@testable import Inference

/// A box drawn into the model's image, against the same one pixel by pixel: reference/pixels.py's `draw_box`, which has
/// TensorFlow's bits (reference/check_resize.py).
@Suite struct DrawnBoxTests {
    /// Each pixel for itself.
    private func slow(_ pixels: PixelValues, _ box: Box) -> [UInt8] {
        let edges = [box.y1, box.x1, box.y2, box.x2].map { Int($0 * Float(pixels.size - 1)) }
        let (top, left, bottom, right) = (edges[0], edges[1], edges[2], edges[3])
        var bytes = pixels.bytes
        for y in 0..<pixels.size {
            for x in 0..<pixels.size where top <= y && y <= bottom && left <= x && x <= right {
                guard y == top || y == bottom || x == left || x == right else { continue }
                for (channel, value) in [UInt8(255), 0, 0].enumerated() {
                    bytes[(y * pixels.size + x) * 3 + channel] = value
                }
            }
        }
        return bytes
    }

    private static let boxes: [Box] = [
        Box(y1: 0, x1: 0, y2: 1, x2: 1), Box(y1: 0.25, x1: 0.25, y2: 0.75, x2: 0.75),
        Box(y1: 0.5, x1: 0.1, y2: 0.5, x2: 0.9), Box(y1: 0.3, x1: 0.3, y2: 0.3, x2: 0.3),
        Box(y1: -0.2, x1: 0.1, y2: 0.5, x2: 1.4), Box(y1: 0.6, x1: 0.1, y2: 0.4, x2: 0.9),
        Box(y1: 1.2, x1: 0, y2: 1.5, x2: 1), Box(y1: -2, x1: -2, y2: 3, x2: 3),
        Box(y1: -0.001, x1: 0.2, y2: 1.001, x2: 0.8),
    ]

    @Test func everyPixelIsThatOfTheSlowTwin() {
        var random = SplitMix64(5)
        func edge() -> Float { Float(random.next() % 1_400_001) / 1_000_000 - 0.2 }
        let some = (0..<60).map { _ in Box(y1: edge(), x1: edge(), y2: edge(), x2: edge()) }
        for size in [1, 3, 14, 28, 56] {
            let bytes = (0..<size * size * 3).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let pixels = PixelValues(resized: bytes, size: size)
            for box in Self.boxes + some {
                #expect(pixels.drawing(box).bytes == slow(pixels, box), "\(box) in \(size)")
            }
        }
    }

    /// What tf.image.draw_bounding_boxes gives; what is behind the point is cut off.
    @Test(arguments: [
        (Box(y1: 0, x1: 0, y2: 1, x2: 1), ["#####", "#...#", "#...#", "#...#", "#####"]),
        (Box(y1: 0.3, x1: 0.24, y2: 0.74, x2: 0.99), [".....", "####.", "####.", ".....", "....."]),
        (Box(y1: 0.25, x1: 0.25, y2: 0.75, x2: 0.75), [".....", ".###.", ".#.#.", ".###.", "....."]),
        (Box(y1: 0.5, x1: 0.5, y2: 0.5, x2: 0.5), [".....", ".....", "..#..", ".....", "....."]),
        (Box(y1: 0.75, x1: 0, y2: 0.5, x2: 1), [".....", ".....", ".....", ".....", "....."]),
        (Box(y1: -1, x1: 0.5, y2: 0.5, x2: 2), ["..#..", "..#..", "..###", ".....", "....."]),
    ])
    func tensorFlowsPixels(box: Box, expected: [String]) {
        let drawn = PixelValues(resized: Array(repeating: 7, count: 75), size: 5).drawing(box)
        let rows = (0..<5).map { row in
            String(
                (0..<5).map { column -> Character in
                    switch Array(drawn.bytes[(row * 5 + column) * 3..<(row * 5 + column) * 3 + 3]) {
                    case [255, 0, 0]: "#"
                    case [7, 7, 7]: "."
                    default: "?"
                    }
                })
        }
        #expect(rows == expected)
        // Numbers that no Int holds.
        let far = Box(y1: -1e30, x1: -1e30, y2: 1e30, x2: 1e30)
        #expect(drawn.drawing(far) == drawn)
        if expected[0] == "#####" { #expect(drawn.patch(row: 0, column: 0, size: 1) == [1, -1, -1]) }
    }
}
