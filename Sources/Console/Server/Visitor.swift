/// Who asks, and what they may do here. PostgreSQL decides it again: each request takes on the role that it needs and no other.
package struct Visitor: Sendable, Equatable {
    /// What reviews are recorded under.
    package let name: String
    package let role: Role

    package init(name: String, role: Role) { (self.name, self.role) = (name, role) }

    /// Each may do what those before it may.
    package enum Role: Int, Sendable, CaseIterable, Comparable {
        case reader, reviewer, admin

        package init?(word: String) {
            guard let role = Self.allCases.first(where: { $0.word == word }) else { return nil }
            self = role
        }

        package var word: String { "\(self)" }

        /// The role of the database that has its rights.
        package var databaseRole: String { "gloss_\(self)" }

        /// All of them, as a message names them.
        package static var words: String { allCases.map(\.word).joined(separator: ", ") }

        package static func < (left: Role, right: Role) -> Bool { left.rawValue < right.rawValue }
    }

    /// What not everybody may.
    enum Right: Sendable {
        /// To judge results.
        case review
        /// To change the queue.
        case act

        /// The least role that has it.
        var role: Role {
            switch self {
            case .review: .reviewer
            case .act: .admin
            }
        }
    }

    func may(_ right: Right) -> Bool { role >= right.role }

    /// Whether somebody may be called so: 1 to 64 letters, digits and `.`, `_`, `-`, `@`, `+` of ASCII.
    package static func isName(_ text: String) -> Bool {
        1...64 ~= text.utf8.count
            && text.utf8.allSatisfy { ConsoleServer.isTokenCharacter($0) || ".@+".utf8.contains($0) }
    }
}

/// Somebody asked for what their role does not let them do. The database was not asked.
struct NotAllowed: Error, Equatable {
    let visitor: Visitor
    let needed: Visitor.Role
}
