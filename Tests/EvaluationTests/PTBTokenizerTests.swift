import Foundation
import Testing

@testable import Evaluation

@Suite struct PTBTokenizerTests {
    private struct Line: Decodable {
        var part: String
        var line: String
        var tokens: [String]
    }

    private func isCutAlike(_ line: Line) -> Bool {
        // The original strips its line, and with it a no-break space at the end of the last token.
        let text = PTBTokenizer.tokens(line.line).map(\.string).joined(separator: " ")
        return PythonText(text).stripped() == PythonText(line.tokens.joined(separator: " "))
    }

    @Test func cutsAsTheOriginal() throws {
        let lines: [Line] = try MetricFixture.rows("ptb.jsonl")
        #expect(lines.count > 400)
        for line in lines { #expect(isCutAlike(line), "\(line.line)") }
    }

    /// As many lines as wanted: `check_metrics.py --ptb-lines FILE` writes them.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["GLOSS_TEST_PTB"] != nil))
    func agreesOnManyLines() throws {
        let path = try #require(ProcessInfo.processInfo.environment["GLOSS_TEST_PTB"])
        let lines: [Line] = try MetricFixture.rows(URL(filePath: path))
        for (part, lines) in Dictionary(grouping: lines, by: \.part).sorted(by: { $0.key < $1.key }) {
            let different = lines.filter { !isCutAlike($0) }
            print("ptb: \(part): \(lines.count - different.count) of \(lines.count) lines are cut alike")
            for line in different.prefix(3) { print("  \(line.line)") }
            #expect(Double(different.count) <= 0.001 * Double(lines.count), "\(part)")
        }
    }

    @Test func dropsPunctuationButNoBrackets() {
        func cut(_ caption: String) -> [String] { PTBTokenizer.captionTokens(caption).map(\.string) }
        #expect(
            cut("A man's dog, (left) can't!!") == [
                "a", "man", "'s", "dog", "-lrb-", "left", "-rrb-", "ca", "n't", "!!",
            ])
        #expect(cut("U.S. \"stop\" sign – 5:30pm…") == ["u.s.", "stop", "sign", "5:30", "pm"])
        #expect(cut("") == [] && cut(" . ") == [] && cut("x\u{A0}") == ["x"])
    }

    @Test func takesLinesThatTheOriginalWrote() {
        let line = "a man 's dog , -lrb- left -rrb- 1\u{A0}1/2 `` !! ''"
        #expect(
            CaptionTokenizer.ptbTokens.tokens(line).map(\.string)
                == ["a", "man", "'s", "dog", "-lrb-", "left", "-rrb-", "1\u{A0}1/2", "!!"])
    }

    /// At these, the original begins a new line and all later captions are those of their neighbours.
    @Test(arguments: ["\n", "\r", "\u{B}", "\u{C}", "\u{2028}", "\u{2029}"])
    func takesLineSeparatorsForBlanks(separator: String) {
        #expect(PTBTokenizer.captionTokens("a\(separator)b").map(\.string) == ["a", "b"])
    }

    @Test func makesOneTokenOfARunOfChineseUnlessAskedForCharacters() {
        #expect(CaptionTokenizer.ptb.tokens("黑色的狗").count == 1)
        #expect(CaptionTokenizer.characters.tokens("黑色 的狗").map(\.string) == ["黑", "色", "的", "狗"])
    }
}
