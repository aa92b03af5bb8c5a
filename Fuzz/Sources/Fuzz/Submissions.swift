import Foundation
import Submissions

/// Files of jobs: CSV and JSON lines.
enum JobFiles {
    @Sendable static func run(_ bytes: [UInt8]) {
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        read(text, bytes.first.map { $0 % 2 == 0 } ?? true ? .csv : .jsonl)
        var records = CSVReader(ByteReader(text))
        while let record = try? records.next() {
            var again = CSVReader(ByteReader(CSV.record(record.fields)))
            precondition((try? again.next())?.fields == record.fields, "\(record.fields)")
        }
    }

    /// Each submission is JSON of its own line, and behind a bad line reading goes on.
    private static func read(_ text: String, _ format: SubmissionFormat) {
        var reader = SubmissionReader(ByteReader(text), format)
        var last = 0
        while true {
            do {
                guard let next = try reader.next() else { return }
                precondition(next.line > last)
                last = next.line
                let value = try? JSONSerialization.jsonObject(with: Data(next.json.utf8))
                precondition(value is [String: Any], next.json)
            } catch let error as BadLine {
                precondition(error.line > last)
                last = error.line
            } catch {
                precondition(error is FileProblem, "\(error)")
                return
            }
        }
    }
}
