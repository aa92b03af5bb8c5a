import Annotation
import Queue
import Testing

@testable import Work

/// What must hold after every event, whatever happens. It keeps books of its own.
final class Checks {
    private struct Announcement {
        let leases: Set<Lease>
        let at: Instant
    }

    /// How often jobs with follow-up questions went which way.
    struct Seen {
        /// Done with several stages; claimed again within the first stage, and within a further one; begun anew.
        var done = 0, resumed = 0, resumedFurther = 0, begunAnew = 0

        var isComplete: Bool { done > 0 && resumed > 0 && resumedFurther > 0 && begunAnew > 0 }

        mutating func add(_ other: Seen) {
            done += other.done
            resumed += other.resumed
            resumedFurther += other.resumedFurther
            begunAnew += other.begunAnew
        }
    }

    private let settings: WorkSettings
    private(set) var seen = Seen()
    private(set) var violations: [String] = []
    /// Claimed, neither reported nor lost.
    private var open: Set<Lease> = []
    private var ended: [Lease: JobReport] = [:]
    private(set) var recordedCount = 0, mostFileBytes = 0, fetchCount = 0, decodeCount = 0
    private var claimedJobs: [Lease: ClaimedJob] = [:]
    // Bytes of images, as the world sees them.
    private var files: [FileID: Int] = [:]
    /// Those that are on their way or here, and that somebody wants.
    private var urls: [FileID: String] = [:]
    private var here: Set<FileID> = []
    private var pixels: [ImageID: Lease] = [:]
    private var imageOf: [ImageID: Lease] = [:]
    private var discarded: Set<ImageID> = []
    private var decoding: [ImageID: Int] = [:]
    private var decoders: Set<ImageID> = []
    private var measured: [ImageID: Int] = [:]
    private var free = Int.max
    // Announcements.
    private var begun: Set<Lease> = []
    private var announcement: Announcement?
    private var announced: [Lease: Instant] = [:]
    private var didBeginFail = false
    private var keptCounts: [Lease: Int] = [:]
    private var seedsOf: [Lease: Set<UInt64>] = [:]
    /// Whose images the engine keeps.
    private var holders: Set<Int64> = []
    private var isStopped = false

    init(_ settings: WorkSettings) { self.settings = settings }

    func isTrue(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { violations.append(message()) }
    }

    // MARK: Events

    func before(_ event: Event, _ now: Instant) {
        switch event {
        case .claimed(let jobs, _):
            for job in jobs {
                let stage = job.spec.followUps.isEmpty ? nil : job.checkpoints.last?.stage
                if stage == 1 { seen.resumed += 1 }
                if let stage, stage > 1 { seen.resumedFurther += 1 }
                isTrue(claimedJobs.updateValue(job, forKey: job.lease) == nil, "claimed twice: \(job.lease)")
            }
            open.formUnion(jobs.map(\.lease))
        case .begun:
            begun.formUnion(announcement?.leases ?? [])
            announcement = nil
            didBeginFail = false
        case .storeFailed(.begin, _):
            announcement = nil
            didBeginFail = true
        case .memory(let free): self.free = free
        case .fileSized(let file, let byteCount): if files[file] != nil { files[file] = byteCount }
        case .fileFetched(let file, let fetched):
            files[file] = fetched.byteCount
            here.insert(file)
        case .fileFailed(let file, _):
            files[file] = nil
            urls[file] = nil
        case .imageMeasured(let image, let bytes): measured[image] = bytes
        case .imageDecoded(let image, _):
            decoding[image] = nil
            decoders.remove(image)
            pixels[image] = imageOf[image]
        case .imageFailed(let image, _):
            decoding[image] = nil
            decoders.remove(image)
        case .recorded(let receipts): recordedCount += receipts.count
        default: break
        }
    }

    // MARK: Effects

    func effect(_ effect: Effect, _ now: Instant, freeMemory: Int) {
        isTrue(!isStopped, "an effect after stop")
        switch effect {
        case .fetch(let file, let url):
            isTrue(!urls.values.contains(url), "fetched again while it is on its way or here: \(url)")
            files[file] = settings.maxFileBytes
            urls[file] = url
            fetchCount += 1
        case .cancelFetch(let file):
            isTrue(urls.removeValue(forKey: file) != nil && !here.contains(file), "there is no fetch to give up")
        case .discardFile(let file):
            isTrue(here.remove(file) != nil, "a file is forgotten that is not here")
            files[file] = nil
            urls[file] = nil
        case .decode(let image, let file, _, _):
            isTrue(here.contains(file), "the file of a decoder is not here")
            decoders.insert(image)
            decodeCount += 1
            isTrue(decoders.count <= settings.decoders, "too many decoders")
        case .proceed(let image):
            decoding[image] = measured[image] ?? 0
            isTrue(decoding.values.reduce(0, +) <= free, "more decoding than memory")
        case .discard(let image): discarded.insert(image)
        case .begin(let leases, _):
            announcement = Announcement(leases: Set(leases), at: now)
        case .submit(let queries): submitted(queries, now)
        case .letGo(let holder): isTrue(holders.remove(holder) != nil, "let go without a hold: \(holder)")
        case .record(let reports, _): for report in reports { recorded(report) }
        case .note(.lost(let leases)):
            for lease in leases {
                isTrue(open.remove(lease) != nil, "lost after its end: \(lease)")
                isTrue(!holders.contains(lease.fence), "the engine keeps images of a lost job: \(lease)")
            }
        case .stop: isStopped = true
        default: break
        }
    }

