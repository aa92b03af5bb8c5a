import Testing

@testable import Submissions

@Suite struct CSVTests {
    private func records(_ text: String) throws -> [CSVReader.Record] {
        var reader = CSVReader(ByteReader(text))
        var records: [CSVReader.Record] = []
        while let record = try reader.next() { records.append(record) }
        return records
    }

    @Test(arguments: [
        ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        ("a,b\r\n1,2", [["a", "b"], ["1", "2"]]),
        ("\"a,b\",\"say \"\"hi\"\"\"\n", [["a,b", "say \"hi\""]]),
        ("\"two\r\nlines\",x\n", [["two\r\nlines", "x"]]),
        ("a,,\n", [["a", "", ""]]),
        ("\"\",b\n", [["", "b"]]),
        ("\n\na\n\n", [["a"]]),
        ("\u{FEFF}a,b\n", [["a", "b"]]),
        ("ä,猫\n", [["ä", "猫"]]),
        ("", []),
    ])
    func reads(text: String, expected: [[String]]) throws {
        #expect(try records(text).map(\.fields) == expected)
    }

    @Test func countsLinesWithinQuotes() throws {
        #expect(try records("h\n\"1\n2\"\nx\n").map(\.line) == [1, 2, 4])
    }

    @Test(arguments: [
        ("a\nb\"c\n", 2, "a quote inside a field that does not begin with one"),
        ("\"a\"b\n", 1, "text after the closing quote of a field"),
        ("x\n\"never closed\n\n", 2, "a quoted field has no closing quote"),
    ])
    func names(text: String, line: Int, reason: String) throws {
        let malformed = #expect(throws: CSVReader.Malformed.self) { try records(text) }
        #expect(malformed == CSVReader.Malformed(line: line, reason: reason))
    }

    @Test func goesOnBehindABadRecord() throws {
        var reader = CSVReader(ByteReader("a\"b,c\ngood,one\n"))
        #expect(throws: CSVReader.Malformed.self) { try reader.next() }
        #expect(try reader.next() == CSVReader.Record(line: 2, fields: ["good", "one"]))
    }

    @Test func writesWhatItReads() throws {
        let fields = ["plain", "a,b", "say \"hi\"", "two\nlines", ""]
        #expect(try records(CSV.record(fields)).map(\.fields) == [fields])
        #expect(CSV.record(["a", nil, ""]) == "a,,\"\"\r\n")
    }
}
