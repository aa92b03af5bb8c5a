import Decoding
import Foundation
import Images
import Inference

/// How large a picture is: its longest side, pixels.
package enum PictureSize: Int, CaseIterable, Sendable {
    case card = 320
    case page = 1280
}

/// An image that a result was given by, as the database knows it. A page names a job and an index, never a URL: so the console fetches
/// nothing that nobody enqueued.
struct WantedPicture: Sendable, Equatable, Decodable {
    /// As enqueued.
    var url: String
    /// Where redirects led then.
    var final_url: String?
    /// Of the file that was annotated, hexadecimal.
    var sha256: String
    /// Under transparent pixels, `#rrggbb`; nil: white.
    var background: String?

    /// - Parameter index: from 1.
    /// - Returns: nil: the job has no result, or not so many images.
    static func find(_ readers: ReaderPool, job: Int64, index: Int) async throws -> WantedPicture? {
        try await readers.read { reader in
            try await reader.rows(
                WantedPicture.self,
                """
                select j.image_urls[i.n] as url, a.final_urls[i.n] as final_url,
                       encode(a.image_sha256[i.n], 'hex') as sha256, j.spec ->> 'background' as background
                from gloss.job j join gloss.annotation a on a.job_id = j.id cross join (select \(index)::int as n) i
                where j.id = \(job)::bigint and j.image_urls[i.n] is not null and a.image_sha256[i.n] is not null
                """
            ).first
        }
    }

    /// 0xRRGGBB.
    var colour: UInt32? { background.flatMap { UInt32($0.trimmingPrefix("#"), radix: 16) } }

    /// Whether a browser can get it itself.
    var isOnTheWeb: Bool { ["http://", "https://"].contains { url.lowercased().hasPrefix($0) } }

    /// By which links name what they show.
    var version: String { Self.version(of: sha256) }

    static func version(of sha256: String) -> String { String(sha256.prefix(16)) }
}

/// Makes pictures of images: fetched under the daemon's policy, decoded in processes that hold nothing worth taking, upright, no larger
/// than asked for, and written anew, so that no byte of a stranger's file reaches a browser.
package final class PictureMaker: Sendable {
    private let fetcher: AnnotatedImageFetcher
    private let decoders: DecoderPool
    private let cache: PictureCache?
    private let previews: PictureCache?

    /// - Parameters:
    ///   - policy: from where images may be fetched.
    ///   - maxPixels: the most that are decoded.
    ///   - decoder: a program that decodes when it is asked to; this one by default.
    ///   - cache: nil: nothing is kept.
    ///   - previews: what a daemon has kept, for images that are gone or are others now; nil: nothing.
    /// - Throws: ``ImageError`` (`localFailure`) where no fetcher can be started.
    package init(
        policy: FetchPolicy, maxPixels: Int, decoder: String = "/proc/self/exe", cache: PictureCache?,
        previews: PictureCache? = nil
    ) throws(ImageError) {
        fetcher = try AnnotatedImageFetcher(policy: policy)
        let count = min(4, max(1, Processors.threadCount()))
        // What was annotated was wanted then, whatever a daemon's configuration says now.
        let images = DecodeLimits(maxPixels: maxPixels, formats: Set(ImageFormat.allCases))
        decoders = DecoderPool(executable: decoder, limits: .init(images), count: count)
        (self.cache, self.previews) = (cache, previews)
    }

    /// - Parameter version: what the address says of the file; then a browser may keep the answer.
    func reply(_ wanted: WantedPicture, _ size: PictureSize, version: String?) async -> Reply {
        let name = PictureCache.Name(sha256: wanted.sha256, size: size.rawValue, background: wanted.colour)
        let cache = version == wanted.version ? Reply.immutable : "private, no-cache"
        if let kept = self.cache?.read(name) {
            return Reply(type: "image/jpeg", body: kept, cache: cache)
        }
        switch await make(wanted, size) {
        case .success(let file):
            // Without it the picture is made again.
            try? self.cache?.write(file, name)
            return Reply(type: "image/jpeg", body: file, cache: cache)
        case .failure(let problem):
            let preview = PictureCache.Name(
                sha256: wanted.sha256, size: PictureCache.previewSide, background: wanted.colour)
            guard let kept = previews?.read(preview) else { return Self.placard(problem.words, status: problem.status) }
            return Reply(type: "image/jpeg", body: kept, cache: cache)
        }
    }

    private struct Problem: Error {
        let words: String
        let status: Int
    }

    private func make(_ wanted: WantedPicture, _ size: PictureSize) async -> Result<Data, Problem> {
        let found = wanted.final_url.map { [$0] } ?? []
        switch await fetcher.fetch([wanted.url], found: found, digests: [wanted.sha256]) {
        case .changed: return .failure(Problem(words: "Another image is there now", status: 409))
        case .missing: return .failure(Problem(words: "The image cannot be fetched", status: 502))
        case .file(let bytes, _, _):
            let decoded = await decoders.decode(
                bytes, sha256: wanted.sha256, background: wanted.colour.map { DecodeLimits.Colour(rgb: $0) },
                resize: .bicubic, size: { DecodedSize(of: $0, within: size.rawValue) })
            guard case .success(let image) = decoded,
                let file = JPEGFile.encode(
                    RGBImage(width: image.size.width, height: image.size.height, pixels: image.pixels))
            else { return .failure(Problem(words: "The image cannot be decoded", status: 422)) }
            return .success(Data(file))
        }
    }

    /// A picture that says why there is none.
    static func placard(_ words: HTML, status: Int) -> Reply {
        let picture: HTML = """
            <svg xmlns="http://www.w3.org/2000/svg" width="320" height="200" viewBox="0 0 320 200">\
            <rect width="320" height="200" fill="#7c8797"/><text x="160" y="104" fill="#fff" text-anchor="middle" \
            font-family="sans-serif" font-size="16">\(words)</text></svg>
            """
        return Reply(
            type: "image/svg+xml; charset=utf-8", body: Data(picture.description.utf8), status: status,
            cache: "no-store")
    }

    private static func placard(_ words: String, status: Int) -> Reply { placard(HTML(text: words), status: status) }
}
