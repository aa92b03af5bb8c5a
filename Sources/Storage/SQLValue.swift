/// A parameter of a statement, in PostgreSQL's text format.
public struct SQLValue: Sendable, Equatable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByNilLiteral
{
    /// The text; nil is NULL.
    let text: String?

    /// A text, or NULL.
    public init(_ text: String?) { self.text = text }

    /// A whole number, or NULL.
    public init(_ number: (some BinaryInteger)?) { text = number.map { String($0) } }

    /// A floating-point number, or NULL.
    public init(_ number: (some BinaryFloatingPoint & LosslessStringConvertible)?) {
        text = number.map { $0.description }
    }

    /// A truth value, or NULL.
    public init(_ truth: Bool?) { text = truth.map { $0 ? "t" : "f" } }

    /// An array of texts, or NULL.
    public init(_ array: [String]?) { text = array.map(Self.arrayLiteral) }

    /// An array of numbers.
    public init(_ array: [Int64]) { text = "{" + array.map { String($0) }.joined(separator: ",") + "}" }

    public init(stringLiteral value: String) { text = value }

    public init(integerLiteral value: Int64) { text = String(value) }

    public init(nilLiteral: ()) { text = nil }

    private static func arrayLiteral(_ array: [String]) -> String {
        let quoted = array.map { element in
            "\"" + element.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return "{" + quoted.joined(separator: ",") + "}"
    }
}

/// A statement's whole answer, in PostgreSQL's text format.
public struct ResultSet: Sendable, Equatable {
    /// The names of the columns, in order.
    public var columns: [String]
    /// The values as [row][column]; nil is NULL.
    public var rows: [[String?]]

    public init(columns: [String] = [], rows: [[String?]] = []) {
        self.columns = columns
        self.rows = rows
    }

    /// The first column of the first row.
    public var scalar: String? { rows.first?.first ?? nil }
}
