import ArgumentParser
import Foundation
import Images
import Synchronization

/// Whether a page carries its images, and from where they may be fetched.
struct EmbedOptions: ParsableArguments {
    @Flag(help: "Put the images' bytes into the page.")
    var embed = false
    @OptionGroup var fetching: FetchOptions

    func validate() throws {
        guard embed || !fetching.areGiven else {
            throw ValidationError("--allow-network, --allow-port and --allow-files are for --embed.")
        }
    }
}

/// Fetches images and makes data: URLs of them, so that a page needs nothing but itself. An image comes into the page only
/// if its bytes are those that were annotated.
final class ImageEmbedder: Sendable {
    /// What became of the URLs of one call.
    struct Embedded {
        /// data: URLs by URL.
        var images: [String: String] = [:]
        /// URLs whose file is another one than that which was annotated.
        var changedCount = 0
        /// URLs that could not be fetched, or may not be.
        var missingCount = 0
    }

    /// What a result says of an image.
    private struct Origin {
        /// Where it was found in the end, after redirects.
        var finalURLs: [String] = []
        var digests: Set<String> = []
    }

    private let fetcher: AnnotatedImageFetcher
    private let origins = Mutex<[String: Origin]>([:])
    private let firstProblem = Mutex<String?>(nil)

    init(_ policy: FetchPolicy) throws(CommandError) { fetcher = try AnnotatedImageFetcher(policy) }

    /// Why the first of those that are missing is so.
    var problem: String? { firstProblem.withLock { $0 } }

    /// Learns from a row of `gloss.result`, a JSON object, which images it is about.
    func learn(from json: String) throws {
        struct Row: Decodable {
            var image_urls: [String]
            var final_urls: [String]
            var image_sha256: [String]
        }
        let row = try JSONDecoder().decode(Row.self, from: Data(json.utf8))
        guard row.image_urls.count == row.final_urls.count, row.image_urls.count == row.image_sha256.count else {
            return
        }
        origins.withLock { origins in
            for (index, url) in row.image_urls.enumerated() {
                var origin = origins[url] ?? Origin()
                if !origin.finalURLs.contains(row.final_urls[index]) { origin.finalURLs.append(row.final_urls[index]) }
                origin.digests.insert(row.image_sha256[index])
                origins[url] = origin
            }
        }
    }

    /// Fetches what is to come into the page.
    func embed(_ urls: Set<String>) async -> Embedded {
        await withTaskGroup(of: (String, Outcome).self) { group in
            for url in urls { group.addTask { (url, await self.fetch(url)) } }
            return await group.reduce(into: Embedded()) { all, one in
                switch one.1 {
                case .image(let data): all.images[one.0] = data
                case .changed: all.changedCount += 1
                case .missing: all.missingCount += 1
                }
            }
        }
    }

    private enum Outcome {
        /// A data: URL.
        case image(String)
        case changed
        case missing
    }

    private func fetch(_ url: String) async -> Outcome {
        let origin = origins.withLock { $0[url] } ?? Origin()
        switch await fetcher.fetch([url], found: origin.finalURLs, digests: origin.digests) {
        case .file(let bytes, _, _):
            guard let type = Self.type(of: bytes) else { return .changed }
            return .image("data:\(type);base64,\(Data(bytes).base64EncodedString())")
        case .changed: return .changed
        case .missing(let problem):
            firstProblem.withLock { $0 = $0 ?? problem }
            return .missing
        }
    }

    private static func type(of bytes: [UInt8]) -> String? { try? ImageFormat(sniffing: bytes).mediaType }
}
