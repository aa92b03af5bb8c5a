import Foundation
import Images
import Inference
import Logging
import Queue

/// One pass of a batch of jobs: claim → fetch → decode → embedImage → prefill → extend → parse → aggregate → record.
///
/// claim and record are the store's; fetch and decode are ImageSource's; embedImage, prefill and extend are the model's, called by
/// Annotator; parse and aggregate are JobProgress's. The loop around it is Worker's.
struct Pipeline: Sendable {
    let store: any JobStore
    let images: ImageSource
    let annotator: Annotator
    let thread: InferenceThread
    let hosts: HostHealth
    let leases: HeldLeases
    let metrics: Metrics
    let logger: Logger
    /// Prefixes computed together: bounds memory.
    let prefixesAtOnce: Int

    /// A claimed job with its images, by their index; or why there are none.
    struct FetchedJob: Sendable {
        let job: ClaimedJob
        let images: Result<[Int: PreparedImage], ImageError>
        /// Hosts that turned out to fail as a whole, for how long to leave them alone, and why.
        let parkings: [(host: String, pause: Duration, error: ImageError)]
    }

    /// Fetches and decodes the images of all jobs at once. Views that this model finished in an earlier attempt are not fetched again.
    func fetch(_ jobs: [ClaimedJob]) async -> [FetchedJob] {
        await withTaskGroup(of: (Int, FetchedJob).self) { group in
            for (index, job) in jobs.enumerated() {
                group.addTask { (index, await fetch(job.keepingViews(ofModel: annotator.model.digest))) }
            }
            var fetched = [FetchedJob?](repeating: nil, count: jobs.count)
            for await (index, job) in group { fetched[index] = job }
            return fetched.compactMap(\.self)
        }
    }

