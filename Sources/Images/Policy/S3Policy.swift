/// How `s3:` URLs are fetched, and with whose rights.
public struct S3Policy: Hashable, Sendable {
    /// Where credentials come from.
    public enum Credentials: String, Hashable, Sendable, CaseIterable {
        /// From the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), or else from a file as AWS tools read
        /// it: systemd's credential `aws-credentials`, `AWS_SHARED_CREDENTIALS_FILE`, `~/.aws/credentials`.
        case automatic = "auto"
        /// The same, or else this machine's role, by the metadata service of Amazon EC2 (version 2).
        case instance
        /// Nowhere from: requests are not signed, and buckets are public.
        case none
    }

    /// The buckets that jobs may name; `*`: all that the credentials may read. Default: none, so that `s3:` URLs are refused.
    public var buckets: Set<String> = []
    /// `http://` or `https://`, host and port of another store than Amazon's; nil: Amazon's. Default: nil.
    public var endpoint: String?
    /// The buckets' region; nil: that of `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile, or us-east-1. Default: nil.
    public var region: String?
    /// Whether the bucket stands in the path, and not in the host's name. Default (nil): with an `endpoint`, and where a bucket's name can
    /// be no label of a host.
    public var usesPathStyle: Bool?
    /// Where credentials come from. Default: `automatic`.
    public var credentials = Credentials.automatic
    /// The profile in the files of AWS tools; nil: that of `AWS_PROFILE`, or `default`. Default: nil.
    public var profile: String?
    /// Where the metadata service is.
    var metadataEndpoint = "http://169.254.169.254"

    /// The defaults.
    public init() {}

    /// Whether jobs may name a bucket.
    func allows(_ bucket: String) -> Bool { buckets.contains("*") || buckets.contains(bucket) }

    /// The region, for addresses and signatures.
    var signingRegion: String { region ?? "us-east-1" }

    /// Where an object is.
    ///
    /// - Parameter key: percent-encoded.
    func place(bucket: String, key: String) -> String {
        let domain = signingRegion.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        var base = endpoint ?? "https://s3.\(signingRegion).\(domain)"
        while base.hasSuffix("/") { base.removeLast() }
        let isInPath = usesPathStyle ?? (endpoint != nil || bucket.contains { $0 == "." || $0 == "_" })
        guard !isInPath, let host = base.firstRange(of: "://")?.upperBound else { return "\(base)/\(bucket)/\(key)" }
        return "\(base[..<host])\(bucket).\(base[host...])/\(key)"
    }

    /// The first rule that is broken; nil: none.
    var brokenRule: String? {
        if let endpoint, endpoint.wholeMatch(of: #/https?://[^/?#@\s]+/*/#) == nil {
            return "s3.endpoint: http:// or https://, a host and perhaps a port"
        }
        if let region, region.wholeMatch(of: #/[a-z0-9-]{1,32}/#) == nil { return "s3.region: as in us-east-1" }
        if let bucket = buckets.first(where: { $0 != "*" && !ObjectURL.isBucket($0) }) {
            return "s3.buckets: \(bucket) is no bucket's name"
        }
        return nil
    }
}
