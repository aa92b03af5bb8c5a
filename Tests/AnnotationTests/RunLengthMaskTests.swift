import Testing

@testable import Annotation

/// COCO's compressed run lengths, read back.
@Suite struct RunLengthMaskTests {
    /// What pycocotools gives for masks of these sizes.
    @Test(arguments: [
        (3, 4, "0<", [0, 12]), (4, 5, "d0", [20]), (5, 4, "62200N4", [6, 2, 2, 2, 2, 0, 6]),
        (200, 300, "X4n1j\\j1", [136, 62, 59802]), (10, 20, "5T33FO", [5, 100, 3, 90, 2]),
    ]) func knownCounts(height: Int, width: Int, counts: String, runs: [Int]) throws {
        let mask = RunLengthMask(height: height, width: width, counts: counts)
        #expect(mask.runs == runs)
    }

    @Test func everyMaskIsReadBack() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let (height, width) = (Int.random(in: 1...40, using: &random), Int.random(in: 1...40, using: &random))
            let share = Double.random(in: 0...1, using: &random)
            let pixels = (0..<height * width).map { _ in Double.random(in: 0..<1, using: &random) < share }
            let mask = RunLengthMask(height: height, width: width, rows: 0..<height, columns: 0..<width, pixels: pixels)
            let runs = mask.runs ?? []
            let columnMajor = runs.enumerated().flatMap { Array(repeating: $0 % 2 == 1, count: $1) }
            let expected = (0..<width).flatMap { column in (0..<height).map { pixels[$0 * width + column] } }
            #expect(columnMajor == expected, "\(mask.counts)")
        }
    }

    @Test(arguments: ["", "0", "0;", "ä", " <", "0<P", String(repeating: "o", count: 40), "P<"])
    func whatIsNoRunLengthsIsRefused(counts: String) {
        #expect(RunLengthMask(height: 3, width: 4, counts: counts).runs == nil)
    }
}
