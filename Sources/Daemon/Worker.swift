import Logging
import Queue
import ServiceLifecycle
import Storage
import Synchronization

/// The loops around the pipeline: one claims and fetches, one follows the jobs through the model, one records. They run side by side,
/// and each job moves at its own pace.
struct Worker: Service {
    let pipeline: Pipeline
    let incarnation: Incarnation
    let events: AsyncStream<JobEvent>
    let inbox: AsyncStream<JobEvent>.Continuation
    /// The most jobs held at a time.
    let batchSize: Int
    let pollInterval: Duration
    let drain: Drain
    let logger: Logger

    func run() async throws {
        pipeline.thread.start()
        defer { pipeline.thread.stop() }
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask { try await claimAndFetch() }
                group.addTask { await followJobs() }
                group.addTask { await endDrain() }
                group.addTask { try await record() }
                // Not waitForAll: the first error must end the others, which wait for each other; so must the last record.
                while let isDone = try await group.next() { if isDone { group.cancelAll() } }
            }
        } onGracefulShutdown: {
            drain.begin()
            inbox.yield(.drainBegan)
            pipeline.metrics.condition.phase = .draining
            Systemd.notify("STOPPING=1", status: pipeline.metrics.statusLine)
        }
    }

    /// Claims when a quarter of the room is free, and starts fetching each job at once. What is still being fetched when the daemon is
    /// told to stop goes back to the queue.
    private func claimAndFetch() async throws -> Bool {
        try await withThrowingDiscardingTaskGroup { fetches in
            var isUncertain = false
            while !drain.hasBegun && !Task.isCancelled {
                let room = await cancelWhenGracefulShutdown { await waitForRoom() }
                let jobs = room > 0 ? try await claim(limit: room, isUncertain: &isUncertain) : []
                for job in jobs {
                    fetches.addTask {
                        let fetched = await cancelWhenGracefulShutdown { await pipeline.fetch(job) }
                        inbox.yield(.fetched(fetched))
                    }
                }
                if jobs.isEmpty {
                    try await cancelWhenGracefulShutdown { try await pipeline.store.waitForWork(timeout: pollInterval) }
                }
            }
        }
        inbox.yield(.fetchingEnded)
        return false
    }

    /// How many jobs may be claimed, once that is a quarter of all that may be held and nothing holds the daemon up; 0 if the task is
    /// cancelled first.
    private func waitForRoom() async -> Int {
        func free() -> Int { batchSize - pipeline.leases.count }
        let enough = max(1, batchSize / 4)
        var removals = pipeline.leases.removals.makeAsyncIterator()
        while free() < enough { if await removals.next() == nil { return 0 } }
        return await waitForMeans() ? free() : 0
    }

    /// Waits until this machine can fetch and decode, as far as is known; false if the task is cancelled first.
    private func waitForMeans() async -> Bool {
        let condition = pipeline.metrics.condition
        while true {
            let free = FreeMemory.bytes()
            if let memory = condition.holdup?.memory, free >= memory { condition.resume() }
            if condition.holdup == nil && free >= FreeMemory.least { return true }
            if condition.holdup == nil {
                condition.holdUp("only \(free >> 20) MB of memory are free", memory: FreeMemory.least)
                logger.warning("claiming nothing: hardly any memory is free", metadata: ["MB": "\(free >> 20)"])
            }
            if (try? await Task.sleep(for: .seconds(1))) == nil { return false }
        }
    }

    private func followJobs() async -> Bool {
        var loop = JobLoop(pipeline: pipeline)
        await loop.run(events)
        pipeline.outbox.finish()
        return false
    }

    private func endDrain() async -> Bool {
        // Cancelled, all is recorded already.
        try? await gracefulShutdown()
        if (try? await Task.sleep(for: drain.timeout)) != nil { inbox.yield(.drainEnded) }
        return false
    }

    private func record() async throws -> Bool {
        while let reports = await pipeline.outbox.take() { try await record(reports) }
        return true
    }

    /// Jobs for this daemon; none while the database is away. After a failure, what a lost answer may have leased goes back first.
    private func claim(limit: Int, isUncertain: inout Bool) async throws -> [ClaimedJob] {
        let call = pipeline.watchdog.began("claim")
        defer { pipeline.watchdog.ended(call) }
        do {
            if isUncertain {
                let count = try await pipeline.store.releaseUnheld(incarnation.worker, holding: pipeline.leases.all)
                if count > 0 {
                    logger.warning("gave back jobs of a claim whose answer was lost", metadata: ["jobs": "\(count)"])
                }
                isUncertain = false
            }
            let start = ContinuousClock.now
            let jobs = try await pipeline.store.claim(limit: limit, by: incarnation.worker)
            pipeline.metrics.spent(.claim, since: start)
            pipeline.metrics.condition.succeeded(.claim)
            pipeline.leases.add(jobs.map(\.lease))
            pipeline.metrics.claimed(jobs.count)
            return jobs
        } catch let error as StorageError where error.disposition != .fatal {
            isUncertain = true
            pipeline.metrics.databaseFailed(.claim, error)
            logger.warning("claiming failed; trying again", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// Writes reports until the database has them, or the time to stop is over: then other daemons run the jobs again.
    private func record(_ reports: [JobReport]) async throws {
        var pause = Duration.milliseconds(200)
        while true {
            do {
                let start = ContinuousClock.now
                let call = pipeline.watchdog.began("record")
                defer { pipeline.watchdog.ended(call) }
                let receipts = try await pipeline.store.record(reports)
                pipeline.metrics.spent(.record, since: start)
                pipeline.metrics.condition.succeeded(.record)
                pipeline.leases.remove(reports.map(\.lease))
                for (report, receipt) in zip(reports, receipts) { log(report, receipt) }
                return
            } catch let error as StorageError where error.disposition == .retry {
                pipeline.metrics.databaseFailed(.record, error)
                if drain.isOver || Task.isCancelled {
                    logger.error(
                        "results could not be recorded before the time to stop was over; the jobs will run again",
                        metadata: ["jobs": "\(reports.map(\.lease.job))", "error": "\(error)"])
                    return
                }
                logger.warning("recording failed; trying again", metadata: ["error": "\(error)", "in": "\(pause)"])
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(5))
            }
        }
    }

    /// One line a job.
    private func log(_ report: JobReport, _ receipt: Receipt) {
        pipeline.metrics.reported(report, receipt)
        var metadata: Logger.Metadata = ["job": "\(report.lease.job)", "attempt": "\(report.attempt)"]
        if receipt != .recorded { metadata["receipt"] = "\(receipt.rawValue)" }
        switch report.outcome {
        case .completed(let record):
            metadata["result"] = "\(record.payload.summary)"
            metadata["seconds"] = "\(record.provenance.modelSeconds)"
            logger.info("done", metadata: metadata)
        case .failed(let failure):
            metadata["code"] = "\(failure.code)"
            metadata["reason"] = "\(failure.reason)"
            logger.info(report.isDeath ? "dead" : "failed", metadata: metadata)
        case .released(let reason, let after):
            metadata["reason"] = "\(reason)"
            metadata["after"] = "\(after)"
            logger.info("released", metadata: metadata)
        }
    }
}

/// When the daemon was told to stop, and until when it may finish what it holds.
final class Drain: Sendable {
    let timeout: Duration
    private let deadline = Mutex<ContinuousClock.Instant?>(nil)

    init(timeout: Duration) { self.timeout = timeout }

    func begin() { deadline.withLock { $0 = $0 ?? .now + timeout } }

    var hasBegun: Bool { deadline.withLock { $0 != nil } }

    var isOver: Bool { deadline.withLock { $0.map { .now >= $0 } ?? false } }
}

extension Provenance {
    /// The model's share.
    fileprivate var modelSeconds: Double {
        ["vision", "prefill", "extend"].reduce(0) { $0 + (timings[$1] ?? 0) }
    }
}

extension AnnotationPayload {
    /// A few words for the log.
    fileprivate var summary: String {
        switch self {
        case .texts(let texts): texts.first.map { String($0.text.prefix(80)) } ?? ""
        case .boxes(_, let boxes): "\(boxes.count) boxes"
        case .multiview(let answer):
            answer.distribution.first.map { "\($0.answer.prefix(60)) (\($0.probability))" } ?? ""
        }
    }
}