    private func submitted(_ queries: [EngineQuery], _ now: Instant) {
        let isSilent = announcement.map { now - $0.at >= settings.beginPatience } ?? false
        for query in queries {
            for image in query.images {
                isTrue(pixels[image] != nil && !discarded.contains(image), "an image of a query is not here")
            }
            guard let lease = query.images.first.flatMap({ imageOf[$0] }) else { continue }
            let isNew = seedsOf[lease, default: []].insert(query.settings.seed).inserted
            isTrue(isNew, "asked twice: \(query.prompt) of \(lease)")
            isTrue(ended[lease] == nil, "submitted after its end")
            if let holder = query.holder {
                isTrue(holder == lease.fence, "it holds for another job")
                holders.insert(holder)
            }
            let waited = announced[lease].map { now - $0 >= settings.beginPatience } ?? false
            isTrue(begun.contains(lease) || isSilent || didBeginFail || waited, "submitted before it was announced")
        }
    }

    private func recorded(_ report: JobReport) {
        isTrue(claimedJobs[report.lease] != nil, "recorded without a claim")
        isTrue(!holders.contains(report.lease.fence), "the engine keeps images of a job that ended: \(report.lease)")
        if case .completed(let record) = report.outcome, let spec = claimedJobs[report.lease]?.spec {
            checkStages(record, spec)
        }
        if let earlier = ended[report.lease] {
            isTrue(earlier == report, "two reports of one lease")
        } else {
            ended[report.lease] = report
            open.remove(report.lease)
        }
    }

    /// Each stage was asked of each view once, about one answer and by one model.
    private func checkStages(_ record: AnnotationRecord, _ spec: JobSpec) {
        let stages = record.result.stages
        isTrue(stages.count == 1 + spec.followUps.count, "\(stages.count) stages")
        if stages.count > 1 { seen.done += 1 }
        isTrue(record.provenance.images.count == spec.imageURLs.count, "images are missing")
        for (index, stage) in stages.enumerated() {
            let number = index + 1
            let answer = number > 1 ? record.result.answer?.answer : nil
            let prompts = spec.prompts(stage: number, answer: answer ?? "")
            isTrue(stage.prompts == prompts, "stage \(number) asks \(stage.prompts)")
            isTrue(stage.views.map(\.view) == Array(0..<spec.viewCount), "stage \(number): \(stage.views.map(\.view))")
            isTrue(
                stage.views.allSatisfy {
                    $0.stage == number && $0.answer == answer && $0.modelDigest == "digest"
                        && $0.responses.count == prompts.count
                }, "stage \(number) mixes responses")
        }
    }

    // MARK: State

    func after(_ state: WorkState) {
        for (id, image) in state.images where imageOf[id] == nil { imageOf[id] = image.lease }
        for (lease, job) in state.jobs {
            let kept = job.claimed.checkpoints.count
            if let before = keptCounts.updateValue(kept, forKey: lease), before > kept { seen.begunAnew += 1 }
            if case .announced(let at) = job.state, announced[lease] == nil { announced[lease] = at }
        }
        pixels = pixels.filter { state.images[$0.key] != nil }
        isTrue(state.jobs.count <= settings.maxJobs, "\(state.jobs.count) jobs held")
        isTrue(Set(state.line) == Set(state.jobs.keys) && state.line.count == state.jobs.count, "line and jobs differ")
        checkFiles(state)
        let pixelBytes = pixels.count * settings.imageBytes
        isTrue(
            pixelBytes <= settings.pixelBytes || Set(pixels.values).count <= 1,
            "\(pixelBytes) bytes of pixels of \(Set(pixels.values).count) jobs")
        let stages = Dictionary(grouping: state.queries.values, by: \.lease).values.map { Set($0.map(\.asked.stage)) }
        isTrue(stages.allSatisfy { $0 == [1] || !$0.contains(1) }, "asked on before the first stage was answered")
        isTrue(state.engineRowCount >= 0, "negative rows")
        let rows = state.queries.values.reduce(0) { $0 + $1.rowCount }
        let announcedRows = state.jobs.values.reduce(0) {
            if case .announced = $1.state { $0 + $1.rowCount } else { $0 }
        }
        isTrue(state.engineRowCount == rows + announcedRows, "the engine's rows are miscounted")
        if !isStopped { for lease in open { isTrue(state.jobs[lease] != nil, "\(lease) is forgotten") } }
    }

    private func checkFiles(_ state: WorkState) {
        let bytes = files.values.reduce(0, +)
        mostFileBytes = max(mostFileBytes, bytes)
        isTrue(bytes <= settings.fileBytes || files.values.filter { $0 > 0 }.count <= 1, "\(bytes) bytes of files")
        isTrue(bytes <= state.budget.files.used, "files take \(bytes), known are \(state.budget.files.used)")
        let known = state.files.values.reduce(0) { $0 + $1.byteCount }
        isTrue(known == state.budget.files.used, "bytes of files are counted more than once")
        for (id, file) in state.files {
            isTrue(file.images.allSatisfy { state.images[$0]?.file == id }, "an image that is gone wants a file")
            let isGivenUp = state.fileOf[file.url] != id
            isTrue(
                file.images.isEmpty == (isGivenUp || state.idleFiles.contains(id)), "who wants a file is not known")
            isTrue(!isGivenUp || file.state == .fetching, "a file is kept that was given up")
        }
        isTrue(
            state.images.allSatisfy { id, image in
                image.state != .waiting || state.files[image.file]?.images.contains(id) == true
            }, "an image waits for a file that does not come")
        isTrue(state.origins.activeCount <= settings.maxFetches, "too many fetches")
    }

    /// What must hold when all is over.
    func atTheEnd(_ state: WorkState) {
        isTrue(isStopped, "it did not stop")
        for lease in open { isTrue(state.jobs[lease] != nil, "\(lease) is forgotten at the end") }
    }
}
