import Foundation
import Images
import Inference
import Logging
import Queue

/// One job's way: claim → fetch → decode → embedImage → prefill → extend → parse → aggregate → record.
///
/// claim and record are the store's, called by Worker; fetch and decode are ImageSource's; embedImage, prefill and extend are the
/// Scheduler's on the InferenceThread; parse and aggregate are JobProgress's. No job waits for another: each goes to the next station
/// as soon as it is done with one.
struct Pipeline: Sendable {
    let store: any JobStore
    let images: ImageSource
    let room: ImageRoom
    let annotator: Annotator
    let thread: InferenceThread
    let hosts: HostHealth
    let hostFetches = Fetches<String>()
    let jobFetches = Fetches<Lease>()
    let leases: HeldLeases
    let outbox = Outbox()
    let metrics: Metrics
    let watchdog: Watchdog
    let logger: Logger

    /// A claimed job with its images, by their index; or why there are none.
    struct FetchedJob: Sendable {
        let job: ClaimedJob
        let images: Result<[Int: PreparedImage], ImageError>
        /// Hosts that turned out to fail as a whole, for how long to leave them alone, and why.
        let parkings: [(host: String, pause: Duration, error: ImageError)]
    }

    /// Fetches and decodes a job's images, as soon as there is room for them, unless its lease is lost meanwhile. Views that this
    /// model finished in an earlier attempt are not fetched again.
    func fetch(_ claimed: ClaimedJob) async -> FetchedJob {
        await jobFetches.run(claimed.lease) { await fetchInTurn(claimed) }
    }

    private func fetchInTurn(_ claimed: ClaimedJob) async -> FetchedJob {
        let job = claimed.keepingViews(ofModel: annotator.modelDigest)
        let done = Set(job.doneViews.map(\.view))
        let wanted = job.spec.imageURLs.indices.filter { !done.contains($0) }
        guard await room.enter(wanted.count) else {
            return FetchedJob(
                job: job, images: .failure(ImageError(.cancelled, "the daemon is stopping")), parkings: [])
        }
        let fetched = await fetch(job, wanted)
        if case .failure = fetched.images { room.leave(wanted.count) }
        return fetched
    }

    private func fetch(_ job: ClaimedJob, _ wanted: [Int]) async -> FetchedJob {
        await withTaskGroup(of: (Int, Result<PreparedImage, ImageError>).self) { group in
            for index in wanted {
                let url = job.spec.imageURLs[index]
                group.addTask {
                    let result = await hostFetches.run(ImageFetcher.host(of: url) ?? "") {
                        await images.load(url, background: job.spec.background)
                    }
                    return (index, result)
                }
            }
            var found: [Int: PreparedImage] = [:]
            var failure: (index: Int, error: ImageError)?
            var parkings: [(host: String, pause: Duration, error: ImageError)] = []
            for await (index, result) in group {
                switch result {
                case .success(let image):
                    metrics.condition.resume()
                    found[index] = image
                    for url in [job.spec.imageURLs[index], image.origin.finalURL] {
                        if let host = ImageFetcher.host(of: url) { hosts.succeeded(host) }
                    }
                case .failure(let error):
                    if error.isHostFailure, let host = error.host,
                        let pause = hosts.failed(host, retryAfter: error.retryAfter)
                    {
                        parkings.append((host, pause, error))
                        hostFetches.cancel(host)
                    }
                    // The first image's failure is the job's, whichever ended first; not that of one that it made us give up.
                    if failure.map({ index < $0.index && error.code != .cancelled }) ?? true {
                        failure = (index, error)
                    }
                    if error.disposition == .permanent { group.cancelAll() }
                }
            }
            return FetchedJob(
                job: job, images: failure.map { .failure($0.error) } ?? .success(found), parkings: parkings)
        }
    }

    /// What a failure to get an image means for its job.
    func outcome(of error: ImageError) -> Outcome {
        if error.isHostFailure || error.code == .cancelled, let host = error.host, let pause = hosts.pause(of: host) {
            return .released(reason: "host \(host) is parked: \(error.message)", after: pause)
        }
        if error.code == .cancelled { return .released(reason: "the daemon is stopping", after: .zero) }
        // What kept this process from running is over.
        if error.code == .stoodStill { return .released(reason: error.message, after: .seconds(1)) }
        switch error.disposition {
        case .permanent:
            return .failed(Failure(code: error.code.word, reason: error.message, disposition: .permanent))
        case .retry(let after):
            return .failed(Failure(code: error.code.word, reason: error.message, disposition: .retry(after: after)))
        case .release(let after):
            return .released(reason: error.message, after: after ?? .seconds(1))
        case .fatal:
            logger.error("this machine can't fetch or decode now; the job waits", metadata: ["error": "\(error)"])
            if metrics.condition.holdup == nil { metrics.condition.holdUp(error.message) }
            return .released(reason: error.message, after: .seconds(30))
        }
    }

    /// Hands outcomes to the one that records.
    func report(_ reports: [JobReport]) {
        leases.move(reports.map(\.lease), to: .record)
        outbox.put(reports)
    }

    /// Parks a host that fails as a whole, for every daemon.
    func park(_ host: String, for pause: Duration, _ error: ImageError) async {
        logger.warning(
            "a host fails; its jobs wait", metadata: ["host": "\(host)", "for": "\(pause)", "error": "\(error)"])
        do { try await store.park(host: host, for: pause, reason: error.message) } catch {
            logger.warning(
                "the host could not be parked for other daemons", metadata: ["host": "\(host)", "error": "\(error)"])
        }
    }
}
