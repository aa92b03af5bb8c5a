import Annotation
import Queue
import Testing

@testable import Work

/// What images take, and what becomes of those that cannot be decoded.
@Suite struct ImageTests {
    private func attempts(_ world: World) -> Int { world.store.jobs.values.reduce(0) { $0 + $1.attemptCount } }

    /// A quick host with large files: what is fetched or waits for a decoder stays within the budget, however many jobs there are.
    @Test func largeFilesStayWithinTheBudget() {
        let world = World()
        var settings = WorkSettings()
        (settings.fileBytes, settings.maxFileBytes) = (256 << 20, 32 << 20)
        for host in 0..<8 {
            world.web.answers["https://\(host).org"] = { _ in
                var answer = SimulatedWeb.file("https://\(host).org", seconds: 0.02, byteCount: 30 << 20)
                answer.headers = host % 2 == 0 ? 0.01 : nil
                return answer
            }
        }
        for index in 0..<100 { world.store.enqueue(Specs.object(views: 4, "https://\(index % 8).org")) }
        let daemon = world.addDaemon(settings)
        daemon.take(.started)
        #expect(world.run(until: 600) { world.store.openCount == 0 })
        #expect(daemon.checks.violations.isEmpty, "\(daemon.checks.violations.prefix(3))")
        #expect(daemon.checks.mostFileBytes > 128 << 20, "the budget is used: \(daemon.checks.mostFileBytes)")
        #expect(
            daemon.state.budget.files.used == 0 && daemon.state.budget.pixels.used == 0 && daemon.state.images.isEmpty)
    }

    /// Jobs of many images never wait for room that others like them hold.
    @Test func jobsOfManyImagesDoNotBlockEachOther() {
        let world = World()
        var settings = WorkSettings()
        settings.pixelBytes = 10 * settings.imageBytes
        for index in 0..<12 {
            world.store.enqueue(Specs.object(views: index % 3 == 0 ? 16 : 7, "https://\(index).org"))
        }
        let daemon = world.addDaemon(settings)
        daemon.take(.started)
        #expect(world.run(until: 300) { world.store.doneCount == 12 }, "\(world.store.doneCount)")
        #expect(daemon.checks.violations.isEmpty)
    }

    /// Decoding waits for memory, and what takes more than there is holds the daemon up until there is more.
    @Test func decodingWaitsForMemory() throws {
        let world = World()
        for index in 0..<10 { world.store.enqueue(Specs.caption("https://\(index).org/a")) }
        world.web.decodeBytes = 500 << 20
        let daemon = world.addDaemon()
        daemon.freeMemory = 100 << 20
        daemon.take(.started)
        world.run(until: 60)
        let holdup = try #require(daemon.status.holdup)
        #expect(holdup.contains("decoding takes up to 500 MB of memory, and 100 MB are free"))
        #expect(world.store.doneCount == 0 && attempts(world) == 0)
        daemon.freeMemory = 800 << 20
        #expect(world.run(until: 200) { world.store.doneCount == 10 } && daemon.status.holdup == nil)
        #expect(daemon.checks.violations.isEmpty)
    }

    @Test func claimsNothingWhileHardlyAnyMemoryIsFree() {
        let world = World()
        world.store.enqueue(Specs.caption())
        let daemon = world.addDaemon()
        daemon.freeMemory = 1 << 20
        daemon.take(.started)
        world.run(until: 30)
        #expect(world.store.claims.isEmpty && daemon.status.holdup == "only 1 MB of memory are free")
        daemon.freeMemory = 1 << 30
        #expect(world.run(until: 35) { world.store.doneCount == 1 })
    }

    /// Late by the clock: no attempt. Killed: a second decoder gets the image, and then it is dead. Nothing is tried a hundred times.
    @Test func decodersThatFail() {
        func run(_ blame: ImageFailure.Blame) -> (SimulatedStore.Job?, decodes: Int, SimulatedDaemon) {
            let world = World()
            let id = world.store.enqueue(Specs.caption())
            var count = 0
            world.web.decodeFailure = { _ in
                count += 1
                return ImageFailure(code: "decoder", message: "the decoder failed", blame: blame)
            }
            let daemon = world.addDaemon()
            daemon.take(.started)
            world.run(until: 20)
            return (world.store.jobs[id], count, daemon)
        }
        let (late, lateCount, _) = run(.lateDecoder)
        #expect(late?.attemptCount == 0 && late?.releases == [.outage: 1] && lateCount == 1)
        let (killed, killedCount, daemon) = run(.killedDecoder)
        #expect(killed?.place == .dead("decoder") && killed?.attemptCount == 1 && killedCount == 2)
        #expect(daemon.checks.violations.isEmpty && daemon.state.budget.files.used == 0)
        let (wrong, wrongCount, _) = run(.image)
        #expect(wrong?.place == .dead("decoder") && wrongCount == 1, "over its processor time")
    }

    /// A decoder that is killed once is no reason for a failure.
    @Test func aDecoderThatIsKilledOnceIsReplaced() {
        let world = World()
        world.store.enqueue(Specs.caption())
        var count = 0
        world.web.decodeFailure = { _ in
            count += 1
            return count == 1 ? ImageFailure(code: "decoder", message: "", blame: .killedDecoder) : nil
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 20) { world.store.doneCount == 1 } && attempts(world) == 0)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// No decoder can be started: the daemon says so, tries again now and then, and no job pays for it.
    @Test func aMachineThatCannotDecodeSaysSo() {
        let world = World()
        for index in 0..<30 { world.store.enqueue(Specs.caption("https://\(index).org/a")) }
        world.web.decodeFailure = { _ in
            ImageFailure(code: "local_failure", message: "no decoder starts", blame: .machine(wantedBytes: nil))
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        world.run(until: 100)
        #expect(daemon.status.holdup == "no decoder starts" && attempts(world) == 0)
        world.web.decodeFailure = nil
        #expect(world.run(until: 1000) { world.store.doneCount == 30 } && daemon.status.holdup == nil)
        #expect(daemon.checks.violations.isEmpty)
    }

    /// This process stood still: the job is tried again at once.
    @Test func aStandstillIsNobodysFault() {
        let world = World()
        let id = world.store.enqueue(Specs.caption())
        var count = 0
        world.web.everywhere = { origin, _ in
            count += 1
            return count == 1 ? SimulatedWeb.failure(.standstill, origin, code: "stood_still") : nil
        }
        world.addDaemon().take(.started)
        #expect(world.run(until: 20) { world.store.doneCount == 1 } && world.store.jobs[id]?.attemptCount == 0)
        #expect(world.store.parked.isEmpty)
    }

    /// Wrong images are dead with their reason, the others go on.
    @Test func aWrongImageEndsItsJobAlone() {
        let world = World()
        let spec = JobSpec(task: .multiview, imageURLs: ["https://a.org/1", "https://bad.org/2", "https://a.org/3"])
        let bad = world.store.enqueue(spec)
        world.store.enqueue(Specs.object())
        world.web.answers["https://bad.org"] = { _ in
            SimulatedWeb.failure(.image, "https://bad.org", code: "http_404")
        }
        let daemon = world.addDaemon()
        daemon.take(.started)
        #expect(world.run(until: 60) { world.store.openCount == 0 })
        #expect(world.store.jobs[bad]?.place == .dead("http_404") && world.store.doneCount == 1)
        #expect(daemon.state.images.isEmpty && daemon.state.budget.pixels.used == 0)
    }
}
