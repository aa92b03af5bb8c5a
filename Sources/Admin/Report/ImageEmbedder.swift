import Foundation
import Images

/// Fetches images and makes data: URLs of them, so that a page needs nothing but itself.
///
/// It goes wherever a URL leads, to local files and private networks too: a browser that opens the page without
/// `--embed` does the same. Only what is a JPEG, PNG or WebP comes into the page.
struct ImageEmbedder {
    private let fetcher: ImageFetcher

    init() throws(CommandError) {
        var policy = FetchPolicy()
        policy.localRoots = ["/"]
        policy.allowDataURLs = true
        policy.allowedPorts = nil
        policy.allowedNetworks = ["0.0.0.0/0", "::/0"].compactMap { CIDR($0) }
        policy.totalTimeout = .seconds(30)
        do {
            fetcher = try ImageFetcher(policy: policy)
        } catch {
            throw CommandError(.failed, error.message)
        }
    }

    /// data: URLs by URL; what cannot be fetched or is no image is missing.
    func embed(_ urls: Set<String>) async -> [String: String] {
        await withTaskGroup(of: (String, String?).self) { group in
            for url in urls {
                group.addTask { [fetcher] in
                    guard let image = try? await fetcher.fetch(url), let type = Self.type(of: image.bytes) else {
                        return (url, nil)
                    }
                    return (url, "data:\(type);base64,\(Data(image.bytes).base64EncodedString())")
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    private static func type(of bytes: [UInt8]) -> String? {
        if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return "image/jpeg" }
        if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) { return "image/png" }
        return bytes.starts(with: "RIFF".utf8) && bytes.dropFirst(8).starts(with: "WEBP".utf8) ? "image/webp" : nil
    }
}
