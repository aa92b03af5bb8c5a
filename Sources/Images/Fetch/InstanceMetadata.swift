import CCurl
import Foundation

/// The metadata service of Amazon EC2, version 2: the role of this machine, and a key for it. It is asked at its own address and nowhere
/// else; no job and no redirect leads to it.
struct InstanceMetadata {
    /// Scheme and host.
    let endpoint: String

    private struct Answer: Decodable {
        let AccessKeyId: String
        let SecretAccessKey: String
        let Token: String
        let Expiration: Date
    }

    /// A key, and how long it may be used. Throws ``ImageError`` (`credentials`).
    func credentials() async throws(ImageError) -> (S3Credentials, Duration) {
        let result: Result<(S3Credentials, Duration), ImageError> = await withCheckedContinuation { reply in
            DispatchQueue.global().async {
                reply.resume(returning: Result { () throws(ImageError) in try credentialsNow() })
            }
        }
        return try result.get()
    }

    private func credentialsNow() throws(ImageError) -> (S3Credentials, Duration) {
        let token = try ask("PUT", "api/token", header: "X-aws-ec2-metadata-token-ttl-seconds: 300")
        let proof = "X-aws-ec2-metadata-token: \(token)"
        let folder = "meta-data/iam/security-credentials/"
        let role = try ask("GET", folder, header: proof).prefix { !$0.isNewline }
        guard !role.isEmpty, role.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            throw ImageError(.credentials, "this machine has no role, says its metadata service")
        }
        let text = try ask("GET", folder + role, header: proof)
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        guard let answer = try? decoder.decode(Answer.self, from: Data(text.utf8)) else {
            throw ImageError(.credentials, "the metadata service of this machine gives no key")
        }
        // A new one is there five minutes before the old one expires.
        let left = Duration.seconds(max(answer.Expiration.timeIntervalSinceNow - 300, 10))
        let credentials = try S3Credentials(
            accessKey: answer.AccessKeyId, secretKey: answer.SecretAccessKey, sessionToken: answer.Token)
        return (credentials, min(left, .seconds(3600)))
    }

    private final class Body {
        var bytes: [UInt8] = []
    }

    /// One request; blocks. Throws ``ImageError`` (`credentials`).
    private func ask(_ method: String, _ path: String, header: String) throws(ImageError) -> String {
        try Curl.start()
        let easy = try EasyHandle(headers: [header])
        let body = Body()
        try easy.set(CURLOPT_URL, "\(endpoint)/latest/\(path)")
        try easy.set(CURLOPT_CUSTOMREQUEST, method)
        try easy.set(CURLOPT_PROTOCOLS_STR, "http")
        try easy.set(CURLOPT_PROXY, "")
        try easy.set(CURLOPT_NOPROXY, "*")
        try easy.set(CURLOPT_NOSIGNAL, 1)
        try easy.set(CURLOPT_CONNECTTIMEOUT_MS, 2000)
        try easy.set(CURLOPT_TIMEOUT_MS, 5000)
        let code = easy.perform(
            onBody: { bytes, size, count, context in
                guard let context, let bytes else { return 0 }
                let body = Unmanaged<Body>.fromOpaque(context).takeUnretainedValue()
                guard body.bytes.count + size * count <= 64 << 10 else { return 0 }
                body.bytes += UnsafeRawBufferPointer(start: bytes, count: size * count)
                return size * count
            }, Unmanaged.passUnretained(body).toOpaque())
        let status = easy.long(CURLINFO_RESPONSE_CODE)
        guard code == CURLE_OK, status == 200 else {
            let why = code == CURLE_OK ? "HTTP \(status)" : Curl.text(code)
            throw ImageError(.credentials, "the metadata service of this machine does not answer: \(why)")
        }
        return withExtendedLifetime(body) { String(decoding: body.bytes, as: UTF8.self) }
    }
}
