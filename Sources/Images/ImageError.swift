/// Why an image could not be fetched or decoded: what happened, whose fault it is, and what to do about it.
public struct ImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What happened. ``Code/word`` is how it is counted, and `ImageError+Codes.swift` says what each means.
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
        case originParked
        // The site's wishes
        case robotsUnreachable
        case optedOut
        // The answer
        case fileNotFound
        case httpStatus(Int)
        case badResponse
        case tooLarge
        case emptyBody
        case credentials
        // The image
        case notAnImage
        case unsupportedFormat
        case truncated
        case corrupt
        case tooManyPixels
        case tooSmall
        case aspectRatio
        case placeholder
        // The process that decodes
        case decoderFailed
        case decoderCPULimit
        case decoderLate
        // This machine
        case outage
        case outOfMemory
        case localFailure
        case stoodStill
        case cancelled
    }

    /// Whose fault it is.
    public enum Blame: Hashable, Sendable {
        /// This URL's, or the file's behind it.
        case url
        /// The whole origin's: its other URLs would fail too.
        case origin
        /// This machine's, its network's, or this process's: other URLs would fail too, and another daemon may do better.
        case ourselves
    }

    /// What to do with the job.
    public enum Disposition: Hashable, Sendable {
        /// No later attempt will fare better.
        case permanent
        /// Try again, which costs an attempt; not before `after`, when the server named a delay (at most an hour).
        case retry(after: Duration?)
        /// Try again, which costs no attempt; not before `after`, where that is known.
        case release(after: Duration?)
        /// This daemon cannot fetch or decode now, whatever the image: pause, and burn no attempt.
        case fatal
    }

    /// What happened.
    public let code: Code
    /// What and why, for a human. Names the host, never credentials, paths or queries.
    public let message: String
    /// The server's `Retry-After`, at most an hour; or how long an origin stays parked.
    public let retryAfter: Duration?
    /// The origin that failed, as ``ImageFetcher/origin(of:)`` spells it: after a redirect not the URL's own. Nil where no server was
    /// asked, and where it is our own fault.
    public internal(set) var origin: String?
    /// What to do where the code alone does not say it.
    private let exception: Disposition?
    /// Whose fault it is where the code alone does not say it.
    private let exceptionalBlame: Blame?

    /// An error with its human explanation.
    ///
    /// - Parameters:
    ///   - disposition: what to do, where it is not what the code says.
    ///   - blame: whose fault it is, where it is not whose the code says.
    public init(
        _ code: Code, _ message: String, retryAfter: Duration? = nil, origin: String? = nil,
        disposition: Disposition? = nil, blame: Blame? = nil
    ) {
        self.code = code
        self.message = message
        self.retryAfter = retryAfter
        self.origin = origin
        exception = disposition
        exceptionalBlame = blame
    }

    /// What to do with the job; every code has an answer.
    public var disposition: Disposition {
        if let exception { return exception }
        return switch code {
        case .invalidURL, .schemeNotAllowed, .portNotAllowed, .userinfo, .addressNotAllowed, .pathNotAllowed,
            .tooManyRedirects, .hostNotFound, .badCertificate, .fileNotFound, .tooLarge, .emptyBody, .credentials,
            .notAnImage, .unsupportedFormat, .truncated, .corrupt, .tooManyPixels, .tooSmall, .aspectRatio,
            .placeholder, .decoderCPULimit:
            .permanent
        case .optedOut: .permanent
        case .robotsUnreachable: .release(after: retryAfter)
        case .httpStatus where isThrottled: .release(after: retryAfter)
        // Whoever names a time expects another attempt.
        case .httpStatus(let status):
            retryAfter != nil || HTTPStatus.meaning(status) != .final ? .retry(after: retryAfter) : .permanent
        case .nameServerFailure, .connectFailed, .connectionLost, .tls, .timeout, .tooSlow, .badResponse,
            .decoderFailed:
            .retry(after: retryAfter)
        case .originParked, .decoderLate, .stoodStill, .cancelled: .release(after: retryAfter)
        case .outage, .outOfMemory, .localFailure: .fatal
        }
    }

    /// Whose fault it is; every code has an answer.
    public var blame: Blame {
        if let exceptionalBlame { return exceptionalBlame }
        return switch code {
        case .hostNotFound, .nameServerFailure, .connectFailed, .tls, .badCertificate, .timeout, .tooSlow,
            .originParked:
            .origin
        case .robotsUnreachable: .origin
        case .httpStatus(let status): isThrottled || HTTPStatus.meaning(status) == .hostFails ? .origin : .url
        case .decoderLate, .outage, .outOfMemory, .localFailure, .stoodStill, .cancelled: .ourselves
        default: .url
        }
    }

    /// Whether the server asks for patience: 429, or another status by which hosts limit requests, with `Retry-After`.
    public var isThrottled: Bool {
        guard case .httpStatus(let status) = code else { return false }
        return HTTPStatus.meaning(status) == .asksForPatience
            || retryAfter != nil && HTTPStatus.limitsRequests(status)
    }

    /// Whether the origin as a whole may be failing for a while, so that it is worth leaving alone.
    public var isHostFailure: Bool { blame == .origin && disposition != .permanent }

    /// The message.
    public var description: String { message }
}
