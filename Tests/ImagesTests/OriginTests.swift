import Foundation
import Testing

@testable import Images

/// One spelling of an origin: Tests/Fixtures/origins.tsv, which gloss.origin_of is tested with too.
@Suite struct OriginTests {
    static let cases: [(url: String, origin: String?)] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/origins.tsv")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            return (fields[0], fields.count > 1 && !fields[1].isEmpty ? fields[1] : nil)
        }
    }()

    @Test func hasCases() { #expect(Self.cases.count > 60 && Self.cases.contains { $0.origin == nil }) }

    @Test(arguments: cases)
    func spellsAnOriginInOneWay(_ url: String, _ origin: String?) { #expect(ImageFetcher.origin(of: url) == origin) }

    /// An origin's own is itself: what is parked by one name is found by it.
    @Test(arguments: cases.compactMap(\.origin))
    func keepsAnOriginAsItIs(_ origin: String) { #expect(ImageFetcher.origin(of: origin + "/a") == origin) }

    @Test(arguments: [
        ("http://example.org/a b/é.jpg?q=x y&ü", "http://example.org/a%20b/%C3%A9.jpg?q=x%20y&%C3%BC"),
        ("http://example.org?a b#c d", "http://example.org/?a%20b"),
        ("http://example.org/%C3%A9%20/é", "http://example.org/%C3%A9%20/%C3%A9"),
        ("http://example.org/\"<>`{}|^'*", "http://example.org/\"<>`{}|^'*"),
        ("http:/example.org/a b", "http://example.org/a%20b"), ("http:///example.org/é", "http://example.org/%C3%A9"),
        ("HTTP://Bücher.example/é", "http://xn--bcher-kva.example/%C3%A9"),
        ("http://example.org/\u{FFFF}", "http://example.org/%EF%BF%BF"),
    ])
    func encodesPathAndQuery(_ text: String, _ encoded: String) throws {
        #expect(try FetchURL(text, policy: FetchPolicy()).text == encoded)
    }

    @Test(arguments: [
        ("file:///a b/é.png", "/a b/é.png"), ("file:/a b.png", "/a b.png"), ("file:///a%20b.png", "/a b.png"),
    ])
    func encodesLocalFiles(_ text: String, _ path: String) throws {
        var policy = FetchPolicy()
        policy.localRoots = ["/"]
        #expect(try FetchURL(text, policy: policy).path == path)
    }
}
