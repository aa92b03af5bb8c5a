import Annotation
import Decoding
import Foundation
import Images
import Inference
import Synchronization
import Work

/// Files and pixels of the images that the work knows by number, and what is being done with them.
///
/// It fetches and decodes as it is told, and says what came of it: one `fileFetched` or `fileFailed` for each fetch, one `imageDecoded`
/// or `imageFailed` for each decoding.
final class ImageTable: Sendable {
    private enum File {
        case coming(Task<Void, Never>)
        case here(FetchedImage)
    }

    private struct Entry {
        /// Ready for the vision tower.
        var pixels: Scheduler.Image?
        /// A decoder that waits for memory.
        var gate: CheckedContinuation<Bool, Never>?
    }

    private let fetcher: ImageFetcher
    private let decoders: DecoderPool
    /// Side of the model's images, pixels.
    private let size: Int
    private let resize: Resize
    private let previews: Previews?
    private let metrics: Metrics
    private let deliver: @Sendable (Event) -> Void
    private let files = Mutex<[FileID: File]>([:])
    private let entries = Mutex<[ImageID: Entry]>([:])

    /// `deliver` must not block.
    init(
        fetcher: ImageFetcher, decoders: DecoderPool, size: Int, resize: Resize, previews: Previews? = nil,
        metrics: Metrics, deliver: @escaping @Sendable (Event) -> Void
    ) {
        self.fetcher = fetcher
        self.decoders = decoders
        self.size = size
        self.resize = resize
        self.previews = previews
        self.metrics = metrics
        self.deliver = deliver
    }

    // MARK: Fetching

    func fetch(_ id: FileID, _ url: String) {
        // Known before it does anything: what cancels it may come at once.
        files.withLock { files in
            files[id] = .coming(Task { await fetchNow(id, url) })
        }
    }

    func cancelFetch(_ id: FileID) {
        if case .coming(let task) = files.withLock({ $0[id] }) { task.cancel() }
    }

    private func fetchNow(_ id: FileID, _ url: String) async {
        do throws(ImageError) {
            let file = try await fetcher.fetch(url) { [deliver] byteCount in
                if byteCount > 0 { deliver(.fileSized(id, byteCount: byteCount)) }
            }
            metrics.fetched(bytes: file.bytes.count, seconds: file.seconds)
            files.withLock { $0[id] = .here(file) }
            let origin = ImageFetcher.origin(of: file.finalURL)
            deliver(.fileFetched(id, FetchedFile(byteCount: file.bytes.count, origin: origin, seconds: file.seconds)))
        } catch {
            files.withLock { $0[id] = nil }
            deliver(.fileFailed(id, ImageFailure(error)))
        }
    }

    func discardFile(_ id: FileID) { files.withLock { $0[id] = nil } }

    // MARK: Decoding

    func decode(_ id: ImageID, of file: FileID, background: UInt32?, drawnBox: Box?) {
        guard case .here(let file) = files.withLock({ $0[file] }) else {
            let failure = ImageError(.cancelled, "everything was given up")
            return deliver(.imageFailed(id, ImageFailure(failure)))
        }
        Task {
            do throws(ImageError) {
                deliver(.imageDecoded(id, try await decodeNow(id, file, background, drawnBox)))
            } catch {
                deliver(.imageFailed(id, ImageFailure(file.judged(error))))
            }
        }
    }

    /// Lets a decoder go on, or has it give up.
    func proceed(_ id: ImageID, _ isWanted: Bool = true) {
        let gate = entries.withLock { entries in
            defer { entries[id]?.gate = nil }
            return entries[id]?.gate
        }
        gate?.resume(returning: isWanted)
    }

