import Testing

@testable import Admin

/// What labels are kept in, and the JSON that they are read from.
@Suite struct LabelTests {
    /// Swift's `==` holds texts equal that differ in code points; a key is its bytes.
    @Test func keysAreBytes() {
        var index = TextIndex()
        let texts = ["\u{E9}", "e\u{301}", ""] + (0..<3000).map { "key \($0)" }
        let added = texts.enumerated().map { index.add($1, for: $0) }
        let again = index.add("key 7", for: 1)
        #expect(!added.contains(false) && !again && index.count == texts.count)
        for (number, text) in texts.enumerated() { #expect(index.value(of: text) == number) }
        #expect(index.value(of: "key 3000") == nil)
    }

    /// A column takes no memory before the first name.
    @Test func columnsBeginWithTheirFirstName() {
        let names = [nil, nil, "a", nil, "b", "a"]
        var column = NameColumn()
        for name in names.prefix(2) { column.append(name) }
        #expect(column.isEmpty && column[1] == nil)
        for name in names.dropFirst(2) { column.append(name) }
        #expect(names.indices.map { column[$0] } == names)
        #expect(column.names == ["a", "b"])
    }

    @Test func labelsKeepTheirTexts() {
        var labels = LabelSet()
        _ = labels.add(LabelSet.Label(key: "a", answers: ["x", "y"], line: 1))
        _ = labels.add(LabelSet.Label(key: "b", answers: [], choices: ["m", "n"], line: 2))
        let other = labels.add(LabelSet.Label(key: "a", answers: ["z"], line: 3))
        labels.add(name: "c", of: 1)
        _ = labels.add(LabelSet.Label(key: "d", answers: ["z"], line: 4))
        #expect(other == 0)
        #expect(labels.count == 3 && labels.key(1) == "b" && labels.key(2) == "d" && labels.keys.value(of: "c") == 1)
        #expect(labels.answers(0) == ["x", "y"] && labels.answers(1) == [] && labels.answers(2) == ["z"])
        #expect(labels.choices(0) == [] && labels.choices(1) == ["m", "n"] && labels.choices(2) == [])
        #expect(labels.line(2) == 4)
    }

    @Test(arguments: [
        "01", "1.", ".5", "+1", "1e", "1e999", "NaN", "Infinity", "nul", "\"\\u12\"", "\"\\ud800\"", "\"\\x\"", "\"a",
        "[1,]", "{\"a\" 1}", "{1: 2}", "[1] 2", "", "\"\u{7}\"",
        String(repeating: "[", count: 100) + String(repeating: "]", count: 100),
    ])
    func whatIsNoJSONIsRefused(text: String) {
        #expect(throws: JSONProblem.self) {
            var parser = JSONParser(Array(text.utf8)[...])
            _ = try parser.onlyValue()
        }
    }

    @Test func jsonIsRead() throws {
        var parser = JSONParser(
            Array(
                " {\"k\": 12345678901234567890, \"t\": \"\\ud83d\\ude00\\n\u{E9}\",\n\"n\": [-0.5e-3, {\"a\": null}]}"
                    .utf8)[...])
        let value = try parser.onlyValue()
        let fields = try #require(value.object)
        #expect(fields["k"]?.name == "12345678901234567890" && fields["t"]?.text == "\u{1F600}\n\u{E9}")
        let array = try #require(fields["n"]?.array)
        #expect(array[0].double == -0.0005 && array[1].object?.line == 2 && array[1].object?["a"]?.isNull == true)
    }
}
