import COpenSSL

/// SHA-256 (FIPS 180-4), by libcrypto.
public enum SHA256Digest {
    /// The digest of `bytes`, as 64 lowercase hexadecimal digits.
    public static func hex(_ bytes: [UInt8]) -> String {
        let digest = [UInt8](unsafeUninitializedCapacity: 32) { target, count in
            let done = bytes.withUnsafeBufferPointer { gloss_sha256($0.baseAddress, $0.count, target.baseAddress) }
            precondition(done == 1, "libcrypto has no SHA-256")
            count = 32
        }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
