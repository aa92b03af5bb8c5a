import Annotation
import Queue
import Testing

@testable import Work

/// An image that several held jobs want is fetched once.
@Suite struct SharedFileTests {
    /// A daemon that holds jobs about one URL, and what it did.
    private func held(_ count: Int, _ settings: WorkSettings = WorkSettings()) -> (Harness, [ClaimedJob], [Effect]) {
        var harness = Harness(settings)
        harness.register()
        harness.take(.memory(free: .max))
        let jobs = (0..<count).map { _ in harness.claim(Specs.caption()) }
        let effects = harness.take(.claimed(jobs, by: harness.worker))
        return (harness, jobs, effects)
    }

    private func failure(_ blame: ImageFailure.Blame) -> ImageFailure {
        ImageFailure(code: "code", message: "no", blame: blame, origin: "https://a.org")
    }

    private func lose(_ leases: [Lease], _ harness: inout Harness) -> [Effect] {
        harness.take(
            .heartbeatAnswered(
                HeartbeatReply(isRegistered: true, lostLeases: leases, workerCount: 1), by: harness.worker))
    }

    @Test func fourJobsAreOneRequest() {
        var settings = WorkSettings()
        settings.decoders = 1
        var (harness, _, effects) = held(4, settings)
        #expect(effects.fetches.count == 1)
        let file = effects.fetches[0].file
        harness.take(.fileSized(file, byteCount: 20))
        #expect(harness.state.budget.files.used == 20, "its bytes count once")
        effects = harness.bring(file)
        #expect(effects.decodes.count == 4 && effects.decodes.allSatisfy { $0.file == file })
        #expect(effects.discardedFiles == [file] && harness.state.budget.files.used == 0)
        #expect(harness.state.images.values.count { $0.state == .decoded } == 4)
        #expect(harness.state.files.isEmpty && harness.state.fileOf.isEmpty)
    }

    /// One that comes while the file is here takes it as it is.
    @Test func aJobThatComesLater() {
        var settings = WorkSettings()
        settings.decoders = 1
        var (harness, _, effects) = held(2, settings)
        let file = effects.fetches[0].file
        effects = harness.take(.fileFetched(file, FetchedFile(byteCount: 10, origin: "https://a.org", seconds: 0.1)))
        #expect(effects.decodes.count == 1)
        let late = harness.claim(Specs.caption())
        effects += harness.take(.claimed([late], by: harness.worker))
        #expect(effects.fetches.isEmpty && harness.state.budget.files.used == 10)
        var count = 0
        while count < effects.decodes.count {
            effects += harness.decode(effects.decodes[count].image)
            count += 1
        }
        #expect(count == 3 && effects.fetches.isEmpty && effects.discardedFiles == [file])
        let last = harness.claim(Specs.caption())
        #expect(harness.take(.claimed([last], by: harness.worker)).fetches.count == 1, "it is here no more")
    }

    @Test(arguments: [true, false]) func aFailureReachesAllOfThem(isPermanent: Bool) {
        var (harness, jobs, effects) = held(4)
        let failure = failure(isPermanent ? .image : .chance(retryAfter: nil))
        effects = harness.take(.fileFailed(effects.fetches[0].file, failure))
        let disposition: FailureDisposition = isPermanent ? .permanent : .retry(after: nil)
        let outcome = Outcome.failed(Failure(code: "code", reason: "no", disposition: disposition))
        #expect(effects.records == jobs.map { JobReport($0, outcome) })
        #expect(harness.state.images.isEmpty && harness.state.files.isEmpty)
        #expect(harness.state.budget.files.used == 0 && harness.state.budget.pixels.used == 0)
    }

