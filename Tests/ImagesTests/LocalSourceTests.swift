import Foundation
import Testing

@testable import Images

@Suite struct LocalSourceTests {
    /// A folder with a root inside it, and a secret beside the root.
    private final class Folder {
        let url = FileManager.default.temporaryDirectory.appending(path: "gloss-\(UUID().uuidString)")
        var root: String { url.appending(path: "root").path }

        init() throws {
            try FileManager.default.createDirectory(atPath: root + "/sub", withIntermediateDirectories: true)
            try Data("inside".utf8).write(to: url.appending(path: "root/a b.png"))
            try Data("outside".utf8).write(to: url.appending(path: "secret"))
            try Data().write(to: url.appending(path: "root/empty"))
            try link("root/escape", to: "../secret")
            try link("root/within", to: "a b.png")
            try link("root/self", to: "self")
        }

        deinit { try? FileManager.default.removeItem(at: url) }

        private func link(_ name: String, to target: String) throws {
            try FileManager.default.createSymbolicLink(
                atPath: url.appending(path: name).path, withDestinationPath: target)
        }

        func policy(_ change: (inout FetchPolicy) -> Void = { _ in }) -> FetchPolicy {
            var policy = FetchPolicy()
            policy.localRoots = [root]
            change(&policy)
            return policy
        }
    }

    @Test(arguments: ["/a%20b.png", "/within", "/sub/../a%20b.png"])
    func readsFilesUnderTheRoot(_ path: String) async throws {
        let folder = try Folder()
        let fetched = try await ImageFetcher(policy: folder.policy()).fetch("file://\(folder.root)\(path)")
        #expect(fetched.bytes == Array("inside".utf8))
        #expect(fetched.remoteAddress == nil)
    }

    @Test(
        arguments: [
            ("/../secret", .pathNotAllowed), ("/escape", .pathNotAllowed), ("/%2e%2e/secret", .pathNotAllowed),
            ("/missing", .fileNotFound), ("/sub", .fileNotFound), ("/self", .fileNotFound), ("", .pathNotAllowed),
            ("/empty", .emptyBody), ("/a%20b.png/x", .fileNotFound),
        ] as [(String, ImageError.Code)])
    func refusesOtherFiles(_ path: String, _ code: ImageError.Code) async throws {
        let folder = try Folder()
        let error = try await fetchError("file://\(folder.root)\(path)", folder.policy())
        #expect(error?.code == code)
        #expect(error?.disposition == .permanent)
    }

    @Test func refusesASiblingOfTheSameBeginning() async throws {
        let folder = try Folder()
        try FileManager.default.createDirectory(atPath: folder.root + "2", withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(filePath: folder.root + "2/a"))
        #expect(try await fetchError("file://\(folder.root)2/a", folder.policy())?.code == .pathNotAllowed)
    }

    @Test func capsFiles() async throws {
        let folder = try Folder()
        let error = try await fetchError("file://\(folder.root)/within", folder.policy { $0.maxBytes = 5 })
        #expect(error?.code == .tooLarge)
    }

    @Test func hasNoFilesByDefault() async throws {
        let folder = try Folder()
        let error = try await fetchError("file://\(folder.root)/within", FetchPolicy())
        #expect(error?.code == .schemeNotAllowed)
    }

    @Test(arguments: [
        ("data:image/png;base64,aGVsbG8=", "hello"), ("data:,hello", "hello"), ("DATA:text/plain,a%20b", "a b"),
        ("data:;base64,aGVsbG8%3D", "hello"),
    ])
    func readsDataURLs(_ url: String, _ content: String) async throws {
        var policy = FetchPolicy()
        policy.allowDataURLs = true
        #expect(try await ImageFetcher(policy: policy).fetch(url).bytes == Array(content.utf8))
    }

    @Test(
        arguments: [
            ("data:image/png;base64", .invalidURL), ("data:;base64,***", .invalidURL), ("data:,%4", .invalidURL),
            ("data:,%zz", .invalidURL), ("data:,", .emptyBody), ("data:,too long for the cap", .tooLarge),
        ] as [(String, ImageError.Code)])
    func refusesDataURLs(_ url: String, _ code: ImageError.Code) async throws {
        var policy = FetchPolicy()
        policy.allowDataURLs = true
        policy.maxBytes = 12
        #expect(try await fetchError(url, policy)?.code == code)
    }

    @Test func hasNoDataURLsByDefault() async throws {
        #expect(try await fetchError("data:,hello", FetchPolicy())?.code == .schemeNotAllowed)
    }
}
