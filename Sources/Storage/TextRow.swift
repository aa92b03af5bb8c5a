import Annotation
import Glibc

/// A text result as it passes by, as an evaluation reads it. A million of them are too many for a string a value: what is looked up
/// and kept as bytes is given by where it lies.
public struct TextRow {
    let row: StreamedRow

    /// The values as UTF-8.
    public var bytes: [UInt8] { row.bytes }
    /// Where the user's key lies; nil: it has none.
    public var key: Range<Int>? { row.range(0) }
    /// Where the task's name lies.
    public var task: Range<Int> { row.range(1) ?? 0..<0 }
    /// The engine, by `EngineRow.id`.
    public var engine: Int64 {
        row.range(2).map { row.bytes[$0].reduce(0) { 10 * $0 + Int64($1) - Int64(UInt8(ascii: "0")) } } ?? 0
    }
    /// Where the best answer or response lies.
    public var text: Range<Int> { row.range(3) ?? 0..<0 }
    /// Why the model stopped.
    public var finishReason: FinishReason { row.finishReason(4) }
    /// The probability of the text: its share of the answers where they are aggregated, else that of drawing it.
    public var probability: Double? {
        row[5].flatMap { Double($0) } ?? row[6].flatMap { Double($0) }.map { exp($0) }
    }
    /// The seed, if it was asked for.
    public var seed: String? { row[7] }

    /// The aggregated answers, if they were asked for.
    public func distribution() throws -> [AggregatedAnswer] {
        guard let answers = row[8], let shares = row[9] else { return [] }
        let names = try JSON.decode([String].self, from: answers, context: "evaluate")
        let values = try JSON.decode([Double].self, from: shares, context: "evaluate")
        return zip(names, values).map { AggregatedAnswer(answer: $0, probability: $1) }
    }

    /// All samples, if they were asked for and there are several.
    public func samples() throws -> [String] {
        try row[10].map { try JSON.decode([String].self, from: $0, context: "evaluate") } ?? []
    }
}

extension StreamedRow {
    /// Why the model stopped, of the letters of its responses, as `gloss.result` has it.
    func finishReason(_ column: Int) -> FinishReason {
        guard let letters = range(column).map({ bytes[$0] }) else { return .eos }
        return letters.contains(UInt8(ascii: "l")) ? .length : letters.contains(UInt8(ascii: "r")) ? .repetition : .eos
    }
}
