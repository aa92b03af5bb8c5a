import Foundation
import Images
import Inference
import Queue

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
    let maxPixels: Int
    /// Side of the model's images, pixels.
    let size: Int
    let metrics: Metrics
    let watchdog: Watchdog
    /// Decoding blocks for up to a second: not on the cooperative pool. No more at a time than there are cores: each may need 3 bytes
    /// for every pixel of its original.
    private let decoding = OperationQueue()
    /// Bytes that decoding takes.
    private let memory = ImageRoom(limit: { FreeMemory.bytes() })

    init(fetcher: ImageFetcher, maxPixels: Int, size: Int, metrics: Metrics, watchdog: Watchdog) {
        self.fetcher = fetcher
        self.maxPixels = maxPixels
        self.size = size
        self.metrics = metrics
        self.watchdog = watchdog
        decoding.maxConcurrentOperationCount = ProcessInfo.processInfo.activeProcessorCount
    }

    /// fetch → decode → resize → normalise.
    func load(_ url: String, background: UInt32?) async -> Result<PreparedImage, ImageError> {
        do throws(ImageError) {
            let fetched = try await fetcher.fetch(url)
            metrics.fetched(bytes: fetched.bytes.count, seconds: fetched.seconds)
            let limits = DecodeLimits(maxPixels: maxPixels, background: background.map { .init(rgb: $0) } ?? .white)
            let bytes = try ImageDecoder.workingMemory(fetched.bytes, limits: limits)
            guard await memory.enter(bytes) else { throw ImageError(.cancelled, "the fetch was cancelled") }
            defer { memory.leave(bytes) }
            try check(bytes)
            return await withCheckedContinuation { continuation in
                decoding.addOperation { continuation.resume(returning: decode(fetched, limits)) }
            }
        } catch {
            return .failure(error)
        }
    }

    /// Memory that the system can't give would be the end of the daemon; so it waits for it.
    private func check(_ bytes: Int) throws(ImageError) {
        let free = FreeMemory.bytes()
        guard bytes > free else { return }
        let reason = "decoding takes up to \(bytes >> 20) MB of memory, and \(free >> 20) MB are free"
        metrics.condition.holdUp(reason, memory: bytes)
        throw ImageError(.outOfMemory, reason)
    }

    private func decode(_ fetched: FetchedImage, _ limits: DecodeLimits) -> Result<PreparedImage, ImageError> {
        let clock = ContinuousClock()
        let start = clock.now
        let call = watchdog.began("decode")
        defer { watchdog.ended(call) }
        do throws(ImageError) {
            let image = try ImageDecoder.decode(fetched.bytes, limits: limits)
            let pixels = PixelValues(rgb: image.pixels, width: image.width, height: image.height, size: size)
            let seconds = (clock.now - start) / .seconds(1)
            metrics.spent(.decode, seconds: seconds)
            return .success(
                PreparedImage(
                    pixels: pixels, key: "\(fetched.sha256)/\(limits.background.rgb)",
                    origin: ImageOrigin(
                        sha256: fetched.sha256, finalURL: fetched.finalURL, fetchSeconds: fetched.seconds,
                        decodeSeconds: seconds)))
        } catch {
            return .failure(error)
        }
    }
}

extension DecodeLimits.Colour {
    /// 0xRRGGBB.
    init(rgb: UInt32) {
        self.init(red: UInt8(rgb >> 16 & 255), green: UInt8(rgb >> 8 & 255), blue: UInt8(rgb & 255))
    }

    var rgb: UInt32 { UInt32(red) << 16 | UInt32(green) << 8 | UInt32(blue) }
}
