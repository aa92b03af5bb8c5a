import Inference
import Queue

/// What moves a job on.
enum JobEvent: Sendable {
    /// Its images are here, or it is known why not.
    case fetched(Pipeline.FetchedJob)
    /// The model answered one of its queries.
    case answered(Scheduler.Completion)
    /// These leases are no longer this daemon's.
    case lost([Lease])
    /// Nothing more is claimed, and nothing is being fetched.
    case fetchingEnded
    /// The daemon was told to stop.
    case drainBegan
    /// The queries that had not begun when the daemon was told to stop.
    case waiting(Set<Int>)
    /// The time to finish what was begun is over.
    case drainEnded
}

/// The jobs whose images are here, until they are reported. No I/O.
struct JobsInFlight {
    /// A query's job, and what it asks there.
    private struct Place {
        let lease: Lease
        let view: Int
        let question: Int
    }

    private var jobs: [Lease: JobProgress] = [:]
    private var places: [Int: Place] = [:]
    private var lastQuery = 0

    var isEmpty: Bool { jobs.isEmpty }

    var all: [JobProgress] { jobs.values.sorted { $0.job.lease.fence < $1.job.lease.fence } }

    subscript(lease: Lease) -> JobProgress? { jobs[lease] }

    /// Takes a job in; the queries that it asks.
    mutating func begin(
        _ job: ClaimedJob, _ images: [Int: PreparedImage], modelDigest: String
    ) -> [Scheduler.Query] {
        jobs[job.lease] = JobProgress(job, images.mapValues(\.origin), modelDigest: modelDigest)
        return job.queries(images).map { query in
            lastQuery += 1
            places[lastQuery] = Place(lease: job.lease, view: query.view, question: query.question)
            return Scheduler.Query(
                id: lastQuery, images: query.images.map { Scheduler.Image($0.pixels, key: $0.key) },
                prompt: job.spec.prompts[query.question],
                settings: Inference.DecodeSettings(job.spec.settings, view: query.view, question: query.question))
        }
    }

    /// Takes an answer in. The job that it belongs to, unless that is gone.
    mutating func take(_ answer: Scheduler.Completion) -> Lease? {
        guard let place = places.removeValue(forKey: answer.id) else { return nil }
        jobs[place.lease]?.take(answer, view: place.view, question: place.question)
        return place.lease
    }

    /// Views of a job that are complete and not kept yet.
    mutating func takeUnsavedViews(_ lease: Lease) -> [ViewResponses] { jobs[lease]?.takeUnsavedViews() ?? [] }

    /// Takes a job out. Its queries that are still under way.
    mutating func remove(_ lease: Lease) -> [Int] {
        jobs[lease] = nil
        let left = places.filter { $0.value.lease == lease }.map(\.key)
        for id in left { places[id] = nil }
        return left
    }

    /// Jobs of which nothing is answered and nothing is being computed, if these queries wait.
    func notBegun(waiting: Set<Int>) -> [JobProgress] {
        let begun = Set(places.filter { !waiting.contains($0.key) }.map(\.value.lease))
        return all.filter { !$0.hasAnswers && !begun.contains($0.job.lease) }
    }
}