    private func fetch(_ job: ClaimedJob) async -> FetchedJob {
        let done = Set(job.doneViews.map(\.view))
        let wanted = job.spec.imageURLs.indices.filter { !done.contains($0) }
        return await withTaskGroup(of: (Int, Result<PreparedImage, ImageError>).self) { group in
            for index in wanted {
                group.addTask { (index, await images.load(job.spec.imageURLs[index], background: job.spec.background)) }
            }
            var found: [Int: PreparedImage] = [:]
            var failure: (index: Int, error: ImageError)?
            var parkings: [(host: String, pause: Duration, error: ImageError)] = []
            for await (index, result) in group {
                switch result {
                case .success(let image):
                    found[index] = image
                    for url in [job.spec.imageURLs[index], image.finalURL] {
                        if let host = ImageFetcher.host(of: url) { hosts.succeeded(host) }
                    }
                case .failure(let error):
                    if error.isHostFailure, let host = error.host,
                        let pause = hosts.failed(host, retryAfter: error.retryAfter)
                    {
                        parkings.append((host, pause, error))
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

    /// Runs the model over the batch, `prefixesAtOnce` prompts at a time, and hands over each job's report as soon as it is there.
    /// When `isOver`, what is left is released.
    func annotate(_ batch: [FetchedJob], isOver: () -> Bool, report: ([JobReport]) async -> Void) async {
        var progress: [JobProgress] = []
        var failed: [(job: ClaimedJob, error: ImageError)] = []
        for fetched in batch {
            switch fetched.images {
            case .success(let images):
                progress.append(JobProgress(fetched.job, images, modelDigest: annotator.model.digest))
            case .failure(let error): failed.append((fetched.job, error))
            }
        }
        if !failed.isEmpty {
            for parking in batch.flatMap(\.parkings) { await park(parking.host, for: parking.pause, parking.error) }
            await report(failed.map { JobReport($0.job, outcome(of: $0.error)) })
        }
        for chunk in chunks(progress.flatMapQueries(), limit: prefixesAtOnce) {
            if isOver() { break }
            let queries = chunk.filter { !leases.isLost(progress[$0.job].job.lease) }
            let answers = await thread.run { [annotator] in annotator.answer(queries) }
            for answer in answers { progress[answer.query.job].take(answer) }
            await checkpoint(&progress)
            await reportEnded(&progress, report)
        }
        await reportEnded(&progress, report)  // also a job that had nothing left to ask
        let left = progress.filter { !$0.isReported }
        let reports = left.filter { !leases.isLost($0.job.lease) }.map {
            JobReport($0.job, .released(reason: "the daemon stopped before it was done", after: .zero))
        }
        if !reports.isEmpty { await report(reports) }
        leases.remove(left.filter { leases.isLost($0.job.lease) }.map(\.job.lease))
    }

    private func reportEnded(_ progress: inout [JobProgress], _ report: ([JobReport]) async -> Void) async {
        let ended = progress.indices.compactMap { progress[$0].end(annotator) }
        if !ended.isEmpty { await report(ended) }
    }

    /// Keeps views that are done of objects that are not: a crash repeats at most what is being computed.
    private func checkpoint(_ progress: inout [JobProgress]) async {
        for index in progress.indices {
            for view in progress[index].takeUnsavedViews() {
                do {
                    let held = try await store.checkpoint(view, under: progress[index].job.lease)
                    if !held { leases.lose([progress[index].job.lease]) }
                } catch {
                    // Only a saving of work: the result itself is recorded at the end, or the job runs again.
                    logger.warning(
                        "a finished view could not be kept",
                        metadata: ["job": "\(progress[index].job.id)", "view": "\(view.view)", "error": "\(error)"])
                }
            }
        }
    }

    /// What a failure to get an image means for its job.
    private func outcome(of error: ImageError) -> Outcome {
        if error.code == .cancelled { return .released(reason: "the daemon is stopping", after: .zero) }
        if error.isHostFailure, let host = error.host, let pause = hosts.pause(of: host) {
            return .released(reason: "host \(host) is parked: \(error.message)", after: pause)
        }
        switch error.disposition {
        case .permanent:
            return .failed(Failure(code: error.code.word, reason: error.message, disposition: .permanent))
        case .retry(let after):
            return .failed(Failure(code: error.code.word, reason: error.message, disposition: .retry(after: after)))
        case .fatal:
            logger.error("this machine can't fetch or decode now; the job waits", metadata: ["error": "\(error)"])
            return .released(reason: error.message, after: .seconds(30))
        }
    }

    /// Parks a host that fails as a whole, for every daemon.
    private func park(_ host: String, for pause: Duration, _ error: ImageError) async {
        logger.warning(
            "a host fails; its jobs wait", metadata: ["host": "\(host)", "for": "\(pause)", "error": "\(error)"])
        do { try await store.park(host: host, for: pause, reason: error.message) } catch {
            logger.warning(
                "the host could not be parked for other daemons", metadata: ["host": "\(host)", "error": "\(error)"])
        }
    }
}

extension [JobProgress] {
    /// All queries of all jobs, in order.
    fileprivate func flatMapQueries() -> [Query] { enumerated().flatMap { $1.queries(job: $0) } }
}

/// Queries in runs of at most `limit` prompts and eight times as many answers. The questions about one view stay together where
/// they can, so that its image goes through the vision tower once.
func chunks(_ queries: [Query], limit: Int) -> [[Query]] {
    var chunks: [[Query]] = []
    func fits(_ more: [Query]) -> Bool {
        guard let last = chunks.last else { return false }
        let samples = (last + more).reduce(0) { $0 + $1.settings.samples }
        return last.count + more.count <= limit && samples <= 8 * limit
    }
    for view in queries.chunked(on: { [$0.job, $0.view] }) {
        if fits(view) {
            chunks[chunks.count - 1] += view
        } else if view.count <= limit {
            chunks.append(view)
        } else {
            chunks += stride(from: 0, to: view.count, by: limit).map { Array(view[$0..<min($0 + limit, view.count)]) }
        }
    }
    return chunks
}

extension [Query] {
    /// Runs of neighbours with the same key.
    fileprivate func chunked(on key: (Query) -> [Int]) -> [[Query]] {
        reduce(into: []) { runs, query in
            if let last = runs.last?.last, key(last) == key(query) {
                runs[runs.count - 1].append(query)
            } else {
                runs.append([query])
            }
        }
    }
}
