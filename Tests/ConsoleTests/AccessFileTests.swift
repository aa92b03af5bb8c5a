import Foundation
import Testing

@testable import Console

/// Files that say who may come in.
@Suite struct AccessFileTests {
    private static let token = String(repeating: "t", count: 32)

    private func file(_ text: String, mode: Int = 0o600) throws -> String {
        let path = NSTemporaryDirectory() + "gloss-access-" + UUID().uuidString
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    private func problem(_ text: String, _ read: @escaping (String) throws -> Void) throws -> String {
        let path = try file(text)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let problem = #expect(throws: AccessProblem.self) { try read(path) }
        return try #require(problem).message.replacingOccurrences(of: path, with: "FILE")
    }

    @Test func aLineIsAPerson() throws {
        let text = "# who may come in\n\n\(Self.token)  ada\tadmin # since May\r\n\(Self.token)2 bob@example.org reader"
        let path = try file(text, mode: 0o640)
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(
            try TokenFile.read(path) == [
                TokenFile.Line(token: Self.token, visitor: Visitor(name: "ada", role: .admin)),
                TokenFile.Line(token: Self.token + "2", visitor: Visitor(name: "bob@example.org", role: .reader)),
            ])
    }

    @Test(
        arguments: [
            ("", "FILE: there is no token in it"), ("# nobody", "FILE: there is no token in it"),
            (
                "\ntttttttttttttttttttttttttttttttt ada",
                "FILE, line 2: expected a token, a name and a role; there are 2 words"
            ),
            (
                "tttttttttttttttttttttttttttttttt ada admin reader",
                "FILE, line 1: expected a token, a name and a role; there are 4 words"
            ),
            ("short ada admin", "FILE, line 1: the token is 16 or more letters, digits, \"-\" and \"_\""),
            (
                "tttttttttttttttttttttttttttttttt <ada> admin",
                "FILE, line 1: a name is 1 to 64 letters, digits, \".\", \"_\", \"-\", \"@\" and \"+\""
            ),
            (
                "tttttttttttttttttttttttttttttttt ada root",
                "FILE, line 1: the role of ada is reader, reviewer, admin, not \"root\""
            ),
            (
                "tttttttttttttttttttttttttttttttt ada admin\n#\ntttttttttttttttttttttttttttttttt bob reader",
                "FILE, line 3: the token is that of line 1"
            ),
        ])
    func wrongLinesAreNamed(text: String, message: String) throws {
        #expect(try problem(text) { _ = try TokenFile.read($0) } == message)
    }

    @Test func tokensAreNobodyElses() throws {
        for mode in [0o644, 0o604, 0o602, 0o666] {
            let path = try file("\(Self.token) ada admin", mode: mode)
            defer { try? FileManager.default.removeItem(atPath: path) }
            let reads: [() throws -> Void] = [{ _ = try TokenFile.read(path) }, { _ = try TokenFile.single(path) }]
            for read in reads {
                let problem = #expect(throws: AccessProblem.self) { try read() }
                #expect(
                    problem?.message
                        == "\(path): others may read or write it (mode \(String(mode, radix: 8))): chmod o= \(path)")
            }
        }
        let missing = #expect(throws: AccessProblem.self) { _ = try TokenFile.read("/nothing/there") }
        #expect(missing?.message == "/nothing/there cannot be read: No such file or directory")
    }

    @Test func oneTokenForAll() throws {
        let path = try file("\(Self.token)\n")
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try TokenFile.single(path) == Self.token)
        for text in ["", "short", "\(Self.token) ada admin", "\(Self.token)\n\(Self.token)"] {
            #expect(try problem(text) { _ = try TokenFile.single($0) }.hasPrefix("FILE holds no token: "), "\(text)")
        }
    }

    @Test func usersOfAProxy() throws {
        let path = try file("ada admin\nbob reviewer\n", mode: 0o644)
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(try UserFile.read(path) == ["ada": .admin, "bob": .reviewer])
        #expect(
            try problem("ada admin\nada reader") { _ = try UserFile.read($0) } == "FILE, line 2: ada has a role already"
        )
        #expect(
            try problem("ada") { _ = try UserFile.read($0) }
                == "FILE, line 1: expected a name and a role; there are 1 words")
    }
}
