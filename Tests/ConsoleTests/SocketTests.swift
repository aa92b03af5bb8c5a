import Foundation
import Images
import Storage
import TestSupport
import Testing

@testable import Console

/// The console behind a proxy: on a Unix socket.
@Suite struct SocketTests {
    /// Consoles that begin side by side: each socket is for its group, and the process goes on making files as it did.
    @Test func theSocketIsForItsGroup() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let folder = NSTemporaryDirectory() + "gloss-socket-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let mask = try Self.umask()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                let path = "\(folder)/\(number)"
                let console = try ConsoleServer(
                    .socket(path), access: ConsoleWorld.everybody, names: [],
                    readers: ReaderPool(database.settings(as: .reader)),
                    pictures: .init(policy: .init(), maxPixels: 1, decoder: ConsoleWorld.glossctl, cache: nil))
                group.addTask {
                    let (addresses, continuation) = AsyncStream.makeStream(of: String.self)
                    let server = Task {
                        defer { continuation.finish() }
                        try await console.run { continuation.yield($0) }
                    }
                    var first = addresses.makeAsyncIterator()
                    #expect(await first.next() == "/?token=\(ConsoleWorld.token)")
                    let attributes = try FileManager.default.attributesOfItem(atPath: path)
                    #expect(attributes[.posixPermissions] as? Int == 0o660)
                    server.cancel()
                    _ = await server.result
                }
            }
            try await group.waitForAll()
        }
        #expect(try Self.umask() == mask)
    }

    private static func umask() throws -> String {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        return try #require(status.split(separator: "\n").first { $0.hasPrefix("Umask:") }.map(String.init))
    }
}
