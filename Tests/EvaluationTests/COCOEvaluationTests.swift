import Annotation
import Testing

@testable import Evaluation

/// reference/check_coco.py compares with pycocotools; here is what it cannot see.
@Suite struct COCOEvaluationTests {
    /// Images with boxes on a grid, and detections near them, each with a score of its own.
    private func scene(_ images: [Int], as ids: [Int]) -> ([COCOTruth], [COCODetection]) {
        var (truths, detections) = ([COCOTruth](), [COCODetection]())
        for (image, id) in zip(images, ids) {
            var random = SeededRandom(seed: UInt64(image))
            for _ in 0..<6 {
                let (x, y) = (Double(random.index(below: 20)), Double(random.index(below: 20)))
                let box = COCOBox(x: x * 10, y: y * 10, width: 30 + x, height: 40 + y)
                let category = 1 + random.index(below: 2)
                truths.append(
                    COCOTruth(
                        image: id, category: category, id: truths.count + 1, region: .box(box), area: box.area,
                        isCrowd: random.index(below: 5) == 0))
                var near = box
                near.x += Double(random.index(below: 12))
                detections.append(
                    COCODetection(image: id, category: category, score: random.fraction(), region: .box(near)))
                detections.append(
                    COCODetection(image: id, category: 1, score: random.fraction(), region: .box(box)))
            }
        }
        return (truths, detections)
    }

    /// The fast way to draw images again, by weights, against images that are there as often.
    @Test func weightsAreRepetitions() {
        let weights = [2, 0, 1, 3]
        let (truths, detections) = scene([1, 2, 3, 4], as: [1, 2, 3, 4])
        let fast = COCOEvaluation(images: [1, 2, 3, 4], categories: [1, 2], truths: truths, detections: detections)
            .figures(weights: weights)
        let repeated = scene([1, 1, 3, 4, 4, 4], as: [1, 2, 3, 4, 5, 6])
        let slow = COCOEvaluation(
            images: Array(1...6), categories: [1, 2], truths: repeated.0, detections: repeated.1
        ).figures()
        #expect(fast.averagePrecision != nil)
        for (value, wanted) in zip(fast.values, slow.values) {
            #expect(abs((value ?? -1) - (wanted ?? -1)) < 1e-12, "\(fast) \(slow)")
        }
    }

    @Test func theIdZeroIsNeverFound() throws {
        let box = COCORegion.box(COCOBox(x: 0, y: 0, width: 50, height: 50))
        func figures(_ id: Int) -> COCOEvaluation {
            COCOEvaluation(
                images: [7], categories: [1],
                truths: [COCOTruth(image: 7, category: 1, id: id, region: box, area: 2500)],
                detections: [COCODetection(image: 7, category: 1, score: 0.5, region: box)])
        }
        // 1 / (1 + 2⁻⁵²), as in pycocotools.
        #expect(try #require(figures(1).figures().averagePrecision) > 0.999)
        #expect(figures(0).figures().averagePrecision == 0)
        #expect(figures(1).matches().first?.truth == 1 && figures(0).matches().first?.truth == nil)
        #expect(figures(1).counts(from: 0.6).first?.counts.missed == 1)
    }

    @Test func theThresholdsAreNumpys() {
        #expect(COCOEvaluation.thresholds[8] == 0.8999999999999999 && COCOEvaluation.thresholds[5] == 0.75)
    }

    // MARK: Masks

    private func runs(_ counts: [Int]) throws -> MaskRuns { try #require(MaskRuns(height: 4, width: 5, runs: counts)) }

    @Test func masksOverlapByPixels() throws {
        let (one, other) = (try runs([2, 6, 12]), try runs([4, 2, 0, 5, 9]))
        #expect(one.area == 6 && other.area == 7 && one.intersection(with: other) == 4)
        #expect(COCORegion.mask(one).overlap(with: .mask(other)) == 4.0 / 9)
        #expect(COCORegion.mask(one).overlap(with: .mask(other), isCrowd: true) == 4.0 / 6)
        let turned = try #require(MaskRuns(height: 5, width: 4, runs: [2, 6, 12]))
        #expect(COCORegion.mask(one).overlap(with: .mask(turned)) == 0)
    }

    @Test func whatIsNoMaskIsNone() {
        #expect(MaskRuns(height: 4, width: 5, runs: [21]) == nil && MaskRuns(height: 4, width: 5, runs: [19]) == nil)
        #expect(MaskRuns(height: 4, width: 5, runs: [-1, 21]) == nil && MaskRuns(height: 0, width: 5, runs: []) == nil)
        #expect(MaskRuns(RunLengthMask(height: 4, width: 5, counts: "!")) == nil)
        #expect(MaskRuns(polygons: [[0, 0, 1, 1]], height: 4, width: 5) == nil)
        #expect(MaskRuns(polygons: [[0, 0, 1, 1, .infinity, 2]], height: 4, width: 5) == nil)
    }

    /// Parts of a polygon are one mask, however they overlap.
    @Test func polygonsAreJoined() throws {
        let left = [0.0, 0, 3, 0, 3, 4, 0, 4], right = [2.0, 0, 5, 0, 5, 4, 2, 4]
        let whole = try #require(MaskRuns(polygons: [left, right], height: 4, width: 5))
        #expect(whole.area == 20)
        #expect(whole == MaskRuns(height: 4, width: 5, runs: [0, 20]))
        #expect(try #require(MaskRuns(polygons: [left], height: 4, width: 5)).area == 12)
        #expect(try #require(MaskRuns(polygons: [[7, 7, 9, 7, 9, 9]], height: 4, width: 5)).area == 0)
    }
}
