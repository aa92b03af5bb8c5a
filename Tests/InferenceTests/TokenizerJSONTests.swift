import Foundation
import Testing

@testable import Inference

/// tokenizer.json: the ids and texts of Hugging Face's `tokenizers`, and refusals by name.
@Suite struct TokenizerJSONTests {
    private struct Case: Decodable {
        let text: String
        let ids: [Int]
        let decoded: String
    }

    private static let folder = Golden.fixtures.appending(path: "tokenizer")

    @Test func idsAndTextsAreHuggingFaces() throws {
        let tokenizer = try Tokenizer(contentsOf: Self.folder.appending(path: "tokenizer.json"))
        let cases = try JSONDecoder().decode(
            [Case].self, from: Data(contentsOf: Self.folder.appending(path: "cases.json")))
        #expect(cases.count > 150)
        for example in cases {
            #expect(try tokenizer.encode(example.text) == example.ids, "\(example.text.debugDescription)")
            #expect(
                tokenizer.decode(example.ids).unicodeScalars.elementsEqual(example.decoded.unicodeScalars),
                "\(example.text.debugDescription)")
        }
    }

    @Test func longTextsTakeNoLongerThanTheirLength() throws {
        let tokenizer = try Tokenizer(contentsOf: Self.folder.appending(path: "tokenizer.json"))
        let text = String(repeating: "ab", count: 100_000)
        let ids = try tokenizer.encode(text)
        #expect(tokenizer.decode(ids) == text)
    }

    @Test func idsWithoutAPieceShow() throws {
        let tokenizer = try Tokenizer(contentsOf: Self.folder.appending(path: "tokenizer.json"))
        let ids = try tokenizer.encode("a b")
        #expect(tokenizer.decode([0] + ids + [tokenizer.pieceCount, 1]) == "a b\u{FFFD}")
    }

    struct Change: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let old: String
        let new: String
    }

    static let changes = [
        Change(testDescription: "Unigram", old: "\"type\":\"BPE\"", new: "\"type\":\"Unigram\""),
        Change(testDescription: "byte_fallback", old: "\"byte_fallback\":true", new: "\"byte_fallback\":false"),
        Change(testDescription: "ignore_merges", old: "\"ignore_merges\":false", new: "\"ignore_merges\":true"),
        Change(testDescription: "dropout", old: "\"dropout\":null", new: "\"dropout\":0.1"),
        Change(
            testDescription: "end_of_word_suffix", old: "\"end_of_word_suffix\":null",
            new: "\"end_of_word_suffix\":\"</w>\""),
        Change(
            testDescription: "normalizer", old: "\"normalizer\":{\"type\":\"Replace\"",
            new: "\"normalizer\":{\"type\":\"NFC\""),
        Change(
            testDescription: "pre_tokenizer", old: "\"pre_tokenizer\":{\"type\":\"Split\"",
            new: "\"pre_tokenizer\":{\"type\":\"ByteLevel\""),
        Change(testDescription: "decoder", old: "{\"type\":\"ByteFallback\"}", new: "{\"type\":\"Strip\"}"),
        Change(testDescription: "<0x00>", old: "\"<0x41>\":", new: "\"<0xZZ>\":"),
        Change(
            testDescription: "<loc0000>", old: "\"content\":\"<loc0000>\",\"single_word\":false",
            new: "\"content\":\"<loc0000>\",\"single_word\":true"),
    ]

    @Test(arguments: changes) func anotherKindIsRefusedByName(_ change: Change) throws {
        let text = try String(contentsOf: Self.folder.appending(path: "tokenizer.json"), encoding: .utf8)
        let changed = text.replacing(change.old, with: change.new, maxReplacements: 1)
        try #require(changed != text)
        let error = #expect(throws: InferenceError.self) {
            try Tokenizer(Data(changed.utf8), path: "tokenizer.json")
        }
        #expect(
            error?.code == .unsupportedModel && error?.message.contains(change.testDescription) == true, "\(error!)")
    }

    /// Cut anywhere, it is an error, never a trap.
    @Test func everyTruncationIsAnError() throws {
        let data = try Data(contentsOf: Self.folder.appending(path: "tokenizer.json"))
        for count in stride(from: 0, to: data.count, by: 997) {
            #expect(throws: InferenceError.self) { try Tokenizer(data.prefix(count), path: "tokenizer.json") }
        }
    }

    @Test func disagreeingIdsAreNamed() throws {
        let text = try String(contentsOf: Self.folder.appending(path: "tokenizer.json"), encoding: .utf8)
        let changed = text.replacing(#"{"id":2,"content":"<bos>""#, with: #"{"id":9,"content":"<bos>""#)
        let error = #expect(throws: InferenceError.self) {
            try Tokenizer(Data(changed.utf8), path: "tokenizer.json")
        }
        #expect(error?.message.contains("<bos> has the id 9, expected 2") == true, "\(error!)")
    }
}
