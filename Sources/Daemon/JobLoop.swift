import Inference
import Logging
import Queue

/// Takes jobs from fetched to reported, an event at a time: hands their queries to the inference thread, and reports each job as
/// soon as its last answer is there.
struct JobLoop {
    let pipeline: Pipeline
    private var jobs = JobsInFlight()
    private var isFetching = true
    private var isDraining = false

    init(pipeline: Pipeline) { self.pipeline = pipeline }

    /// Until nothing is being fetched any more and every job is reported, or the task is cancelled.
    mutating func run(_ events: AsyncStream<JobEvent>) async {
        for await event in events {
            await handle(event)
            if !isFetching && jobs.isEmpty { break }
        }
    }

    private mutating func handle(_ event: JobEvent) async {
        switch event {
        case .fetched(let fetched): await begin(fetched)
        case .answered(let answer): await take(answer)
        case .lost(let leases):
            // One whose images are still on the way is dropped when its fetch has ended.
            for lease in leases { if jobs[lease] != nil { drop(lease) } else { pipeline.jobFetches.cancel(lease) } }
        case .fetchingEnded: isFetching = false
        case .drainBegan:
            isDraining = true
            pipeline.thread.tellWaiting()
        case .waiting(let queries): release(jobs.notBegun(waiting: queries))
        case .drainEnded: release(jobs.all)
        }
    }

    private mutating func begin(_ fetched: Pipeline.FetchedJob) async {
        for parking in fetched.parkings { await pipeline.park(parking.host, for: parking.pause, parking.error) }
        let lease = fetched.job.lease
        switch fetched.images {
        case .failure where pipeline.leases.isLost(lease): drop(lease)
        case .failure(let error): pipeline.report([JobReport(fetched.job, pipeline.outcome(of: error))])
        case .success(let images):
            let queries = jobs.begin(fetched.job, images, modelDigest: pipeline.annotator.modelDigest)
            if pipeline.leases.isLost(lease) { return drop(lease) }
            if isDraining { return release([jobs[lease]!]) }
            pipeline.leases.move([lease], to: .compute)
            pipeline.thread.submit(queries)
            await advance(lease)  // also a job that has nothing left to ask
        }
    }

    private mutating func take(_ answer: Scheduler.Completion) async {
        pipeline.metrics.answered(answer)
        if let lease = jobs.take(answer) { await advance(lease) }
    }

    /// Reports a job that has ended, and keeps finished views of one that has not: a crash repeats at most what is being computed.
    private mutating func advance(_ lease: Lease) async {
        guard let job = jobs[lease], job.hasEnded else { return await checkpoint(lease) }
        let report = pipeline.metrics.timed(.parse) { job.report(pipeline.annotator) }
        leave(lease)
        pipeline.report([report])
    }

    private mutating func checkpoint(_ lease: Lease) async {
        for view in jobs.takeUnsavedViews(lease) {
            do {
                if try await !pipeline.store.checkpoint(view, under: lease) { pipeline.leases.lose([lease]) }
            } catch {
                // Only a saving of work: the result itself is recorded at the end, or the job runs again.
                pipeline.logger.warning(
                    "a finished view could not be kept",
                    metadata: ["job": "\(lease.job)", "view": "\(view.view)", "error": "\(error)"])
            }
        }
    }

    /// Gives jobs back to the queue, without an attempt being counted.
    private mutating func release(_ released: [JobProgress]) {
        for job in released { leave(job.job.lease) }
        let outcome = Outcome.released(reason: "the daemon stopped before it was done", after: .zero)
        if !released.isEmpty { pipeline.report(released.map { JobReport($0.job, outcome) }) }
    }

    /// Forgets a job whose lease is gone.
    private mutating func drop(_ lease: Lease) {
        leave(lease)
        pipeline.leases.remove([lease])
    }

    /// Takes a job out of the engine, and its images out of memory.
    private mutating func leave(_ lease: Lease) {
        pipeline.room.leave(jobs[lease]?.imageCount ?? 0)
        let left = jobs.remove(lease)
        if !left.isEmpty { pipeline.thread.cancel(left) }
    }
}