    private func decodeNow(
        _ id: ImageID, _ file: FetchedImage, _ background: UInt32?, _ drawnBox: Box?
    ) async throws(ImageError) -> Work.DecodedImage {
        let colour = background.map { DecodeLimits.Colour(rgb: $0) }
        let waiting = Mutex(Duration.zero)
        let start = ContinuousClock.now
        let decoded = try await decoders.decode(
            file.bytes, sha256: file.sha256, background: colour, size: size, resize: resize,
            previewSide: previews?.side(sha256: file.sha256, background: background)
        ) { byteCount in
            let start = ContinuousClock.now
            defer { waiting.withLock { $0 = .now - start } }
            return await self.isWanted(id, byteCount) ? nil : ImageError(.cancelled, "decoding was cancelled")
        }.get()
        let seconds = (ContinuousClock.now - start - waiting.withLock { $0 }) / .seconds(1)
        metrics.spent(.decode, seconds: seconds)
        if let preview = decoded.preview {
            previews?.keep(preview.pixels, preview.size, sha256: file.sha256, background: background)
        }
        let pixels = Scheduler.Image(
            PixelValues(resized: decoded.pixels, size: size), sha256: file.sha256, background: background,
            drawnBox: drawnBox)
        entries.withLock { $0[id] = Entry(pixels: pixels) }
        let info = ImageInfo(
            sha256: file.sha256, width: decoded.header.width, height: decoded.header.height,
            orientation: decoded.header.orientation, format: "\(decoded.header.format)", byteCount: file.bytes.count)
        return Work.DecodedImage(
            source: SourceImage(info: info, finalURL: file.finalURL), byteCount: decoded.pixels.count, seconds: seconds)
    }

    private func isWanted(_ id: ImageID, _ byteCount: Int) async -> Bool {
        await withCheckedContinuation { gate in
            entries.withLock { $0[id, default: Entry()].gate = gate }
            deliver(.imageMeasured(id, decodeBytes: byteCount))
        }
    }

    // MARK: Pixels

    /// An image that was decoded and is not discarded yet.
    func image(_ id: ImageID) -> Scheduler.Image? { entries.withLock { $0[id]?.pixels } }

    func discard(_ id: ImageID) { entries.withLock { _ = $0.removeValue(forKey: id) } }

    /// Gives everything up.
    func close() {
        let fetches = files.withLock { files in
            defer { files = [:] }
            return Array(files.values)
        }
        for case .coming(let task) in fetches { task.cancel() }
        let all = entries.withLock { entries in
            defer { entries = [:] }
            return Array(entries.values)
        }
        for entry in all { entry.gate?.resume(returning: false) }
    }
}

extension ImageFailure {
    /// Whose fault an error is, as the work decides by it.
    init(_ error: ImageError) {
        self.init(code: error.code.word, message: error.message, blame: Self.blame(error), origin: error.origin)
    }

    private static func blame(_ error: ImageError) -> Blame {
        switch error.code {
        case .cancelled: return .cancelled
        case .stoodStill: return .standstill
        case .outage: return .ownNetwork
        case .originParked: return .parkedOrigin
        case .robotsUnreachable: return .busyOrigin(retryAfter: error.retryAfter)
        // What seems certain to the fetcher may still be this machine's doing: a success elsewhere decides.
        case .hostNotFound: return .network(.name, isPermanent: true)
        case .nameServerFailure: return .network(.name, isPermanent: false)
        case .badCertificate: return .network(.certificate, isPermanent: true)
        case .decoderLate where error.disposition != .permanent: return .lateDecoder
        case .decoderFailed: return decoderBlame(error.disposition)
        default: break
        }
        if error.isThrottled { return .busyOrigin(retryAfter: error.retryAfter) }
        switch error.disposition {
        case .permanent: return .image
        case .fatal: return .machine(wantedBytes: nil)
        case .retry(let after), .release(let after):
            return error.blame == .origin ? .origin : .chance(retryAfter: after)
        }
    }

    private static func decoderBlame(_ disposition: ImageError.Disposition) -> Blame {
        switch disposition {
        case .permanent: .image
        // Killed by the kernel, most likely: for want of memory.
        case .release: .lateDecoder
        case .retry, .fatal: .killedDecoder
        }
    }
}
