import Foundation
import Testing

@testable import Inference

@Suite struct ExpectationTests {
    /// All operations at one speed. A small model's products say nothing of its time.
    @Test func timesFollowFromTheProductsSpeed() throws {
        let golden = try Golden(Golden.fixtures.appending(path: "tiny2"))
        let model = try golden.model(precision: .int8, compute: Compute(threadCount: 2))
        let found = try model.expectation()
        #expect(found.operationsPerSecond > 1e6 && !found.isMeaningful)
        let image = model.configuration.visionOperations(images: 1)
        #expect(abs(found.times.image * found.operationsPerSecond / image - 1) < 1e-9)

        let large = StageTimes(.paliGemma3B(imageSize: 224), operationsPerSecond: 1e12)
        #expect(Expectation(operationsPerSecond: 1e12, times: large).isMeaningful)
        #expect(30...45 ~= large.object, "37 T operations")
    }
}
