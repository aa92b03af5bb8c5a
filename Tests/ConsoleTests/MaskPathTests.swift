import Annotation
import Foundation
import Testing

@testable import Console

/// Masks as the page shows them.
@Suite struct MaskPathTests {
    private func mask(_ height: Int, _ width: Int, _ isInside: (Int, Int) -> Bool) -> RunLengthMask {
        let pixels = (0..<height).flatMap { row in (0..<width).map { isInside(row, $0) } }
        return RunLengthMask(height: height, width: width, rows: 0..<height, columns: 0..<width, pixels: pixels)
    }

    /// Which of the picture's pixels the path covers, by their middles, and that none is covered twice.
    private func painted(_ path: MaskPath, _ height: Int, _ width: Int) throws -> [Bool] {
        let numbers = path.transform.split { !($0.isNumber || $0 == "." || $0 == "-") }.compactMap { Double($0) }
        try #require(numbers.count == 4)
        var pixels = [Bool](repeating: false, count: height * width)
        for piece in path.data.split(separator: "M") {
            let parts = piece.split { !$0.isNumber }.compactMap { Double($0) }
            try #require(parts.count == 5 && parts[2] == parts[4] && piece.hasSuffix("z"))
            let left = numbers[0] + parts[0] * numbers[2], top = numbers[1] + parts[1] * numbers[3]
            let right = left + parts[2] * numbers[2], bottom = top + parts[3] * numbers[3]
            for row in 0..<height where (top...bottom).contains((Double(row) + 0.5) * 1000 / Double(height)) {
                for column in 0..<width
                where (left...right).contains((Double(column) + 0.5) * 1000 / Double(width)) {
                    #expect(!pixels[row * width + column])
                    pixels[row * width + column] = true
                }
            }
        }
        return pixels
    }

    /// A mask that is no larger than the cells is shown pixel by pixel.
    @Test func smallMasksAreExact() throws {
        for (height, width) in [(1, 1), (7, 5), (97, 131), (40, 192)] {
            for seed in 0..<4 {
                let shape = mask(height, width) { row, column in
                    switch seed {
                    case 0: true
                    case 1: (row - height / 2) * (row - height / 2) + (column - 9) * (column - 9) < 90
                    case 2: (row * 31 + column * 17 + row * column) % 5 < 2 && height * width < 6000
                    default: column == width / 2 || row == 2
                    }
                }
                guard let path = MaskPath(shape) else {
                    #expect(shape.runs == [height * width])
                    continue
                }
                let runs = (shape.runs ?? []).enumerated().flatMap { Array(repeating: $0 % 2 == 1, count: $1) }
                let expected = (0..<height * width).map { runs[$0 % width * height + $0 / width] }
                #expect(try painted(path, height, width) == expected, "\(height) × \(width), \(seed)")
            }
        }
    }

    /// A disc of a photograph's size, and noise: few bytes, and the disc's area.
    @Test func largeMasksAreBounded() throws {
        let disc = mask(900, 1200) { ($0 - 450) * ($0 - 450) + ($1 - 600) * ($1 - 600) < 160_000 }
        let path = try #require(MaskPath(disc))
        #expect(path.data.utf8.count < 8000)
        let area = try painted(path, 900, 1200).count { $0 }
        #expect(abs(Double(area) / (160_000 * Double.pi) - 1) < 0.02)
        let noise = mask(600, 600) { ($0 &* 2_654_435_761 ^ $1 &* 40503 ^ $0 &* $1 &* 7919) >> 7 & 1 == 0 }
        #expect(try #require(MaskPath(noise)).data.utf8.count < 64000)
    }

    @Test func whatCannotBeReadIsNotShown() {
        #expect(MaskPath(RunLengthMask(height: 3, width: 4, counts: "0;")) == nil)
        #expect(MaskPath(mask(3, 4) { _, _ in false }) == nil)
    }
}
