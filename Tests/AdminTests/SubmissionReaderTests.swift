import Foundation
import Submissions
import Testing

@Suite struct SubmissionReaderTests {
    /// All lines, good and bad.
    private func lines(_ text: String, _ format: SubmissionFormat) throws -> [Result<Submission, BadLine>] {
        var reader = SubmissionReader(ByteReader(text), format)
        var lines: [Result<Submission, BadLine>] = []
        while true {
            do {
                guard let submission = try reader.next() else { return lines }
                lines.append(.success(submission))
            } catch let bad as BadLine {
                lines.append(.failure(bad))
            }
        }
    }

    private func object(_ line: Result<Submission, BadLine>) throws -> NSDictionary {
        try #require(try JSONSerialization.jsonObject(with: Data(line.get().json.utf8)) as? NSDictionary)
    }

    @Test func csvBecomesJSON() throws {
        let read = try lines("task,image_urls,texts,key,seed\nvqa,http://a http://b,what is it?,,7\n", .csv)
        let expected: NSDictionary = [
            "task": "vqa", "image_urls": ["http://a", "http://b"], "texts": ["what is it?"], "seed": "7",
        ]
        #expect(try read.map(object) == [expected])
    }

    @Test func jsonArraysStandInCSV() throws {
        let read = try lines("image_urls,texts\n\"[\"\"http://a\"\"]\",\"[\"\"p?\"\",\"\"q?\"\"]\"\n", .csv)
        #expect(try read.map(object) == [["image_urls": ["http://a"], "texts": ["p?", "q?"]]])
    }

    @Test func fieldsGoOnAsTheyAre() throws {
        #expect(try lines("image_url\nhttp://a\n", .csv).map(object) == [["image_url": "http://a"]])
        let line = #"{"image_url": "http://a", "texts": ["\u00e9"], "priority": 1e1}"#
        #expect(try lines(line, .jsonl).map { try $0.get().json } == [line])
        let text = "\u{1}\t\"\\é\u{7F}"
        #expect(
            try lines("prompt\n\"\(text.replacing("\"", with: "\"\""))\"\n", .csv).map(object) == [["prompt": text]])
    }

    @Test func badLinesAreNamedAndSkipped() throws {
        let read = try lines("{\"key\":\"a\"}\n\nnot json\n[1]\n{\"kye\":1}\n{\"seed\":9007199254740993}\r\n", .jsonl)
        #expect(read.count == 5)
        let bad = read.compactMap { line in
            if case .failure(let bad) = line { bad } else { nil }
        }
        #expect(bad.map(\.line) == [3, 4, 5])
        #expect(bad[0].reason == "not JSON: not json")
        #expect(bad[2].reason.hasPrefix("unknown field \"kye\"; there are: background, batch"))
        #expect(try read[4].get() == Submission(line: 6, json: "{\"seed\":9007199254740993}"))
    }

    /// JSON's texts hold no control characters, and PostgreSQL takes none; TABs between tokens are blanks.
    @Test(arguments: ["\u{1F}", "\t", "\u{0}"]) func aRawControlCharacterIsBad(character: String) throws {
        let good = "{\t\"key\":\"\\\\\",\t\"prompt\":\"\\t\\\"\"}"
        let read = try lines("{\"key\":\"\\\"a\(character)b\"}\n\(good)\n", .jsonl)
        let error = #expect(throws: BadLine.self) { try read[0].get() }
        #expect(error?.reason.contains("the byte \(character.utf8.first!) in it") == true)
        #expect(try read[1].get().json == good)
    }

    @Test func aRowOfAnotherLengthIsBad() throws {
        let read = try lines("task,key\ncaption\ncaption,a\n", .csv)
        #expect(throws: BadLine(line: 2, reason: "1 fields, but the header has 2")) { try read[0].get() }
        #expect(try read[1].get().line == 3)
    }

    @Test(arguments: ["", "task,nonsense\n", "key,key\n", "image_url,image_urls\n"])
    func aBadHeaderEndsAll(text: String) throws {
        #expect(throws: FileProblem.self) { try lines(text, .csv) }
    }
}
