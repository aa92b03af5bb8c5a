import Foundation
import Synchronization

/// A file that was fetched. Not yet known to be an image.
public struct FetchedImage: Hashable, Sendable {
    /// The file, content encodings undone.
    public let bytes: [UInt8]
    /// The URL that answered, after redirects.
    public let finalURL: String
    /// What the server says the file is; hearsay.
    public let contentType: String?
    /// SHA-256 of `bytes`, in lowercase hexadecimal.
    public let sha256: String
    /// The address that answered; nil for `file:` and `data:` URLs.
    public let remoteAddress: String?
    /// Seconds on the network (or disk), redirects included, waiting for its turn excluded.
    public let seconds: Double

    /// A file with its digest.
    public init(
        bytes: [UInt8], finalURL: String, contentType: String?, sha256: String, remoteAddress: String?, seconds: Double
    ) {
        self.bytes = bytes
        self.finalURL = finalURL
        self.contentType = contentType
        self.sha256 = sha256
        self.remoteAddress = remoteAddress
        self.seconds = seconds
    }
}

/// Fetches images under a policy: over HTTP on a thread of its own, and from local roots where the policy names any.
///
/// Requests wait for their turn (per host and in all) without blocking a thread. Cancelling the task aborts its
/// transfer.
public final class ImageFetcher: Sendable {
    /// What is fetched, and at what cost.
    public let policy: FetchPolicy
    private let mailbox = Mailbox()
    private let cuts = CutReports()
    private let lastID = Atomic<UInt64>(0)

    /// Starts the fetch thread. Throws ``ImageError`` (`localFailure`) for a policy that makes no sense, and when
    /// libcurl does not start.
    public init(policy: FetchPolicy = FetchPolicy()) throws(ImageError) {
        try policy.validate()
        try Curl.start()
        self.policy = policy
        let rules = try HostRules(policy)
        let isStarted = DispatchSemaphore(value: 0)
        let thread = Thread { [mailbox, cuts] in
            isStarted.wait()
            // From within, and once start() is over: else the system does not learn it.
            Thread.current.name = "gloss-fetch"
            FetchLoop.run(policy: policy, rules: rules, mailbox: mailbox, cuts: cuts)
        }
        thread.start()
        isStarted.signal()
    }

    deinit { shutdown() }

    /// Ends the thread. Fetches in flight fail as `cancelled`, and so does every later one. Returns at once.
    public func shutdown() { mailbox.close() }

    /// Says that so many fetchers, this one among them, share the limits for each host: from now on this one keeps to its share.
    public func share(among count: Int) { _ = mailbox.send(.share(count)) }

    /// What hosts asked for patience since this was asked last: to be told to the fetchers that share the limits.
    public func takeCuts() -> [LineCut] { cuts.take() }

    /// Says it once more the next time: the others could not be told.
    public func putBack(_ reports: [LineCut]) { cuts.putBack(reports) }

    /// What hosts that asked for patience allow to all fetchers that share the limits, as far as that is news.
    public func learn(_ allowances: [LineAllowance]) {
        if !allowances.isEmpty { _ = mailbox.send(.learn(allowances)) }
    }

    /// Leaves an origin alone for so long: what waits for it, and what a redirect leads there meanwhile, fails as `originParked`.
    /// Requests under way go on.
    ///
    /// - Parameter origin: as ``origin(of:)`` spells it, and as errors name it.
    public func park(_ origin: String, for pause: Duration) {
        _ = mailbox.send(.park(origin, until: ContinuousClock.now + pause))
    }

    /// Fetches from a parked origin again.
    public func unpark(_ origin: String) { _ = mailbox.send(.unpark(origin)) }

    /// Lets no request start while those under way may take more bytes than this, together with it. One may always be under way. Without a
    /// limit there are ``FetchPolicy/maxConcurrent`` times ``FetchPolicy/maxBytes``.
    public func limitBytes(_ count: Int) { _ = mailbox.send(.limitBytes(count)) }

    /// How many requests have been submitted to the fetch thread.
    var submittedCount: Int { mailbox.submittedCount }

    /// Grows every second at least, as long as the fetch thread turns: a watchdog's sign of life.
    public var turns: Int { mailbox.turns.load(ordering: .relaxed) }

    /// The origin of a URL: what a host's limits, pauses and errors go by. It is `scheme://host[:port]` in lower case and in ASCII
    /// (Punycode), percent-decoded, without a default port and without a dot behind the name. Addresses are spelt in one way: four
    /// decimal numbers, or RFC 5952 in brackets. Nil where the text is no URL of http or https, or has a user name.
    public static func origin(of url: String) -> String? {
        var policy = FetchPolicy()
        policy.allowedPorts = nil
        return try? FetchURL(url, policy: policy).origin
    }

    /// Fetches one file.
    ///
    /// - Parameters:
    ///   - url: `http:` or `https:`; `file:` and `data:` where the policy allows them.
    ///   - onBytes: Told how many bytes the file takes as far as is known, whenever that changes: `maxBytes` when the request starts (not
    ///     while it waits), what the server announces, and what has come; 0 when it failed. Called on the fetch thread, and must return
    ///     at once.
    /// - Throws: ``ImageError``; its disposition says whether to try again.
    public func fetch(
        _ url: String, onBytes: (@Sendable (Int) -> Void)? = nil
    ) async throws(ImageError) -> FetchedImage {
        let body: FetchedBody
        if DataURL.matches(url) {
            body = try DataURL.read(url, policy: policy)
            onBytes?(body.bytes.count)
        } else {
            let judged = try FetchURL(url, policy: policy)
            if judged.isFile {
                body = try await LocalFile.read(judged, policy: policy)
                onBytes?(body.bytes.count)
            } else {
                body = try await submit(judged, onBytes).get()
            }
        }
        return FetchedImage(
            bytes: body.bytes, finalURL: body.finalURL, contentType: body.contentType,
            sha256: SHA256Digest.hex(body.bytes), remoteAddress: body.remoteAddress,
            seconds: body.duration / .seconds(1))
    }

    private func submit(
        _ url: FetchURL, _ onBytes: Request.ByteCount?
    ) async -> Result<FetchedBody, ImageError> {
        let id = lastID.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { reply in
                let request = Request(id: id, url: url, reply: { reply.resume(returning: $0) }, onBytes: onBytes)
                guard mailbox.send(.submit(request)) else {
                    reply.resume(returning: .failure(ImageError(.cancelled, "the fetcher is shut down")))
                    return
                }
                // A cancellation that came before the request found nothing to cancel: say it again.
                if Task.isCancelled { _ = mailbox.send(.cancel(id)) }
            }
        } onCancel: {
            _ = mailbox.send(.cancel(id))
        }
    }
}
