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

    private let settings: WorkSettings
    private(set) var violations: [String] = []
    /// Claimed, neither reported nor lost.
    private var open: Set<Lease> = []
    private var ended: [Lease: JobReport] = [:]
    private(set) var recordedCount = 0, mostFileBytes = 0
    private var claimedJobs: Set<Lease> = []
    // Bytes of images, as the world sees them.
    private var files: [ImageID: Int] = [:]
    private var pixels: [ImageID: Lease] = [:]
    private var imageOf: [ImageID: Lease] = [:]
    private var decoding: [ImageID: Int] = [:]
    private var decoders: Set<ImageID> = []
    private var measured: [ImageID: Int] = [:]
    private var free = Int.max
    // Announcements.
    private var begun: Set<Lease> = []
    private var announcement: Announcement?
    private var announced: [Lease: Instant] = [:]
    private var didBeginFail = false
    private var queryOf: [Int: Lease] = [:]
    private var isStopped = false

    init(_ settings: WorkSettings) { self.settings = settings }

    func isTrue(_ condition: Bool, _ message: @autoclosure () -> String) {
        if !condition { violations.append(message()) }
    }

    // MARK: Events

    func before(_ event: Event, _ now: Instant) {
        switch event {
        case .claimed(let jobs, _):
            for job in jobs { isTrue(claimedJobs.insert(job.lease).inserted, "claimed twice: \(job.lease)") }
            open.formUnion(jobs.map(\.lease))
        case .begun:
            begun.formUnion(announcement?.leases ?? [])
            announcement = nil
            didBeginFail = false
        case .storeFailed(.begin, _):
            announcement = nil
            didBeginFail = true
        case .memory(let free): self.free = free
        case .imageSized(let image, let byteCount): if files[image] != nil { files[image] = byteCount }
        case .imageFetched(let image, let file): files[image] = file.byteCount
        case .imageMeasured(let image, let bytes): measured[image] = bytes
        case .imageDecoded(let image, _):
            decoding[image] = nil
            decoders.remove(image)
            files[image] = nil
            pixels[image] = imageOf[image]
        case .imageFailed(let image, let failure):
            decoding[image] = nil
            decoders.remove(image)
            if failure.blame != .killedDecoder { files[image] = nil }
        case .recorded(let receipts): recordedCount += receipts.count
        default: break
        }
    }

    // MARK: Effects

    func effect(_ effect: Effect, _ now: Instant, freeMemory: Int) {
        isTrue(!isStopped, "an effect after stop")
        switch effect {
        case .fetch(let image, _): files[image] = settings.maxFileBytes
        case .decode(let image, _):
            decoders.insert(image)
            isTrue(decoders.count <= settings.decoders, "too many decoders")
        case .proceed(let image):
            decoding[image] = measured[image] ?? 0
            isTrue(decoding.values.reduce(0, +) <= free, "more decoding than memory")
        case .discard(let image):
            files[image] = nil
        case .begin(let leases, _):
            announcement = Announcement(leases: Set(leases), at: now)
        case .submit(let queries): submitted(queries, now)
        case .record(let reports, _): for report in reports { recorded(report) }
        case .note(.lost(let leases)):
            for lease in leases { isTrue(open.remove(lease) != nil, "lost after its end: \(lease)") }
        case .stop: isStopped = true
        default: break
        }
    }

    private func submitted(_ queries: [EngineQuery], _ now: Instant) {
        let isSilent = announcement.map { now - $0.at >= settings.beginPatience } ?? false
        for query in queries {
            for image in query.images { isTrue(pixels[image] != nil, "an image of a query is not here") }
            guard let lease = query.images.first.flatMap({ imageOf[$0] }) else { continue }
            queryOf[query.id] = lease
            isTrue(ended[lease] == nil, "submitted after its end")
            let waited = announced[lease].map { now - $0 >= settings.beginPatience } ?? false
            isTrue(begun.contains(lease) || isSilent || didBeginFail || waited, "submitted before it was announced")
        }
    }

    private func recorded(_ report: JobReport) {
        isTrue(claimedJobs.contains(report.lease), "recorded without a claim")
        if let earlier = ended[report.lease] {
            isTrue(earlier == report, "two reports of one lease")
        } else {
            ended[report.lease] = report
            open.remove(report.lease)
        }
    }

    // MARK: State

    func after(_ state: WorkState) {
        for (id, image) in state.images where imageOf[id] == nil { imageOf[id] = image.lease }
        for (lease, job) in state.jobs {
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
        isTrue(state.origins.activeCount <= settings.maxFetches, "too many fetches")
    }

    /// What must hold when all is over.
    func atTheEnd(_ state: WorkState) {
        isTrue(isStopped, "it did not stop")
        for lease in open { isTrue(state.jobs[lease] != nil, "\(lease) is forgotten at the end") }
    }
}
