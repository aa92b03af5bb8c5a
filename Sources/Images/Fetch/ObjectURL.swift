/// A file in an object store: `s3://bucket/key`, `gs://bucket/key`, `az://container/key`.
///
/// The key is what stands behind the bucket, to the letter, as the stores' own tools read it: spaces, percent signs, question marks and
/// number signs belong to it.
struct ObjectURL: Hashable, Sendable {
    /// Whose store.
    enum Store: String, Hashable, Sendable, CaseIterable {
        /// Amazon S3, and whatever speaks its language.
        case s3
        /// Google Cloud Storage.
        case gs
        /// Azure Blob Storage.
        case az
    }

    let store: Store
    let bucket: String
    let key: String

    /// As a job writes it.
    var text: String { "\(origin)/\(key)" }

    /// What limits and pauses go by: the store's host would be one for all buckets.
    var origin: String { "\(store.rawValue)://\(bucket)" }

    /// Reads a URL. Nil: it is of another scheme. Throws ``ImageError`` (`invalidURL`).
    init?(reading text: String, _ context: String) throws(ImageError) {
        guard let store = Self.store(of: text) else { return nil }
        let name = store.rawValue
        let rest = text.dropFirst(name.count + 3)
        let bucket = String(rest.prefix { $0 != "/" })
        guard Self.isBucket(bucket) else {
            throw ImageError(
                .invalidURL,
                "invalid URL\(context): behind \(name):// stands a bucket's name, of 3 to 63 lowercase letters, digits, dots and hyphens"
            )
        }
        let key = rest.dropFirst(bucket.count + 1)
        guard !key.isEmpty else {
            throw ImageError(.invalidURL, "invalid URL\(context): it names no object of the bucket")
        }
        guard !key.split(separator: "/").contains(where: { $0 == "." || $0 == ".." }) else {
            throw ImageError(
                .invalidURL, "invalid URL\(context): the key has a part . or .., which would lead elsewhere")
        }
        (self.store, self.bucket, self.key) = (store, bucket, String(key))
    }

    /// The origin of a URL of an object or of a bucket; nil for what is none.
    static func origin(of text: String) -> String? {
        guard let store = store(of: text) else { return nil }
        let bucket = String(text.dropFirst(store.rawValue.count + 3).prefix { $0 != "/" })
        return isBucket(bucket) ? "\(store.rawValue)://\(bucket)" : nil
    }

    /// Whether a text may be a bucket's name.
    static func isBucket(_ text: String) -> Bool {
        text.wholeMatch(of: #/[a-z0-9][a-z0-9._\-]{1,61}[a-z0-9]/#) != nil
    }

    private static func store(of text: String) -> Store? {
        Store.allCases.first { text.prefix($0.rawValue.count + 3).lowercased() == $0.rawValue + "://" }
    }

    /// Where it is fetched from. Throws ``ImageError`` (`schemeNotAllowed`) where the policy does not allow it, and for a redirect: a
    /// server must not make us sign requests.
    func place(_ policy: FetchPolicy, isRedirect: Bool, _ context: String) throws(ImageError) -> String {
        guard !isRedirect else {
            throw ImageError(.schemeNotAllowed, "scheme \(store.rawValue)\(context) is not allowed")
        }
        switch store {
        case .s3:
            guard policy.s3.allows(bucket) else {
                throw ImageError(
                    .schemeNotAllowed, "bucket \(bucket) is not allowed: fetch.s3.buckets does not list it")
            }
            return policy.s3.place(bucket: bucket, key: encodedKey)
        case .gs: return "https://storage.googleapis.com/\(bucket)/\(encodedKey)"
        case .az:
            guard let account = policy.azureAccount else {
                throw ImageError(.schemeNotAllowed, "scheme az is not allowed: there is no fetch.az.account")
            }
            return "https://\(account).blob.core.windows.net/\(bucket)/\(encodedKey)"
        }
    }

    /// The key as SigV4 wants it: all but letters, digits, `-._~` and slashes is percent-encoded, in upper case.
    private var encodedKey: String {
        let digits = Array("0123456789ABCDEF".utf8)
        let bytes = key.utf8.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                [byte]
            default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
