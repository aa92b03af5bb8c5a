import Annotation
import Logging
import Queue
import Work

/// Writes what is worth a line to the log, and counts it.
struct Journal: Sendable {
    let metrics: Metrics
    let logger: Logger

    func note(_ note: Note) {
        switch note {
        case .registered(let worker, let isAgain): registered(worker, isAgain)
        case .claimed(let count): metrics.claimed(count)
        case .ended(let report, let receipt): ended(report, receipt)
        case .lost(let leases):
            let jobs = leases.map(\.job)
            logger.warning("leases lost: cancelled, or taken by another daemon", metadata: ["jobs": "\(jobs)"])
        case .gaveBack(let count):
            logger.warning("gave back jobs of a claim whose answer was lost", metadata: ["jobs": "\(count)"])
        case .unrecorded(let leases):
            logger.error(
                "results could not be recorded before the time to stop was over; the jobs will run again",
                metadata: ["jobs": "\(leases.map(\.job))"])
        case .checkpointFailed(let job, let view, let error):
            logger.warning(
                "a finished view could not be kept",
                metadata: ["job": "\(job)", "view": "\(view)", "error": "\(error)"]
            )
        case .storeFailed(let statement, let problem):
            metrics.databaseFailed()
            logger.warning("\(statement) failed; trying again", metadata: ["error": "\(problem.message)"])
        case .rescued(let report): rescued(report)
        case .parked(let origin, let pause, let reason):
            logger.warning(
                "a host fails; its jobs wait", metadata: ["host": "\(origin)", "for": "\(pause)", "error": "\(reason)"])
        case .takenUp(let origin):
            logger.notice("a host was taken up again; its jobs go on", metadata: ["host": "\(origin)"])
        case .heldUp(let reason):
            logger.error("claiming nothing; jobs wait or go to other daemons", metadata: ["reason": "\(reason)"])
        case .resumed: logger.notice("claiming again")
        case .answered(let tokens): metrics.answered(tokens: tokens)
        }
    }

    private func registered(_ worker: WorkerID, _ isAgain: Bool) {
        guard isAgain else {
            return logger.info("ready", metadata: ["worker": "\(worker)", "version": "\(glossVersion)"])
        }
        logger.warning("this daemon was taken for dead and registered again", metadata: ["worker": "\(worker)"])
    }

    private func rescued(_ report: RescueReport) {
        metrics.rescued(report.rescuedCount, poisoned: report.poisonedCount)
        logger.notice(
            "took back the jobs of silent daemons",
            metadata: [
                "daemons": "\(report.lostWorkerCount)", "jobs": "\(report.rescuedCount)",
                "poisoned": "\(report.poisonedCount)",
            ])
    }

    /// One line a job.
    private func ended(_ report: JobReport, _ receipt: Receipt) {
        metrics.reported(report, receipt)
        var metadata: Logger.Metadata = ["job": "\(report.lease.job)", "attempt": "\(report.attempt)"]
        if receipt != .recorded { metadata["receipt"] = "\(receipt.rawValue)" }
        switch report.outcome {
        case .completed(let record):
            metadata["result"] = "\(record.result.summary)"
            metadata["seconds"] = "\(record.provenance.modelSeconds)"
            logger.info("done", metadata: metadata)
        case .failed(let failure):
            metadata["code"] = "\(failure.code)"
            metadata["reason"] = "\(failure.reason)"
            logger.info(report.isDeath ? "dead" : "failed", metadata: metadata)
        case .released(let release):
            metadata["cause"] = "\(release.cause.rawValue)"
            metadata["reason"] = "\(release.reason)"
            metadata["after"] = "\(release.delay)"
            logger.info("released", metadata: metadata)
        }
    }
}

extension Provenance {
    /// The model's share.
    fileprivate var modelSeconds: Double {
        ["vision", "prefill", "extend"].reduce(0) { $0 + (timings[$1] ?? 0) }
    }
}

extension AnnotationResult {
    /// A few words for the log.
    fileprivate var summary: String {
        if let answer { return "\(answer.answer.prefix(60)) (\(answer.probability))" }
        let text = best.map { String($0.text.prefix(80)) } ?? ""
        return findings.isEmpty ? text : "\(findings.count) findings"
    }
}
