import Foundation
import Glibc
import TestSupport

/// A TLS server (openssl s_server) that says what a test scripts, down to the last byte of a connection, and whose connections end
/// without TLS's last word.
final class ScriptedTLSServer: Sendable {
    let port: Int
    private let server: ChildProcess
    private let folder = NSTemporaryDirectory() + "gloss-tls-" + UUID().uuidString
    private let input: Int32

    /// - Parameters:
    ///   - protocols: what it offers to speak, the first before the others: `h2,http/1.1`.
    ///   - options: of s_server.
    init(
        _ authority: PrivateCA, name: String, protocols: String = "http/1.1", options: [String] = []
    ) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        guard mkfifo(folder + "/input", 0o600) == 0 else { throw TestSupportError("mkfifo") }
        input = open(folder + "/input", O_RDWR | O_CLOEXEC)
        let (certificate, key) = try await authority.certificate(for: name)
        port = try LoopbackServer([:]).port  // free: it was just given up
        server = try ChildProcess(
            "/usr/bin/openssl",
            [
                "s_server", "-accept", "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-alpn", protocols,
            ] + options, environment: ["PATH": "/usr/bin"], input: folder + "/input", output: folder + "/output")
        try await wait(for: "ACCEPT")
    }

    deinit {
        server.signal(SIGKILL)
        close(input)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// What clients said so far, between what openssl says.
    var heard: String {
        String(decoding: FileManager.default.contents(atPath: folder + "/output") ?? Data(), as: UTF8.self)
    }

    /// How often clients said something.
    func count(_ text: String) -> Int { heard.components(separatedBy: text).count - 1 }

    /// Waits until a client said something.
    func wait(for text: String) async throws {
        while count(text) == 0 {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    /// Says something to the client, in one piece of at most 4096 bytes.
    func say(_ bytes: [UInt8]) async {
        var left: Int32 = 1
        _ = bytes.withUnsafeBytes { Glibc.write(input, $0.baseAddress, $0.count) }
        while left > 0 {
            guard ioctl(input, UInt(FIONREAD), &left) == 0 else { return }
            await Task.yield()
        }
    }

    /// Ends the connection, but not TLS: no close_notify.
    func hangUp() async { await say(Array("q\n".utf8)) }
}
