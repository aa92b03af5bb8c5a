import CCurl

/// A key for S3. It is never printed.
struct S3Credentials: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    let accessKey: String
    let secretKey: String
    /// Of keys that expire.
    let sessionToken: String?

    /// Throws ``ImageError`` (`credentials`) for what cannot stand in a request.
    init(accessKey: String, secretKey: String, sessionToken: String?) throws(ImageError) {
        let parts = [accessKey, secretKey, sessionToken ?? "-"]
        guard parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }) else {
            throw ImageError(.credentials, "the key for s3: has a part that is empty or not plain ASCII")
        }
        (self.accessKey, self.secretKey, self.sessionToken) = (accessKey, secretKey, sessionToken)
    }

    var description: String { "a key for S3" }

    var customMirror: Mirror { Mirror(self, children: []) }
}

/// Signs a request without a body to S3, by AWS Signature Version 4. libcurl computes it.
struct S3Signature: Hashable, Sendable {
    let credentials: S3Credentials
    let region: String

    /// The fields that are signed too: the SHA-256 of no bytes, and the token of keys that expire.
    var headers: [String] {
        ["x-amz-content-sha256: \(SHA256Digest.hex([]))"]
            + (credentials.sessionToken.map { ["x-amz-security-token: \($0)"] } ?? [])
    }

    /// Has libcurl sign what it sends.
    func apply(to easy: borrowing EasyHandle) throws(ImageError) {
        try easy.set(CURLOPT_AWS_SIGV4, "aws:amz:\(region):s3")
        try easy.set(CURLOPT_USERNAME, credentials.accessKey)
        try easy.set(CURLOPT_PASSWORD, credentials.secretKey)
    }
}

/// What an object store answers in place of an object.
struct StoreAnswer {
    let head: AnswerHead
    /// The beginning of its body.
    let text: [UInt8]

    /// Nil: what the status says is all.
    func error(place: String, retryAfter: Duration?) -> ImageError? {
        let why = code.map { ": \($0)" } ?? ""
        if let region = head.value("x-amz-bucket-region"), [301, 307, 400].contains(head.status) {
            return ImageError(
                .httpStatus(head.status),
                "\(place) answered HTTP \(head.status)\(why); the bucket's region is \(region), see fetch.s3.region")
        }
        if let code, Self.passing.contains(code) {
            return ImageError(.credentials, "\(place) refused our key\(why)", disposition: .retry(after: retryAfter))
        }
        if [401, 403].contains(head.status), retryAfter == nil {
            return ImageError(.credentials, "\(place) answered HTTP \(head.status)\(why)")
        }
        guard let code else { return nil }
        // The stores' way to ask for patience.
        let patience: Duration? = ["SlowDown", "ServerBusy"].contains(code) ? .seconds(1) : nil
        return ImageError(
            .httpStatus(head.status), "\(place) answered HTTP \(head.status)\(why)",
            retryAfter: retryAfter ?? patience)
    }

    /// A new key, or a clock that is right again, mends these.
    private static let passing: Set = [
        "ExpiredToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "RequestExpired",
    ]

    /// S3's, Google's and Azure's word for what is wrong.
    private var code: String? {
        String(decoding: text, as: UTF8.self).firstMatch(of: #/<Code>([A-Za-z0-9]{1,64})</Code>/#).map { String($0.1) }
    }
}
