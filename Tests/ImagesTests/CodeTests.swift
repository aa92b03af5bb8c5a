import Foundation
import Testing

@testable import Images

/// The codes that users count by.
@Suite struct CodeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func knowsEveryCode() throws {
        let source = try String(
            contentsOf: Self.root.appending(path: "Sources/Images/ImageError.swift"), encoding: .utf8)
        let body = try #require(source.split(separator: "public enum Blame").first)
        let declared = body.split(separator: "\n").filter { $0.hasPrefix("        case ") }
        #expect(declared.count == ImageError.Code.known.count)
    }

    @Test func hasAWordOfItsOwnForEach() {
        let words = ImageError.Code.known.map(\.word)
        #expect(Set(words).count == words.count)
        for word in words { #expect(word.allSatisfy { $0.isLowercase || $0 == "_" }, "\(word)") }
        #expect(ImageError.Code.httpStatus(404).word == "http_404")
        #expect(ImageError.Code.invalidURL.word == "invalid_url")
    }

    /// docs/fetching.md has the table as it is here.
    @Test func isDocumented() throws {
        let document = try String(contentsOf: Self.root.appending(path: "docs/fetching.md"), encoding: .utf8)
        let rows = ImageError.Code.known.map { code in
            let (word, status) = (code.explanation.word, code == .httpStatus(0))
            return "| `\(word)\(status ? "404" : "")` | \(code.explanation.meaning) | \(code.explanation.advice) |"
        }
        #expect(document.contains(rows.joined(separator: "\n")), "it should be:\n\(rows.joined(separator: "\n"))")
    }
}
