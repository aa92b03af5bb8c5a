import Annotation
import Decoding
import Foundation
import Images
import Inference

/// An image that a result was given by.
struct WantedImage: Hashable, Sendable {
    /// From where it was fetched, before and after redirects.
    let url: String
    let finalURL: String?
    /// Of the file, 64 hexadecimal digits.
    let sha256: String
    /// Under transparent pixels, 0xRRGGBB; nil: white.
    let background: UInt32?
}

/// An image that was found again.
struct FoundImage: Sendable {
    let source: SourceImage
    /// The pixels of the model's size.
    let pixels: PixelValues
}

/// Why an image is not there again.
enum MissingImage: Error {
    /// Another file is there now, of this SHA-256.
    case changed(String)
    case notFetched(String)
    case notDecoded(String)
}

/// Images as the daemon saw them: fetched again, or read from files that were given, and decoded in processes that hold
/// nothing worth taking.
struct ImageSupply: Sendable {
    /// Files held at a time.
    private static let mostFiles = 16

    private let fetcher: AnnotatedImageFetcher?
    /// Paths of the images of the one result, in order; empty: they are fetched.
    let given: [String]
    private let decoders: DecoderPool

    /// - Parameters:
    ///   - maxPixels: the most that are decoded; nil: the usual number.
    ///   - count: images that are decoded at a time.
    init(_ policy: FetchPolicy, given: [String], maxPixels: Int?, count: Int) throws(CommandError) {
        fetcher = given.isEmpty ? try AnnotatedImageFetcher(policy) : nil
        self.given = given
        // What the daemon annotated was wanted then, whatever its configuration says now.
        let images = DecodeLimits(
            maxPixels: maxPixels ?? DecodeLimits().maxPixels, formats: Set(ImageFormat.allCases))
        decoders = DecoderPool(limits: .init(images), count: count)
    }

    /// Gets images for a model, each once.
    func get(
        _ wanted: Set<WantedImage>, for model: PaliGemma
    ) async -> [WantedImage: Result<FoundImage, MissingImage>] {
        var left = Array(wanted)
        return await withTaskGroup(of: (WantedImage, Result<FoundImage, MissingImage>).self) { group in
            func start() {
                guard let image = left.popLast() else { return }
                group.addTask { (image, await get(image, model)) }
            }
            for _ in 0..<Self.mostFiles { start() }
            var found: [WantedImage: Result<FoundImage, MissingImage>] = [:]
            for await (image, result) in group {
                found[image] = result
                start()
            }
            return found
        }
    }

    private func get(_ image: WantedImage, _ model: PaliGemma) async -> Result<FoundImage, MissingImage> {
        let (bytes, finalURL): ([UInt8], String)
        if let fetcher {
            switch await fetcher.fetch(
                [image.url], found: image.finalURL.map { [$0] } ?? [], digests: [image.sha256])
            {
            case .file(let file, _, let url): (bytes, finalURL) = (file, url)
            case .changed(let digest): return .failure(.changed(digest))
            case .missing(let why): return .failure(.notFetched(why))
            }
        } else {
            do { bytes = [UInt8](try Data(contentsOf: URL(filePath: image.url))) } catch {
                return .failure(.notFetched("\(image.url) cannot be read"))
            }
            let digest = SHA256Digest.hex(bytes)
            guard digest == image.sha256 else { return .failure(.changed(digest)) }
            finalURL = image.url
        }
        do throws(ImageError) {
            let decoded = try await decoders.decode(
                bytes, sha256: image.sha256, background: image.background.map { DecodeLimits.Colour(rgb: $0) },
                size: model.configuration.vision.imageSize, resize: model.resize
            ).get()
            let info = ImageInfo(
                sha256: image.sha256, width: decoded.header.width, height: decoded.header.height,
                orientation: decoded.header.orientation, format: "\(decoded.header.format)", byteCount: bytes.count)
            return .success(
                FoundImage(
                    source: SourceImage(info: info, finalURL: finalURL),
                    pixels: PixelValues(resized: decoded.pixels, size: model.configuration.vision.imageSize)))
        } catch {
            return .failure(.notDecoded(error.message))
        }
    }
}
