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
    /// Whether it is known that the file ends here. If not, the connection ended without a word on how long the file is, and what may be
    /// missing may come another time.
    public let isEndKnown: Bool

    /// A file with its digest.
    public init(
        bytes: [UInt8], finalURL: String, contentType: String?, sha256: String, remoteAddress: String?, seconds: Double,
        isEndKnown: Bool = true
    ) {
        self.bytes = bytes
        self.finalURL = finalURL
        self.contentType = contentType
        self.sha256 = sha256
        self.remoteAddress = remoteAddress
        self.seconds = seconds
        self.isEndKnown = isEndKnown
    }

    /// What is wrong with this file, says whoever decoded it: worth another attempt where its end may be missing.
    public func judged(_ error: ImageError) -> ImageError {
        let isOfTheEnd = [.truncated, .corrupt].contains(error.code) || error.code == .notAnImage && bytes.count < 32
        guard !isEndKnown, isOfTheEnd else { return error }
        return ImageError(
            error.code, "\(error.message); the server did not say where the file ends", origin: error.origin,
            disposition: .retry(after: nil))
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
    private let credentials: S3CredentialSource
    private let lastID = Atomic<UInt64>(0)

    /// Starts the fetch thread. Throws ``ImageError`` (`localFailure`) for a policy that makes no sense, and when
    /// libcurl does not start.
    ///
    /// - Parameter environment: where `s3:` URLs' credentials and region may be.
    public init(
        policy: FetchPolicy = FetchPolicy(),
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ImageError) {
        let policy = policy.completed(by: environment)
        try policy.validate()
        try Curl.start()
        self.policy = policy
        let rules = try HostRules(policy, environment: environment)
        credentials = S3CredentialSource(policy.s3, environment: environment)
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
    /// decimal numbers, or RFC 5952 in brackets. That of an object is its store and bucket, as in `s3://bucket`. Nil where the text is no
    /// URL of http, https or an object store, or has a user name.
    public static func origin(of url: String) -> String? {
        if let origin = ObjectURL.origin(of: url) { return origin }
        var policy = FetchPolicy()
        policy.allowedPorts = nil
        return try? FetchURL(url, policy: policy).origin
    }

    /// Fetches one file.
    ///
    /// - Parameters:
    ///   - url: `http:`, `https:` or `gs:`; `s3:`, `az:`, `file:` and `data:` where the policy allows them.
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
                let signature = judged.object?.store == .s3 ? try await signature(judged) : nil
                let result = await submit(judged, signature, onBytes)
                if case .failure(let error) = result, error.code == .credentials, error.disposition != .permanent {
                    await credentials.forget()
                }
                body = try result.get()
            }
        }
        return FetchedImage(
            bytes: body.bytes, finalURL: body.finalURL, contentType: body.contentType,
            sha256: SHA256Digest.hex(body.bytes), remoteAddress: body.remoteAddress,
            seconds: body.duration / .seconds(1), isEndKnown: body.isEndKnown)
    }

    private func signature(_ url: FetchURL) async throws(ImageError) -> S3Signature? {
        do throws(ImageError) {
            return try await credentials.signature()
        } catch {
            var error = error
            error.origin = url.origin
            throw error
        }
    }

    private func submit(
        _ url: FetchURL, _ signature: S3Signature?, _ onBytes: Request.ByteCount?
    ) async -> Result<FetchedBody, ImageError> {
        let id = lastID.add(1, ordering: .relaxed).newValue
        return await withTaskCancellationHandler {
            await withCheckedContinuation { reply in
                var request = Request(id: id, url: url, reply: { reply.resume(returning: $0) }, onBytes: onBytes)
                request.signature = signature
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

extension FetchPolicy {
    /// Throws ``ImageError`` (`credentials`) where jobs may name buckets, and there is no key that signs requests. What only this machine's
    /// metadata service knows is not asked for.
    public func checkCredentials(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ImageError) {
        guard !s3.buckets.isEmpty, s3.credentials == .automatic else { return }
        let files = AWSFiles(environment: environment, profile: s3.profile)
        guard try files.credentials() == nil else { return }
        throw files.missing
    }

    /// With what the environment says where the policy says nothing.
    fileprivate func completed(by environment: [String: String]) -> Self {
        guard !s3.buckets.isEmpty else { return self }
        let files = AWSFiles(environment: environment, profile: s3.profile)
        var policy = self
        policy.s3.region = s3.region ?? files.region
        policy.s3.endpoint = s3.endpoint ?? files.endpoint
        return policy
    }
}
