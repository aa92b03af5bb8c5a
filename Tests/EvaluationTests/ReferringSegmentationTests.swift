import Annotation
import Evaluation
import Testing

@Suite struct ReferringSegmentationTests {
    private typealias Expression = ReferringSegmentation.Expression

    /// The three means differ as soon as sizes and images do.
    @Test func threeMeansByTheirNames() {
        let expressions = [
            Expression(boxOverlap: 0.5, intersection: 90, union: 100, image: "a"),
            Expression(boxOverlap: 0.75, intersection: 1, union: 10, image: "a"),
            Expression(boxOverlap: 0.4, intersection: 3, union: 10, image: "b"),
        ]
        let figures = ReferringSegmentation.figures(expressions)
        #expect(figures.map(\.name) == ["mIoU", "cIoU", "gIoU", "box accuracy .5", "box accuracy .75", "box mIoU"])
        let wanted = [1.3 / 3, 94.0 / 120, 0.4, 2.0 / 3, 1.0 / 3, 1.65 / 3]
        for (figure, value) in zip(figures, wanted) { #expect(abs((figure.value ?? -1) - value) < 1e-12, "\(figure)") }
        #expect(ReferringSegmentation.figures(expressions, weights: [2, 0, 0])[1].value == 0.9)
    }

    /// What could not be read counts, with all pixels of the truth in the union.
    @Test func nothingFoundCountsAsWrong() throws {
        let truth = try #require(MaskRuns(height: 2, width: 2, runs: [1, 3]))
        let box = COCOBox(x: 0, y: 0, width: 1, height: 1)
        let none = Expression(box: nil, mask: nil, truthBox: box, truthMask: truth, image: "a")
        #expect(none == Expression(boxOverlap: 0, intersection: 0, union: 3, image: "a"))
        let flat = COCOBox(x: 0, y: 0, width: 1, height: 0)
        #expect(Expression(box: flat, mask: truth, truthBox: box, truthMask: truth, image: "a") == none)
        let half = COCOBox(x: 0, y: 0, width: 0.5, height: 1)
        let found = Expression(box: half, mask: truth, truthBox: box, truthMask: truth, image: "a")
        #expect(found.boxOverlap == 0.5 && found.maskOverlap == 1)
        #expect(Expression(box: half, mask: truth, truthBox: box, truthMask: nil, image: "a").maskOverlap == nil)
    }
}
