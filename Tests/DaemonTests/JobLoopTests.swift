import Foundation
import Images
import Logging
import Queue
import TestSupport
import Testing

@testable import Daemon
@testable import Inference

/// From fetched to reported, with the real model on its thread and the queue in memory.
@Suite(.timeLimit(.minutes(2))) struct JobLoopTests {
    private let model: PaliGemma
    private let store = MemoryJobStore()
    private let events: AsyncStream<JobEvent>
    private let inbox: AsyncStream<JobEvent>.Continuation

    init() throws {
        (events, inbox) = AsyncStream.makeStream()
        model = try PaliGemma(contentsOf: GlossdProcess.fixtures.appending(path: "tiny/model"), threads: 2)
    }

    private func pipeline() throws -> Pipeline {
        let (metrics, watchdog) = (Metrics(), Watchdog(threads: []))
        return Pipeline(
            store: store,
            images: ImageSource(
                fetcher: try ImageFetcher(), decoders: DecoderPool(limits: DecoderPool.Limits(maxPixels: 1), count: 1),
                size: 1, metrics: metrics),
            room: ImageRoom(limit: 100), annotator: Annotator(model: model, modelName: "tiny"),
            thread: InferenceThread(
                model: model, limits: Scheduler.Limits(), metrics: metrics, deliver: { [inbox] in inbox.yield($0) }),
            hosts: HostHealth(), leases: HeldLeases(onLoss: { [inbox] in inbox.yield(.lost($0)) }), metrics: metrics,
            watchdog: watchdog, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func image(_ shade: UInt8) -> PreparedImage {
        PreparedImage(
            pixels: model.pixelValues(rgb: [shade, shade, 0], width: 1, height: 1), key: "\(shade)",
            origin: ImageOrigin(sha256: "\(shade)", finalURL: "", fetchSeconds: 0, decodeSeconds: 0))
    }

    private func claimed(_ specs: [JobSpec], _ pipeline: Pipeline) async throws -> [Pipeline.FetchedJob] {
        for spec in specs { await store.enqueue(spec) }
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: specs.count, by: worker)
        pipeline.leases.add(jobs.map(\.lease))
        return jobs.map { job in
            let images = job.spec.imageURLs.indices.map { ($0, image(UInt8($0))) }
            return Pipeline.FetchedJob(
                job: job, images: .success(Dictionary(uniqueKeysWithValues: images)), parkings: [])
        }
    }

    private func run(_ pipeline: Pipeline) async -> [JobReport] {
        pipeline.thread.start()
        var loop = JobLoop(pipeline: pipeline)
        await loop.run(events)
        pipeline.thread.stop()
        pipeline.outbox.finish()
        var reports: [JobReport] = []
        while let some = await pipeline.outbox.take() { reports += some }
        return reports
    }

    @Test func aJobWhoseLeaseIsLostIsDroppedAndTheOthersGoOn() async throws {
        let pipeline = try pipeline()
        let jobs = try await claimed([Samples.multiview(), Samples.caption()], pipeline)
        jobs.forEach { inbox.yield(.fetched($0)) }
        pipeline.leases.lose([jobs[0].job.lease])
        inbox.yield(.fetchingEnded)
        let reports = await run(pipeline)
        #expect(reports.map(\.lease) == [jobs[1].job.lease])
        #expect(pipeline.leases.all == [jobs[1].job.lease])
        #expect(pipeline.metrics.text.contains("gloss_queries_total 1.0"))
        #expect(await pipeline.room.enter(100), "all images are gone")
    }

    /// A lease that is lost ends the fetch for it, and nothing is reported.
    @Test func aLostJobIsNotFetchedAnyMore() async throws {
        let pipeline = try pipeline()
        let job = try #require(try await claimed([Samples.caption()], pipeline).first).job
        let (started, start) = AsyncStream.makeStream(of: Void.self)
        let fetch = Task {
            await pipeline.jobFetches.run(job.lease) {
                start.yield()
                for await _ in AsyncStream<Void>.makeStream().stream {}
                return Pipeline.FetchedJob(
                    job: job, images: .failure(ImageError(.cancelled, "given up")), parkings: [])
            }
        }
        for await _ in started.prefix(1) {}
        pipeline.leases.lose([job.lease])
        Task { [inbox] in
            inbox.yield(.fetched(await fetch.value))
            inbox.yield(.fetchingEnded)
        }
        #expect(await run(pipeline).isEmpty)
        #expect(pipeline.leases.all.isEmpty)
    }

    /// A machine that can't fetch or decode claims nothing for a while, and says why.
    @Test func aMachineInTroubleSaysSo() throws {
        let pipeline = try pipeline()
        pipeline.metrics.condition.phase = .working
        #expect(pipeline.metrics.condition.holdup == nil && pipeline.metrics.text.contains("gloss_held_up 0.0"))
        let outcome = pipeline.outcome(of: ImageError(.outOfMemory, "no memory for \"an image\""))
        #expect(outcome == .released(reason: "no memory for \"an image\"", after: .seconds(30)))
        #expect(pipeline.metrics.condition.holdup?.reason == "no memory for \"an image\"")
        #expect(pipeline.metrics.statusLine == "claiming nothing: no memory for \"an image\"; 0 jobs done, 0 dead")
        #expect(pipeline.metrics.text.contains("gloss_held_up 1.0"))
    }

    /// How far a job is goes with each heartbeat.
    @Test func leasesKnowHowFarTheirJobsAre() async throws {
        let pipeline = try pipeline()
        let job = try #require(try await claimed([Samples.caption()], pipeline).first)
        #expect(pipeline.leases.phases == [job.job.lease: .fetch])
        inbox.yield(.fetched(job))
        inbox.yield(.fetchingEnded)
        #expect(await run(pipeline).count == 1)
        #expect(pipeline.leases.phases == [job.job.lease: .record])
    }

    /// Each view is kept as soon as all of its questions are answered.
    @Test func viewsAreKeptBeforeTheJobIsDone() async throws {
        let pipeline = try pipeline()
        let job = try #require(try await claimed([Samples.multiview(views: 3)], pipeline).first)
        inbox.yield(.fetched(job))
        inbox.yield(.fetchingEnded)
        let reports = await run(pipeline)
        guard case .completed(let record) = reports.first?.outcome, case .multiview(let answer) = record.payload else {
            Issue.record("\(reports)")
            return
        }
        #expect(answer.views.map(\.view) == [0, 1, 2])
        _ = try await store.releaseUnheld(WorkerID(rawValue: 1), holding: [])
        let again = try await store.claim(limit: 1, by: WorkerID(rawValue: 1))
        #expect((again.first?.doneViews.count ?? 0) >= 1)
        #expect(again.first?.doneViews.allSatisfy { answer.views.contains($0) } == true)
    }

    /// Told to stop, what has not begun goes back at once; when the time is over, so does the rest.
    @Test func drainingReleases() async throws {
        let pipeline = try pipeline()
        let jobs = try await claimed((0..<3).map { _ in Samples.caption() }, pipeline)
        inbox.yield(.fetched(jobs[0]))
        inbox.yield(.drainBegan)
        inbox.yield(.fetched(jobs[1]))
        inbox.yield(.drainEnded)
        inbox.yield(.fetched(jobs[2]))
        inbox.yield(.fetchingEnded)
        let reports = await run(pipeline)
        #expect(reports.map(\.lease) == [jobs[1], jobs[0], jobs[2]].map(\.job.lease))
        for report in reports {
            guard case .released = report.outcome else {
                Issue.record("\(report)")
                continue
            }
        }
    }

    @Test func jobsOfWhichNothingBeganAreKnown() {
        var jobs = JobsInFlight()
        func begin(_ number: Int64, _ spec: JobSpec) -> [Scheduler.Query] {
            let images = spec.imageURLs.indices.map { ($0, image(UInt8($0))) }
            let job = ClaimedJob(lease: Lease(job: JobID(rawValue: number), fence: number), spec: spec)
            return jobs.begin(job, Dictionary(uniqueKeysWithValues: images), modelDigest: model.digest)
        }
        func notBegun(_ waiting: [Scheduler.Query]) -> [Int64] {
            jobs.notBegun(waiting: Set(waiting.map(\.id))).map(\.job.id.rawValue)
        }
        let (object, caption) = (begin(1, Samples.multiview()), begin(2, Samples.caption()))
        #expect(object.count == 4 && caption.count == 1)
        #expect(notBegun(object + caption) == [1, 2])
        #expect(notBegun(Array(object.dropFirst())) == [])
        #expect(notBegun(Array(object.dropFirst()) + caption) == [2])
        let answer = Scheduler.Completion(id: object[0].id, result: .success([]), seconds: .init())
        #expect(jobs.take(answer)?.job.rawValue == 1)
        #expect(jobs.take(answer) == nil, "only once")
        #expect(notBegun(Array(object.dropFirst()) + caption) == [2])
        #expect(jobs.remove(Lease(job: JobID(rawValue: 1), fence: 1)).sorted() == object.dropFirst().map(\.id))
        #expect(!jobs.isEmpty)
    }
}
