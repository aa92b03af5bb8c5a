import Annotation
import Queue
import TestSupport
import Testing

@Suite struct JobLifeTests {
    private let worker = WorkerID(number: 1, identity: "w")
    private let policy = RetryPolicy(base: .seconds(2), cap: .seconds(600))

    private func failure(_ disposition: FailureDisposition) -> Outcome {
        .failed(Failure(code: "http_503", reason: "the server is busy", disposition: disposition))
    }

    private func end(_ life: inout JobLife, _ outcome: Outcome, fence: Int64) -> Receipt {
        life.end(outcome, fence: fence, at: .zero, policy: policy, jitter: 0)
    }

    @Test func retriesUntilTheLastAttempt() {
        var life = JobLife(maxAttempts: 2)
        life.claim(by: worker, fence: 1, at: .zero)
        #expect(end(&life, failure(.retry(after: nil)), fence: 1) == .recorded)
        #expect(life.state == .scheduled(.seconds(1)))
        #expect(!life.isDue(at: .zero) && life.isDue(at: .seconds(1)))
        life.claim(by: worker, fence: 2, at: .seconds(1))
        #expect(end(&life, failure(.retry(after: nil)), fence: 2) == .recorded)
        #expect(life.state == .dead(code: "http_503", reason: "the server is busy (attempt 2, the last)"))
    }

    @Test func aPermanentFailureIsTheEnd() {
        var life = JobLife()
        life.claim(by: worker, fence: 1, at: .zero)
        #expect(end(&life, failure(.permanent), fence: 1) == .recorded)
        #expect(life.state == .dead(code: "http_503", reason: "the server is busy"))
    }

    @Test func aReleaseBurnsNoAttempt() {
        var life = JobLife()
        life.claim(by: worker, fence: 1, at: .zero)
        #expect(end(&life, .released(reason: "shutdown", after: .zero), fence: 1) == .recorded)
        #expect(life.state == .ready)
        #expect(life.attemptCount == 0)
    }

    @Test func onlyTheHoldingFenceWrites() {
        var life = JobLife()
        life.claim(by: worker, fence: 1, at: .zero)
        life.rescue()
        life.claim(by: worker, fence: 2, at: .zero)
        #expect(end(&life, failure(.permanent), fence: 1) == .stale)
        #expect(end(&life, failure(.permanent), fence: 2) == .recorded)
        #expect(end(&life, failure(.permanent), fence: 2) == .alreadyRecorded)
    }

    @Test func theThirdRescueQuarantines() {
        var life = JobLife()
        for fence in 1...3 {
            #expect(life.isSuspect == (fence == 3))
            life.claim(by: worker, fence: Int64(fence), at: .zero)
            life.begin(fence: Int64(fence))
            life.rescue()
        }
        #expect(
            life.state == .dead(code: "poison", reason: "poison: 3 daemons died while their engines worked on this job")
        )
        #expect(life.attemptCount == 0)
        life.retry()
        #expect(life.state == .ready && life.rescueCount == 0)
    }

    @Test func cancelEndsWhatHasNotEnded() {
        var life = JobLife()
        life.claim(by: worker, fence: 1, at: .zero)
        life.cancel()
        #expect(life.state.name == "dead")
        #expect(end(&life, failure(.permanent), fence: 1) == .stale)
    }
}

@Suite struct RetryPolicyTests {
    private let policy = RetryPolicy(base: .seconds(2), cap: .seconds(60), requestedCap: .seconds(3600))

    @Test(arguments: [(1, 1.0, 2.0), (2, 2.0, 4.0), (3, 4.0, 8.0), (6, 30.0, 60.0), (1000, 30.0, 60.0), (0, 1.0, 2.0)])
    func doublesUpToTheCap(attempt: Int, least: Double, most: Double) {
        #expect(policy.delay(afterAttempt: attempt, jitter: 0) == .seconds(least))
        #expect(policy.delay(afterAttempt: attempt, jitter: 0.5) == .seconds((least + most) / 2))
    }

    @Test func honoursWhatTheServerAsksFor() {
        #expect(policy.delay(afterAttempt: 1, requested: .seconds(120), jitter: 0) == .seconds(120))
        #expect(policy.delay(afterAttempt: 1, requested: .seconds(9999), jitter: 0) == .seconds(3600))
        #expect(policy.delay(afterAttempt: 1, requested: .seconds(-5), jitter: 0.9) == .zero)
    }
}
