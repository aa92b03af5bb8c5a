/// Why an image is not there, and whose fault that is.
public struct ImageFailure: Error, Hashable, Sendable {
    /// A network's part that may be at fault, on this machine or elsewhere.
    public enum NetworkPart: String, Hashable, Sendable, CaseIterable {
        /// Name service: no such host, or no answer.
        case name
        /// TLS: a certificate that is not valid; this machine's clock may be wrong.
        case certificate
        /// IP: no route, no network.
        case route
    }

    /// Whose fault it is.
    public enum Blame: Hashable, Sendable {
        /// The URL's, the file's or the answer's: no later attempt fares better.
        case image
        /// Chance's: a later attempt may fare better.
        case chance(retryAfter: Duration?)
        /// The origin's: it may fail as a whole.
        case origin
        /// The origin's: it asks for patience.
        case busyOrigin(retryAfter: Duration?)
        /// A redirect led to an origin that is parked; it was not asked.
        case parkedOrigin
        /// Perhaps this machine's network. `isPermanent`: if it is not, no later attempt fares better.
        case network(NetworkPart, isPermanent: Bool)
        /// This machine's network, for certain.
        case ownNetwork
        /// This machine's; nil: it is not for want of memory.
        case machine(wantedBytes: Int?)
        /// This process stood still meanwhile.
        case standstill
        /// The decoder's: it took too long by the clock, though not by its processor time.
        case lateDecoder
        /// The decoder's: the image killed it.
        case killedDecoder
        /// Nobody's: it was cancelled.
        case cancelled
    }

    /// A stable word to count by, such as `http_404`.
    public var code: String
    /// One sentence for the person who enqueued the job.
    public var message: String
    /// Whose fault it is.
    public var blame: Blame
    /// The origin that failed, after redirects; nil where none was asked.
    public var origin: String?

    /// A failure.
    public init(code: String, message: String, blame: Blame, origin: String? = nil) {
        self.code = code
        self.message = message
        self.blame = blame
        self.origin = origin
    }

    /// Whether the origin's machine answered, so that this machine's network works.
    var showsRoute: Bool {
        switch blame {
        case .busyOrigin: true
        case .image, .chance: origin != nil
        default: false
        }
    }
}
