import COpenSSL
import Glibc

/// What may be fetched, from where, and at what cost.
public struct FetchPolicy: Hashable, Sendable {
    /// URL schemes that may be fetched over the network: `http`, `https` or both. Default: both.
    public var allowedSchemes: Set<String> = ["http", "https"]
    /// TCP ports that may be connected to; nil allows any. Default: 80 and 443. Holds in allowed networks too.
    public var allowedPorts: Set<Int>? = [80, 443]
    /// Networks that may be connected to although they are not public: 127.0.0.0/8 in a demonstration, or the network
    /// of an image store. Default: none.
    public var allowedNetworks: [CIDR] = []

    /// The most bytes of a file, after content decoding; checked while they arrive. Default: 32 MiB.
    public var maxBytes: Int = 32 << 20
    /// The most that one image may take on the network, redirects included, waiting for its turn excluded.
    /// Default: 60 s.
    public var totalTimeout: Duration = .seconds(60)
    /// The most that connecting may take, name lookup and TLS included. Default: 10 s.
    public var connectTimeout: Duration = .seconds(10)
    /// Bytes a second below which a transfer is given up, when it stays so for `throughputWindow`; 0 accepts any.
    /// Default: 1024.
    public var minimumThroughput: Int = 1024
    /// How long a transfer may stay below `minimumThroughput`; whole seconds. Default: 20 s.
    public var throughputWindow: Duration = .seconds(20)
    /// The most redirects that are followed; each is judged like a first request. Default: 3.
    public var maxRedirects: Int = 3

    /// The most requests at a time, all hosts together. Default: 64.
    public var maxConcurrent: Int = 64
    /// The most requests at a time to one host. Default: 4.
    public var perHostConcurrency: Int = 4
    /// The least time between the starts of two requests to one host. Default: none.
    public var perHostDelay: Duration = .zero
    /// What the two limits above are counted by. Default: the origin.
    public var limitBy = LimitBy.origin
    /// Which wishes of sites not to have their images used are obeyed; in `allowedNetworks` none. Default: those that are meant for us.
    public var optOuts = OptOuts.named
    /// What differs for certain hosts; the first rule that matches counts. Default: none.
    public var hosts: [HostRule] = []
    /// The User-Agent header. Say who fetches and where to complain. Default: `Gloss/0.1`.
    public var userAgent: String = "Gloss/0.1 (image annotation)"
    /// A file of trusted certificates (PEM) in place of the system's; nil for the system's. Default: nil.
    public var certificateAuthorities: String?

    /// Directories whose files `file:` URLs may name, judged after symbolic links are resolved. Default: none, so that
    /// `file:` URLs are refused.
    public var localRoots: [String] = []
    /// Whether `data:` URLs are decoded. Default: no.
    public var allowDataURLs: Bool = false

    /// Object stores that speak the language of Amazon S3.
    public var s3 = S3Policy()
    /// The account of Azure Blob Storage whose public containers `az:` URLs name; nil: they are refused. Default: nil.
    public var azureAccount: String?

    /// The defaults.
    public init() {}

    /// Throws ``ImageError`` (`localFailure`) that names the first setting that makes no sense.
    public func validate() throws(ImageError) {
        let rules: [(isMet: Bool, rule: String)] = [
            (allowedSchemes.isSubset(of: ["http", "https"]), "allowedSchemes: only http and https"),
            (allowedPorts?.allSatisfy { (1...65535).contains($0) } ?? true, "allowedPorts: 1 to 65535"),
            (maxBytes > 0, "maxBytes: at least 1"),
            (totalTimeout > .zero, "totalTimeout: more than 0"),
            (connectTimeout > .zero, "connectTimeout: more than 0"),
            (minimumThroughput >= 0, "minimumThroughput: at least 0"),
            (throughputWindow >= .seconds(1), "throughputWindow: at least 1 s"),
            (maxRedirects >= 0, "maxRedirects: at least 0"),
            (maxConcurrent > 0, "maxConcurrent: at least 1"),
            (perHostConcurrency > 0, "perHostConcurrency: at least 1"),
            (perHostDelay >= .zero, "perHostDelay: at least 0"),
            (!userAgent.isEmpty && userAgent.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "userAgent: plain ASCII"),
            (
                certificateAuthorities.map { access($0, R_OK) == 0 } ?? true,
                "certificateAuthorities: a file that can be read"
            ),
            (localRoots.allSatisfy { $0.hasPrefix("/") }, "localRoots: absolute paths"),
            (s3.brokenRule == nil, s3.brokenRule ?? ""),
            (
                azureAccount.map { $0.wholeMatch(of: #/[a-z0-9]{3,24}/#) != nil } ?? true,
                "azureAccount: 3 to 24 lowercase letters and digits"
            ),
        ]
        if let broken = rules.first(where: { !$0.isMet }) {
            throw ImageError(.localFailure, "the fetch policy makes no sense: \(broken.rule)")
        }
        for rule in hosts {
            if let fault = rule.fault {
                throw ImageError(.localFailure, "the fetch policy makes no sense: the rule for \(rule.match): \(fault)")
            }
        }
    }

    /// The most requests at a time to an origin, by the first rule of `hosts` that matches it; nil: `perHostConcurrency`.
    ///
    /// - Parameter origin: as ``ImageFetcher/origin(of:)`` spells it.
    public func concurrency(from origin: String) -> Int? {
        guard hosts.contains(where: { $0.concurrency != nil }) else { return nil }
        var policy = self
        policy.allowedPorts = nil
        guard let url = try? FetchURL(origin + "/", policy: policy) else { return nil }
        return hosts.first { HostPattern($0.match)?.matches(url) ?? false }?.concurrency
    }

    /// Reads the headers of `hosts` once, and forgets them. Throws ``ImageError`` (`localFailure`) where one cannot be read.
    public func checkHeaders() throws(ImageError) { _ = try HostRules(self) }

    /// Whether a file holds a certificate in PEM form, as `certificateAuthorities` must.
    public static func hasCertificate(_ file: some Collection<UInt8>) -> Bool {
        let bytes = Array(file.prefix(16 << 20))
        return gloss_has_certificate(bytes, Int32(bytes.count)) != 0
    }
}
