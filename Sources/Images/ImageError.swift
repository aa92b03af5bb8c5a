/// Why an image could not be fetched or decoded: what happened, and what to do about it.
public struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What happened. Tells apart what a caller may want to count or to treat differently.
    public enum Code: Hashable, Sendable {
        // The request
        case invalidURL
        case schemeNotAllowed
        case portNotAllowed
        case userinfo
        case addressNotAllowed
        case pathNotAllowed
        case tooManyRedirects
        // The network
        case hostNotFound
        case nameServerFailure
        case connectFailed
        case connectionLost
        case tls
        case badCertificate
        case timeout
        case tooSlow
        // The answer
        case fileNotFound
        case httpStatus(Int)
        case badResponse
        case tooLarge
        case emptyBody
        // The image
        case notAnImage
        case unsupportedFormat
        case truncated
        case corrupt
        case tooManyPixels
        /// The process that decodes did not survive it, or was not done in time.
        case decoderFailed
        // Ourselves
        case outOfMemory
        case localFailure
        /// The process stood still during a transfer, and goes on.
        case stoodStill
        case cancelled
    }

    /// What to do with the job.
    public enum Disposition: Hashable, Sendable {
        /// No later attempt will fare better.
        case permanent
        /// Try again; not before `after`, when the server named a delay (at most an hour).
        case retry(after: Duration?)
        /// This daemon cannot fetch or decode now, whatever the image: pause, and burn no attempt.
        case fatal
    }

    /// What happened.
    public let code: Code
    /// What and why, for a human. Names the host, never credentials, paths or queries.
    public let message: String
    /// The server's `Retry-After`, at most an hour.
    public let retryAfter: Duration?
    /// The host that failed, in lowercase: after a redirect not the URL's own. Nil where no host was asked.
    public internal(set) var host: String?

    /// An error with its human explanation.
    public init(_ code: Code, _ message: String, retryAfter: Duration? = nil, host: String? = nil) {
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
        self.host = host
    }

    /// What to do with the job; every code has an answer.
    public var disposition: Disposition {
        switch code {
        case .invalidURL, .schemeNotAllowed, .portNotAllowed, .userinfo, .addressNotAllowed, .pathNotAllowed,
            .tooManyRedirects, .hostNotFound, .badCertificate, .fileNotFound, .tooLarge, .emptyBody, .notAnImage,
            .unsupportedFormat, .truncated, .corrupt, .tooManyPixels:
            .permanent
        case .httpStatus(let status):
            Self.isWorthRetrying(status) ? .retry(after: retryAfter) : .permanent
        case .nameServerFailure, .connectFailed, .connectionLost, .tls, .timeout, .tooSlow, .badResponse, .stoodStill,
            .cancelled, .decoderFailed:
            .retry(after: retryAfter)
        case .outOfMemory, .localFailure:
            .fatal
        }
    }

    /// Whether the host as a whole may be failing, rather than this one URL of it.
    public var isHostFailure: Bool {
        switch code {
        case .nameServerFailure, .connectFailed, .timeout, .tooSlow, .httpStatus(429), .httpStatus(503): true
        default: false
        }
    }

    /// The message.
    public var description: String { message }

    /// Request time-out, too early, too many requests, and every server error.
    private static func isWorthRetrying(_ status: Int) -> Bool {
        status == 408 || status == 425 || status == 429 || (500...599).contains(status)
    }
}
