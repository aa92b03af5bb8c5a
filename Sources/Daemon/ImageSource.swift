import Dispatch
import Foundation
import Images
import Inference
import Queue

/// An image that is ready for the vision tower, and where it came from.
struct PreparedImage: Sendable {
    let pixels: PixelValues
    let sha256: String
    /// The colour under transparent pixels, 0xRRGGBB.
    let background: UInt32
    let finalURL: String
    let fetchSeconds: Double
    let decodeSeconds: Double

    /// Two images with the same id have the same pixels.
    var id: String { "\(sha256)/\(background)" }
}

/// Where images come from: fetched, decoded, resized and normalised.
struct ImageSource: Sendable {
    let fetcher: ImageFetcher
    let maxPixels: Int
    /// Side of the model's images, pixels.
    let size: Int
    let metrics: Metrics
    /// Decoding blocks for up to a second: not on the cooperative pool.
    private let decoding = DispatchQueue(label: "gloss.decode", attributes: .concurrent)

    init(fetcher: ImageFetcher, maxPixels: Int, size: Int, metrics: Metrics) {
        self.fetcher = fetcher
        self.maxPixels = maxPixels
        self.size = size
        self.metrics = metrics
    }

    /// fetch → decode → resize → normalise.
    func load(_ url: String, background: UInt32?) async -> Result<PreparedImage, ImageError> {
        do throws(ImageError) {
            let fetched = try await fetcher.fetch(url)
            metrics.fetched(bytes: fetched.bytes.count, seconds: fetched.seconds)
            return await withCheckedContinuation { continuation in
                decoding.async { continuation.resume(returning: decode(fetched, background: background)) }
            }
        } catch {
            return .failure(error)
        }
    }

    private func decode(_ fetched: FetchedImage, background: UInt32?) -> Result<PreparedImage, ImageError> {
        let clock = ContinuousClock()
        let start = clock.now
        do throws(ImageError) {
            var limits = DecodeLimits(maxPixels: maxPixels)
            if let background { limits.background = DecodeLimits.Colour(rgb: background) }
            let image = try ImageDecoder.decode(fetched.bytes, limits: limits)
            let pixels = PixelValues(rgb: image.pixels, width: image.width, height: image.height, size: size)
            let seconds = (clock.now - start) / .seconds(1)
            metrics.decoded(seconds: seconds)
            return .success(
                PreparedImage(
                    pixels: pixels, sha256: fetched.sha256, background: background ?? 0xFFFFFF,
                    finalURL: fetched.finalURL, fetchSeconds: fetched.seconds,
                    decodeSeconds: seconds))
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
}