    /// One answer is one failure of the origin, though four jobs wait for it; and so are several of one URL.
    @Test(arguments: [true, false]) func itCountsOnceForTheOrigin(isOneURL: Bool) {
        var (harness, _, effects) = held(4)
        for round in 1...3 {
            effects = harness.take(.fileFailed(effects.fetches[0].file, failure(.origin)))
            let parks = effects.filter { if case .park = $0 { true } else { false } }.count
            #expect(parks == (round == 3 && !isOneURL ? 1 : 0), "the third URL in a row parks it")
            let released = effects.records.filter { if case .released = $0.outcome { true } else { false } }.count
            #expect(effects.records.count == 4 && released == 4 * parks)
            harness.take(.recorded(effects.records.map { _ in .recorded }))
            let url = isOneURL ? "https://a.org/1.jpg" : "https://a.org/\(round + 1).jpg"
            let jobs = (0..<4).map { _ in harness.claim(Specs.caption(url)) }
            effects = harness.take(.claimed(jobs, by: harness.worker))
        }
    }

    /// Whether a name is wrong or this machine is cut off is one question for all of them.
    @Test func aDoubtIsSettledForAllOfThem() {
        var (harness, jobs, effects) = held(3)
        let doubt = ImageFailure(
            code: "host_not_found", message: "no", blame: .network(.name, isPermanent: true), origin: "https://a.org")
        #expect(harness.take(.fileFailed(effects.fetches[0].file, doubt)).records.isEmpty)
        #expect(lose([jobs[0].lease], &harness).records.isEmpty && harness.state.reachability.doubts.count == 1)
        let other = harness.claim(Specs.caption("https://b.org/1.jpg"))
        effects = harness.take(.claimed([other], by: harness.worker))
        effects = harness.take(
            .fileFetched(
                effects.fetches[0].file, FetchedFile(byteCount: 10, origin: "https://b.org", seconds: 0.1)))
        let outcome = Outcome.failed(Failure(code: "host_not_found", reason: "no", disposition: .permanent))
        #expect(effects.records == jobs[1...].map { JobReport($0, outcome) })
        #expect(harness.state.reachability.isEmpty)
    }

    /// What is cancelled ends nobody else's fetch; when nobody is left, it is given up, and is not what a later job waits for.
    @Test func aFetchEndsWithTheLastWhoWantsIt() {
        var (harness, jobs, effects) = held(3)
        let file = effects.fetches[0].file
        #expect(lose([jobs[0].lease], &harness).cancelledFetches.isEmpty)
        effects = lose([jobs[1].lease, jobs[2].lease], &harness)
        #expect(effects.cancelledFetches == [file] && harness.state.budget.pixels.used == 0)
        #expect(harness.state.budget.files.used == harness.state.settings.maxFileBytes, "until it has ended")
        let next = harness.claim(Specs.caption())
        effects = harness.take(.claimed([next], by: harness.worker))
        effects += harness.take(.fileFailed(file, ImageFailure(code: "c", message: "", blame: .cancelled)))
        #expect(effects.fetches.count == 1 && effects.fetches[0].file != file && effects.records.isEmpty)
        effects = harness.bring(effects.fetches[0].file)
        #expect(effects.begins == [[next.lease]])
    }

    /// A job that has no room for its pixels yet finds the file when it has, unless the room was needed.
    @Test(arguments: [false, true]) func aFileWaitsForAJobThatHasNoRoom(isTight: Bool) {
        let world = World()
        var settings = WorkSettings()
        settings.pixelBytes = settings.imageBytes
        settings.fileBytes = isTight ? settings.maxFileBytes : 2 * settings.maxFileBytes
        for number in 0..<4 {
            for _ in 0..<3 { world.store.enqueue(Specs.caption("https://\(number).org/1.jpg")) }
        }
        let daemon = world.addDaemon(settings)
        daemon.take(.started)
        #expect(world.run(until: 60) { world.store.doneCount == 12 }, "\(world.store.doneCount)")
        #expect(daemon.checks.violations.isEmpty, "\(daemon.checks.violations.prefix(3))")
        #expect(daemon.checks.fetchCount == 4 && daemon.checks.decodeCount == 12, "\(daemon.checks.fetchCount)")
    }
}
