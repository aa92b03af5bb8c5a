import Foundation

/// A certificate authority of a test's own, made by openssl. Its files go away with it.
public final class PrivateCA: Sendable {
    /// Where its files are.
    public let folder = NSTemporaryDirectory() + "gloss-ca-" + UUID().uuidString

    /// Its certificate, as clients trust it.
    public var certificate: String { folder + "/ca.pem" }

    /// Makes it.
    public init() async throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        try await openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Test authority", "-keyout", "\(folder)/ca.key", "-out", certificate)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// PostgreSQL's settings for TLS with a certificate for a host's name.
    public func serverOptions(for name: String) async throws -> [String] {
        let (certificate, key) = try await certificate(for: name)
        // PostgreSQL takes a key that is its own and nobody else's.
        if getuid() == 0, let postgres = getpwnam("postgres") { chown(key, postgres.pointee.pw_uid, 0) }
        chmod(key, 0o600)
        return ["ssl=on", "ssl_cert_file=\(certificate)", "ssl_key_file=\(key)"]
    }

    /// A certificate for a host's name, and its key: files. A later one takes the place of an earlier one.
    public func certificate(for name: String) async throws -> (certificate: String, key: String) {
        let (key, request, certificate) = ("\(folder)/server.key", "\(folder)/server.csr", "\(folder)/server.pem")
        try await openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=\(name)",
            "-keyout", key, "-out", request)
        let names = "\(folder)/names"
        try Data("subjectAltName=DNS:\(name)\n".utf8).write(to: URL(fileURLWithPath: names))
        try await openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", "\(folder)/ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", names, "-out", certificate)
        return (certificate, key)
    }

    private func openssl(_ arguments: String...) async throws {
        let log = folder + "/log"
        let child = try ChildProcess("/usr/bin/openssl", arguments, environment: ["PATH": "/usr/bin"], error: log)
        guard await child.wait() == 0 else {
            throw TestSupportError("openssl: \((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
        }
    }
}
