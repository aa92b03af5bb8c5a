import Foundation
import Images
import Inference
import Queue
import Synchronization

/// Where an image came from.
struct ImageOrigin: Sendable {
    let sha256: String
    let finalURL: String
    let fetchSeconds: Double
    let decodeSeconds: Double
}

/// An image that is ready for the vision tower.
struct PreparedImage: Sendable {
    let pixels: PixelValues
    /// Two images with the same key have the same pixels: the file's SHA-256, and the colour under transparent pixels.
    let key: String
    let origin: ImageOrigin
}

/// Where images come from: fetched, decoded, resized and normalised.
struct ImageSource: Sendable {
    let fetcher: ImageFetcher
    let decoders: DecoderPool
    /// Side of the model's images, pixels.
    let size: Int
    let metrics: Metrics
    /// Bytes that decoding takes.
    let memory = ImageRoom(limit: { FreeMemory.bytes() })

    /// fetch → decode → resize → normalise.
    func load(_ url: String, background: UInt32?) async -> Result<PreparedImage, ImageError> {
        do throws(ImageError) {
            let fetched = try await fetcher.fetch(url)
            metrics.fetched(bytes: fetched.bytes.count, seconds: fetched.seconds)
            return .success(try await decode(fetched, background: background))
        } catch {
            return .failure(error)
        }
    }

    /// Waits for the bytes that decoding takes. Memory that the system can't give would be the end of the daemon; so it waits for it.
    private func enter(_ bytes: Int) async -> ImageError? {
        guard await memory.enter(bytes) else { return ImageError(.cancelled, "the fetch was cancelled") }
        let free = FreeMemory.bytes()
        guard bytes > free else { return nil }
        memory.leave(bytes)
        let reason = "decoding takes up to \(bytes >> 20) MB of memory, and \(free >> 20) MB are free"
        metrics.condition.holdUp(reason, memory: bytes)
        return ImageError(.outOfMemory, reason)
    }

    private func decode(_ fetched: FetchedImage, background: UInt32?) async throws(ImageError) -> PreparedImage {
        let start = ContinuousClock.now
        let colour = background.map { DecodeLimits.Colour(rgb: $0) }
        let held = Mutex(0)
        defer { memory.leave(held.withLock { $0 }) }
        let image = try await decoders.decode(
            fetched.bytes, sha256: fetched.sha256, background: colour, size: size
        ) { bytes in
            let refusal = await enter(bytes)
            if refusal == nil { held.withLock { $0 = bytes } }
            return refusal
        }.get()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        metrics.spent(.decode, seconds: seconds)
        return PreparedImage(
            pixels: PixelValues(resized: image.pixels, size: size), key: "\(fetched.sha256)/\(background ?? 0xFFFFFF)",
            origin: ImageOrigin(
                sha256: fetched.sha256, finalURL: fetched.finalURL, fetchSeconds: fetched.seconds,
                decodeSeconds: seconds))
    }
}

extension DecodeLimits.Colour {
    /// 0xRRGGBB.
    init(rgb: UInt32) {
        self.init(red: UInt8(rgb >> 16 & 255), green: UInt8(rgb >> 8 & 255), blue: UInt8(rgb & 255))
    }

    var rgb: UInt32 { UInt32(red) << 16 | UInt32(green) << 8 | UInt32(blue) }
}
