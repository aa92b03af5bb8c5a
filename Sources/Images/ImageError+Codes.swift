extension ImageError.Code {
    /// A code as users meet it: in `gloss.error_frequency`, in metrics and in logs.
    public struct Explanation: Hashable, Sendable {
        /// The stable word by which it is counted. It never changes.
        public let word: String
        /// What happened.
        public let meaning: String
        /// What to do about it.
        public let advice: String

        init(_ word: String, _ meaning: String, _ advice: String) {
            self.word = word
            self.meaning = meaning
            self.advice = advice
        }
    }

    /// `http_404`, `not_an_image`, …
    public var word: String { explanation.word }

    /// Every code. The word of HTTP statuses is `http_` with the number.
    public static let known: [Self] = [
        .invalidURL, .schemeNotAllowed, .portNotAllowed, .userinfo, .addressNotAllowed, .pathNotAllowed,
        .tooManyRedirects, .hostNotFound, .nameServerFailure, .connectFailed, .connectionLost, .tls, .badCertificate,
        .timeout, .tooSlow, .originParked, .robotsUnreachable, .optedOut,
        .fileNotFound, .httpStatus(0), .badResponse, .tooLarge, .emptyBody,
        .credentials, .notAnImage, .unsupportedFormat, .truncated, .corrupt, .tooManyPixels, .tooSmall, .aspectRatio,
        .placeholder, .decoderFailed, .decoderCPULimit, .decoderLate, .outage, .outOfMemory, .localFailure, .stoodStill,
        .cancelled,
    ]

    /// The word, what it means, and what to do. docs/fetching.md lists them.
    public var explanation: Explanation {
        switch self {
        // The request
        case .invalidURL: Explanation("invalid_url", "The text is no URL.", "Correct it.")
        case .schemeNotAllowed:
            Explanation(
                "scheme_not_allowed", "URLs of this scheme are not fetched: http and https are.",
                "Use such a URL, or allow `s3:`, `file:` or `data:` in the configuration.")
        case .portNotAllowed:
            Explanation("port_not_allowed", "The URL has a port that `fetch.ports` does not list.", "List the port.")
        case .userinfo: Explanation("userinfo", "The URL has a user name or a password.", "Leave it out.")
        case .addressNotAllowed:
            Explanation(
                "address_not_allowed", "The host has no public address.",
                "Allow its network with `fetch.networks` if you trust who writes URLs.")
        case .pathNotAllowed:
            Explanation(
                "path_not_allowed", "The local file is not below a folder of `fetch.local_roots`.", "List the folder.")
        case .tooManyRedirects:
            Explanation("too_many_redirects", "The URL redirects more than three times.", "Use the last URL.")
        // The network
        case .hostNotFound: Explanation("host_not_found", "There is no host of this name.", "Correct the name.")
        case .nameServerFailure:
            Explanation(
                "name_server_failure", "The name servers of this host do not answer.",
                "Wait: Gloss tries again.")
        case .connectFailed:
            Explanation(
                "connect_failed", "The host refuses the connection, or cannot be reached.", "Wait: Gloss tries again.")
        case .connectionLost:
            Explanation(
                "connection_lost", "The connection broke before the file was whole.", "Wait: Gloss tries again.")
        case .tls: Explanation("tls", "The TLS handshake failed.", "Wait, or look at the server.")
        case .badCertificate:
            Explanation(
                "bad_certificate",
                "The server's certificate is expired, or of another host, or of an unknown authority.",
                "Renew it, or trust its authority with `fetch.certificate_authorities`.")
        case .timeout:
            Explanation("timeout", "The host did not answer in time.", "Wait, or raise `fetch.timeout_seconds`.")
        case .tooSlow:
            Explanation(
                "too_slow", "The file came slower than `fetch.min_bytes_per_second`.", "Wait: Gloss tries again.")
        case .originParked:
            Explanation(
                "origin_parked", "The URL leads to a host that is left alone for a while.",
                "Wait, or `glossctl resume --host`.")
        // The site's wishes
        case .robotsUnreachable:
            Explanation(
                "robots_unreachable", "The host's robots.txt cannot be had now, so nobody knows what it allows.",
                "Wait: Gloss tries again. A rule of `fetch.hosts` with `opt_outs: off` does not ask for it.")
        case .optedOut:
            Explanation(
                "opted_out",
                "The site does not want its images used: `robots.txt`, `X-Robots-Tag` or `TDM-Reservation`.",
                "Leave the image out. `fetch.opt_outs` says what is obeyed.")
        // The answer
        case .fileNotFound:
            Explanation("file_not_found", "There is no local file of this name, or it cannot be read.", "Look at it.")
        case .httpStatus(let status):
            Explanation(
                status == 0 ? "http_" : "http_\(status)", "The server answered with this status, such as `http_404`.",
                "Look at the URL. Gloss tries again what passes by itself: docs/fetching.md has the table.")
        case .badResponse:
            Explanation("bad_response", "The server's answer is no HTTP, or is damaged.", "Wait: Gloss tries again.")
        case .tooLarge:
            Explanation("too_large", "The file has more bytes than `fetch.max_bytes`.", "Raise the limit.")
        case .emptyBody: Explanation("empty_body", "The file is empty.", "Look at the URL.")
        case .credentials:
            Explanation(
                "credentials", "The object store refuses our credentials, or there are none.",
                "Look at the key for s3: and at what it may read; then `glossctl retry`.")
        // The image, and the process that decodes
        case .notAnImage: Explanation("not_an_image", "The file is no image: HTML, for example.", "Look at the URL.")
        case .unsupportedFormat:
            Explanation(
                "unsupported_format", "The image is of a format that Gloss does not read.",
                "Convert it, or see `images.formats`.")
        case .truncated:
            Explanation(
                "truncated", "The file ends before the image does.",
                "Upload it again. Gloss tries again where the transfer may have been cut.")
        case .corrupt: Explanation("corrupt", "The file is damaged.", "Upload it again.")
        case .tooManyPixels:
            Explanation("too_many_pixels", "The image has more pixels than `images.max_pixels`.", "Raise the limit.")
        case .tooSmall:
            Explanation("too_small", "A side of the image is shorter than `images.min_side`.", "Lower the limit.")
        case .aspectRatio:
            Explanation(
                "aspect_ratio", "The image is longer and narrower than `images.max_aspect_ratio`.", "Raise the limit.")
        case .placeholder:
            Explanation(
                "placeholder", "The file is one that `images.placeholders` lists: it stands for an image that is gone.",
                "Look for another source.")
        case .decoderFailed:
            Explanation(
                "decoder_failed", "The decoder did not survive this file. The second time is final.",
                "Be careful with the file: it may be an attack.")
        case .decoderCPULimit:
            Explanation(
                "decoder_cpu_limit", "Decoding the file takes too much processor time.",
                "Be careful with the file: it may be an attack.")
        case .decoderLate:
            Explanation(
                "decoder_late", "The decoder was not done in time, because the machine is busy.",
                "Give the daemon more processors.")
        // This machine
        case .outage:
            Explanation(
                "outage",
                "Many hosts fail in the same way and none answers: this machine's network, name server or clock.",
                "Look at the machine. Its jobs wait.")
        case .outOfMemory: Explanation("out_of_memory", "This machine has no memory for the image.", "Add memory.")
        case .stoodStill:
            Explanation("stood_still", "The daemon itself stood still meanwhile.", "Nothing: Gloss tries again.")
        case .cancelled:
            Explanation(
                "cancelled", "Somebody cancelled the job, or the daemon gave the image up, to stop for example.",
                "To run a cancelled job after all: `glossctl retry`.")
        case .localFailure:
            Explanation(
                "local_failure", "This machine cannot fetch or decode now: it has no sockets, for example.",
                "Read the log. Its jobs wait.")
        }
    }
}
