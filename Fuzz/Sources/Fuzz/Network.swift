import CFuzzer
import Foundation

@testable import Images

/// URLs, and what servers answer.
enum Network {
    /// A URL that was let through stays the same when it is read again: nobody reads another host out of it than we judged.
    @Sendable static func url(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        var policy = FetchPolicy()
        policy.localRoots = ["/srv"]
        policy.s3.buckets = ["*"]
        policy.azureAccount = "account"
        _ = CIDR(text)
        guard let judged = try? FetchURL(text, policy: policy, redirectedFrom: nil) else { return }
        precondition(judged.text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, judged.text)
        precondition(["http", "https", "file"].contains(judged.scheme))
        precondition(judged.isFile || [80, 443].contains(judged.port))
        // An object is in its store, whatever its bucket and its key are called.
        let stores = ["s3.us-east-1.amazonaws.com", "storage.googleapis.com", "account.blob.core.windows.net"]
        precondition(judged.object == nil || stores.contains { judged.host == $0 || judged.host.hasSuffix("." + $0) })
        let again: FetchURL
        do throws(ImageError) { again = try FetchURL(judged.written, policy: policy) } catch {
            // Encoding makes a URL longer.
            precondition(judged.text.utf8.count > FetchURL.lengthLimit, error.message)
            return
        }
        precondition(again == judged, "\(judged) is read again as \(again)")
        precondition(judged.isFile || ImageFetcher.origin(of: judged.origin + "/") == judged.origin, judged.origin)
    }

    @Sendable static func dataURL(_ bytes: [UInt8]) {
        var policy = FetchPolicy()
        policy.allowDataURLs = true
        policy.maxBytes = 1000
        do throws(ImageError) {
            let body = try DataURL.read("data:" + String(decoding: bytes, as: UTF8.self), policy: policy)
            precondition(!body.bytes.isEmpty && body.bytes.count <= policy.maxBytes)
        } catch {
            precondition(error.disposition == .permanent, error.message)
        }
    }

    private static let fetcher: ImageFetcher = {
        var policy = FetchPolicy()
        policy.allowedSchemes = ["http"]  // TLS is OpenSSL's
        policy.maxBytes = 4096
        policy.localRoots = ["/etc"]
        policy.allowDataURLs = true
        policy.perHostConcurrency = 1
        policy.optOuts = .off  // what an earlier input said of robots.txt must not matter
        guard let fetcher = try? ImageFetcher(policy: policy) else { preconditionFailure() }
        return fetcher
    }()

    /// A server's whole answer: status, headers, body; and the same again after each redirect.
    @Sendable static func answer(_ bytes: [UInt8]) {
        cfuzzer_answer(bytes, bytes.count)
        let done = DispatchSemaphore(value: 0)
        Task {
            do throws(ImageError) {
                let image = try await fetcher.fetch("http://a.example/a.jpg")
                precondition(!image.bytes.isEmpty && image.bytes.count <= 4096)
                precondition(image.finalURL.hasPrefix("http://"))
            } catch {
                precondition(error.disposition != .fatal, error.message)
                precondition(error.retryAfter.map { $0 > .zero && $0 <= .seconds(3600) } ?? true)
            }
            done.signal()
        }
        done.wait()
    }
}
