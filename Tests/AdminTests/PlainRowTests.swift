import Testing

@testable import Admin

/// What `PlainRow` takes, `JSONParser` reads alike.
@Suite struct PlainRowTests {
    /// The fields as texts: of both readers.
    private struct Field: Equatable {
        let name: String
        let kind: String
        let texts: [String]
    }

    private func plain(_ bytes: [UInt8]) -> [Field]? {
        var row = PlainRow()
        guard row.read(bytes.span, from: 0) != nil else { return nil }
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        return row.fields.map { field in
            let kinds: [PlainRow.Kind: String] = [
                .text: "a text", .number: "a number", .null: "null", .bool: "true or false", .array: "an array",
            ]
            let texts = field.kind == .array ? row.elements[field.elements].map(text) : [text(field.value)]
            return Field(name: text(field.name), kind: kinds[field.kind] ?? "", texts: texts)
        }
    }

    private func parsed(_ bytes: [UInt8]) -> [Field]? {
        var parser = JSONParser(bytes[...])
        guard let fields = try? parser.onlyValue().object else { return nil }
        func text(_ node: JSONNode) -> String {
            switch node {
            case .null: "null"
            case .bool(let truth): "\(truth)"
            case .number(let text), .string(let text): text
            case .array, .object: "?"
            }
        }
        return fields.fields.map { name, value in
            Field(name: name, kind: value.kind, texts: value.array.map { $0.map(text) } ?? [text(value)])
        }
    }

    @Test(arguments: [
        "{}", " {\"key\" : \"a b\" ,\t\"n\":0, \"m\": 120}\r",
        "{\"key\": 12345678901234567890, \"answers\": [\"é\", 7, \"\"], \"x\": [], \"y\": null, \"z\": true, \"f\": false}",
    ])
    func plainRowsAreTaken(text: String) {
        let bytes = Array(text.utf8)
        #expect(plain(bytes) != nil)
        #expect(plain(bytes) == parsed(bytes))
    }

    @Test(arguments: [
        "", "[]", "{\"a\"}", "{\"a\": 01}", "{\"a\": 1.5}", "{\"a\": -1}", "{\"a\": tru}", "{\"a\": \"\\n\"}",
        "{\"a\": \"\t\"}",
        "{\"a\": {}}", "{\"a\": [[1]]}", "{\"a\": [null]}", "{\"a\": 1,}", "{\"a\": 1} 2", "{\"a\": [1,]}",
        "{\"a\": \"x}",
    ])
    func othersAreLeft(text: String) { #expect(plain(Array(text.utf8)) == nil) }

    /// Rows with a byte changed, added or left out.
    @Test func changedRowsAreReadAlike() {
        var random = SystemRandomNumberGenerator()
        let rows = [
            "{\"key\": \"row-17\", \"answers\": [\"a cat\", \"cat\"], \"group\": \"x\"}",
            "{\"key\": 17, \"answer\": \"né 🐈\"}",
            " { \"k\" : [ 1 , \"b\" ] , \"t\" : true , \"n\" : null } ",
        ].map { Array($0.utf8) }
        let alphabet = Array("\"\\{}[],: \t\r0129-.eEtfn\u{7}é🐈".utf8)
        var taken = 0
        for round in 0..<20_000 {
            var bytes = rows[round % rows.count]
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let (place, byte) = (Int.random(in: 0..<bytes.count, using: &random), alphabet.randomElement() ?? 0)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = byte
                case 1: bytes.insert(byte, at: place)
                default: bytes.remove(at: place)
                }
            }
            guard let fields = plain(bytes) else { continue }
            // A name that stands twice is the label reader's to refuse.
            guard Set(fields.map(\.name)).count == fields.count else { continue }
            taken += 1
            #expect(fields == parsed(bytes), "\(String(decoding: bytes, as: UTF8.self))")
        }
        #expect(taken > 1000)
    }

    /// The labels are the same, one way and the other.
    @Test func labelsAreTheSame() throws {
        let plain = """
            {"key": "a", "answers": ["x", "y"], "group": 3, "image": "i"}
            {"key": 12, "answers": "z", "answer_type": true, "question_type": null}

            {"answer": 7, "answers": null, "key": "é"}
            """
        // With escapes, which only `JSONParser` reads.
        let escaped = plain.replacing("\"key\"", with: "\"\\u006bey\"")
        func labels(_ text: String) throws -> [String] {
            let set = try LabelReader.read(RowFile(query: "q", rows: Array(text.utf8)), group: "group")
            return (0..<set.count).map { label in
                "\(set.key(label)) \(set.answers(label)) \(set.answerTypes[label] ?? "-") \(set.questionTypes[label] ?? "-")"
                    + " \(set.pairs[label] ?? "-") \(set.images[label] ?? "-") \(set.groups[label] ?? "-") \(set.line(label))"
            }
        }
        let expected = [
            "a [\"x\", \"y\"] - - 3 i 3 1", "12 [\"z\"] true - - - - 2", "é [\"7\"] - - - - - 4",
        ]
        #expect(try labels(plain) == expected)
        #expect(try labels(escaped) == expected)
    }
}
