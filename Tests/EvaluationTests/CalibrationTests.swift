import Evaluation
import Testing

@Suite struct CalibrationTests {
    @Test func binsAreOpenBelow() throws {
        // Of five bins: (.2, .4] has .4 and .3; 0 belongs to the first.
        let answers: [(probability: Double, score: Double)] = [(0.4, 1), (0.3, 0), (0, 0), (1, 1)]
        var calibration = Calibration(binCount: 5)
        for answer in answers { calibration.add(probability: answer.probability, score: answer.score) }
        #expect(calibration.bins.map(\.count) == [1, 2, 0, 0, 1])
        #expect(calibration.bins[1].confidence == 0.35 && calibration.bins[1].accuracy == 0.5)
        #expect(abs(try #require(calibration.expectedError) - 0.15 * 2 / 4) < 1e-15)
        #expect(abs(try #require(calibration.largestError) - 0.15) < 1e-15)
        #expect(abs(try #require(calibration.brier) - (0.36 + 0.09) / 4) < 1e-15)
    }

    @Test func nothingHasNoError() {
        let calibration = Calibration()
        #expect(calibration.expectedError == nil && calibration.brier == nil && calibration.bins.count == 15)
        #expect(RiskCoverage([]).area == nil && RiskCoverage([]).points.isEmpty)
    }

    /// Equally sure answers stay together, in whatever order they come.
    @Test func coverageTakesTheSurest() throws {
        let answers: [(sureness: Float, score: Float)] = [(0.75, 1), (0.5, 1), (0.5, 0), (0.25, 0)]
        // Risks of the first one, three and four: 0, 1/3, 1/2.
        let area = (2.0 / 3 + 0.5) / 4
        for answers in [answers, answers.reversed()] {
            let curve = RiskCoverage(answers, coverages: [0.25, 0.5, 1])
            #expect(curve.points.map(\.count) == [1, 3, 4])
            #expect(curve.points.map(\.accuracy) == [1, 2.0 / 3, 0.5])
            #expect(curve.points.map(\.threshold) == [0.75, 0.5, 0.25])
            #expect(abs(try #require(curve.area) - area) < 1e-15)
        }
    }
}
