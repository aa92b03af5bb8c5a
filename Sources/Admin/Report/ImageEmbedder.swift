import ArgumentParser
import Foundation
import Images
import Synchronization

/// Whether a page carries its images, and from where they may be fetched.
struct EmbedOptions: ParsableArguments {
    @Flag(help: "Put the images' bytes into the page.")
    var embed = false
    @Option(
        name: .customLong("allow-network"),
        help: ArgumentHelp(
            "With --embed, fetch from this network too, such as 10.1.0.0/16. By default public addresses alone.",
            valueName: "network"), transform: EmbedOptions.network)
    var networks: [CIDR] = []
    @Option(
        name: .customLong("allow-port"),
        help: ArgumentHelp("With --embed, fetch from this port too. By default 80 and 443.", valueName: "port"))
    var ports: [Int] = []
    @Option(
        name: .customLong("allow-files"),
        help: ArgumentHelp("With --embed, read files below this directory. By default none.", valueName: "dir"),
        completion: .directory)
    var roots: [String] = []

    func validate() throws {
        guard embed || networks.isEmpty && ports.isEmpty && roots.isEmpty else {
            throw ValidationError("--allow-network, --allow-port and --allow-files are for --embed.")
        }
        if let port = ports.first(where: { !(1...65535 ~= $0) }) {
            throw ValidationError("--allow-port must be 1 to 65535, not \(port).")
        }
        if let root = roots.first(where: { !$0.hasPrefix("/") }) {
            throw ValidationError("--allow-files must be an absolute path, not \(root).")
        }
    }

    private static func network(_ text: String) throws -> CIDR {
        guard let network = CIDR(text) else {
            throw ValidationError("\"\(text)\" is no network such as 10.1.0.0/16.")
        }
        return network
    }

    /// The daemon's policy by default, and what was allowed beside it. A `data:` URL carries its own bytes.
    var policy: FetchPolicy {
        var policy = FetchPolicy()
        policy.allowedNetworks = networks
        policy.allowedPorts?.formUnion(ports)
        policy.localRoots = roots
        policy.allowDataURLs = true
        policy.totalTimeout = .seconds(30)
        return policy
    }
}

/// Fetches images and makes data: URLs of them, so that a page needs nothing but itself.
///
/// The URLs are the producers', so it fetches under the daemon's policy: what a producer writes into a job must not
/// make an operator's machine ask private networks or read local files. An image comes into the page only if its bytes
/// are those that were annotated, by their SHA-256.
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

    private let fetcher: ImageFetcher
    private let origins = Mutex<[String: Origin]>([:])
    private let firstProblem = Mutex<String?>(nil)

    init(_ policy: FetchPolicy) throws(CommandError) {
        do {
            fetcher = try ImageFetcher(policy: policy)
        } catch {
            throw CommandError(.failed, error.message)
        }
    }

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

    /// From where it was found before, and else from the URL that was enqueued: a redirect may have led to an address
    /// that has expired, and the digest tells whether it is the same file.
    private func fetch(_ url: String) async -> Outcome {
        let origin = origins.withLock { $0[url] } ?? Origin()
        var outcome = Outcome.missing
        for place in origin.finalURLs.filter({ $0 != url }) + [url] {
            do {
                let file = try await fetcher.fetch(place)
                guard origin.digests.contains(file.sha256), let type = Self.type(of: file.bytes) else {
                    outcome = .changed
                    continue
                }
                return .image("data:\(type);base64,\(Data(file.bytes).base64EncodedString())")
            } catch {
                firstProblem.withLock { $0 = $0 ?? error.message }
            }
        }
        return outcome
    }

    private static func type(of bytes: [UInt8]) -> String? {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return "image/jpeg" }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) { return "image/png" }
        return bytes.starts(with: "RIFF".utf8) && bytes.dropFirst(8).starts(with: "WEBP".utf8) ? "image/webp" : nil
    }
}
