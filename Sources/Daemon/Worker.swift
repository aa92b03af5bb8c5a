import AsyncAlgorithms
import Logging
import Queue
import ServiceLifecycle
import Storage
import Synchronization

/// The loop around the pipeline: while the model computes one batch, the next is claimed and fetched, and the one before is recorded.
struct Worker: Service {
    let pipeline: Pipeline
    let incarnation: Incarnation
    let batchSize: Int
    let pollInterval: Duration
    let drain: Drain
    let logger: Logger

    func run() async throws {
        let fetched = AsyncChannel<[Pipeline.FetchedJob]>()
        let reports = AsyncChannel<[JobReport]>()
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await claimAndFetch(into: fetched) }
                group.addTask {
                    for await batch in fetched {
                        await pipeline.annotate(batch, isOver: { drain.isOver || Task.isCancelled }) {
                            await reports.send($0)
                        }
                    }
                    reports.finish()
                }
                group.addTask { for await ended in reports { try await record(ended) } }
                // Not waitForAll: the first error must end the others, which wait for each other.
                while try await group.next() != nil {}
            }
        } onGracefulShutdown: {
            drain.begin()
            Systemd.notify("STOPPING=1\nSTATUS=finishing what is being computed")
        }
    }

    private func claimAndFetch(into fetched: AsyncChannel<[Pipeline.FetchedJob]>) async throws {
        defer { fetched.finish() }
        var isUncertain = false
        while !drain.hasBegun && !Task.isCancelled {
            let jobs = try await claim(isUncertain: &isUncertain)
            if jobs.isEmpty {
                try await cancelWhenGracefulShutdown { try await pipeline.store.waitForWork(timeout: pollInterval) }
                continue
            }
            // What is still being fetched when the daemon is told to stop goes back to the queue.
            let batch = await cancelWhenGracefulShutdown { await pipeline.fetch(jobs) }
            await fetched.send(batch)
        }
    }

    /// Jobs for this daemon; none while the database is away. After a failure, what a lost answer may have leased goes back first.
    private func claim(isUncertain: inout Bool) async throws -> [ClaimedJob] {
        do {
            if isUncertain {
                let count = try await pipeline.store.releaseUnheld(incarnation.worker, holding: pipeline.leases.all)
                if count > 0 {
                    logger.warning("gave back jobs of a claim whose answer was lost", metadata: ["jobs": "\(count)"])
                }
                isUncertain = false
            }
            let jobs = try await pipeline.store.claim(limit: batchSize, by: incarnation.worker)
            pipeline.leases.add(jobs.map(\.lease))
            pipeline.metrics.claimed(jobs.count)
            return jobs
        } catch let error as StorageError where error.disposition != .fatal {
            isUncertain = true
            pipeline.metrics.databaseFailed()
            logger.warning("claiming failed; trying again", metadata: ["error": "\(error)"])
            return []
        }
    }

    /// Writes reports until the database has them, or the time to stop is over: then other daemons run the jobs again.
    private func record(_ reports: [JobReport]) async throws {
        var pause = Duration.milliseconds(200)
        while true {
            do {
                let receipts = try await pipeline.store.record(reports)
                pipeline.leases.remove(reports.map(\.lease))
                for (report, receipt) in zip(reports, receipts) { log(report, receipt) }
                return
            } catch let error as StorageError where error.disposition == .retry {
                pipeline.metrics.databaseFailed()
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
        pipeline.metrics.reported(report.outcome, receipt)
        var metadata: Logger.Metadata = ["job": "\(report.lease.job)", "attempt": "\(report.attempt)"]
        if receipt != .recorded { metadata["receipt"] = "\(receipt.rawValue)" }
        switch report.outcome {
        case .completed(let record):
            metadata["result"] = "\(record.payload.summary)"
            metadata["seconds"] = "\(record.provenance.timings["inference"] ?? 0)"
            logger.info("done", metadata: metadata)
        case .failed(let failure):
            metadata["code"] = "\(failure.code)"
            metadata["reason"] = "\(failure.reason)"
            logger.info(failure.disposition == .permanent ? "dead" : "failed", metadata: metadata)
        case .released(let reason, let after):
            metadata["reason"] = "\(reason)"
            metadata["after"] = "\(after)"
            logger.info("released", metadata: metadata)
        }
    }
}

/// When the daemon was told to stop, and until when it may finish what it holds.
final class Drain: Sendable {
    private let timeout: Duration
    private let deadline = Mutex<ContinuousClock.Instant?>(nil)

    init(timeout: Duration) { self.timeout = timeout }

    func begin() { deadline.withLock { $0 = $0 ?? .now + timeout } }

    var hasBegun: Bool { deadline.withLock { $0 != nil } }

    var isOver: Bool { deadline.withLock { $0.map { .now >= $0 } ?? false } }
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
