import Storage

/// A statement of SQL: whatever is interpolated into it is a parameter, unless it is a statement itself.
struct Statement: Sendable, Equatable, ExpressibleByStringInterpolation {
    fileprivate enum Piece: Equatable {
        case sql(String)
        case value(String?)
    }

    private var pieces: [Piece]

    init(stringLiteral sql: String) { pieces = [.sql(sql)] }

    init(stringInterpolation: Interpolation) { pieces = stringInterpolation.pieces }

    /// What is written between the quotes of a literal.
    struct Interpolation: StringInterpolationProtocol {
        fileprivate var pieces: [Piece] = []

        init(literalCapacity: Int, interpolationCount: Int) {}

        mutating func appendLiteral(_ literal: String) { pieces.append(.sql(literal)) }

        mutating func appendInterpolation(_ text: String?) { pieces.append(.value(text)) }

        mutating func appendInterpolation(_ number: some BinaryInteger) { pieces.append(.value("\(number)")) }

        mutating func appendInterpolation(_ number: Double) { pieces.append(.value("\(number)")) }

        mutating func appendInterpolation(_ numbers: [Int64]) {
            pieces.append(.value("{" + numbers.map { "\($0)" }.joined(separator: ",") + "}"))
        }

        mutating func appendInterpolation(_ statement: Statement) { pieces += statement.pieces }
    }

    /// Conditions that all must hold; without any, `true`.
    static func all(_ conditions: [Statement]) -> Statement {
        var all: Statement = "true"
        for condition in conditions { all = "\(all)\n  and \(condition)" }
        return all
    }

    /// With `$1`, `$2`, … in place of the parameters.
    var sql: String {
        var (sql, count) = ("", 0)
        for piece in pieces {
            switch piece {
            case .sql(let text): sql += text
            case .value:
                count += 1
                sql += "$\(count)"
            }
        }
        return sql
    }

    /// In order.
    var parameters: [SQLValue] {
        pieces.compactMap { piece in if case .value(let text) = piece { SQLValue(text) } else { nil } }
    }

    /// As a person runs it in psql: with its values in their places.
    var text: String {
        pieces.map { piece in
            switch piece {
            case .sql(let text): text
            case .value(let value): value.map { "'" + $0.replacing("'", with: "''") + "'" } ?? "null"
            }
        }.joined()
    }
}
