import Foundation

/// What is wrong with a file that says who may come in, with its line.
package struct AccessProblem: Error, Equatable {
    package let message: String
}

/// A file of tokens, names and roles: a line each, of three words; `#` begins a comment.
package enum TokenFile {
    /// One of them.
    package struct Line: Sendable, Equatable {
        package let token: String
        package let visitor: Visitor
    }

    /// - Throws: ``AccessProblem``: it cannot be read, others may read it, or a line is wrong.
    package static func read(_ path: String) throws(AccessProblem) -> [Line] {
        try refuseOpenFile(path)
        var found: [Line] = []
        var places: [String: Int] = [:]
        for (number, words) in try AccessLines.read(path) {
            let place = "\(path), line \(number)"
            guard words.count == 3 else {
                throw AccessProblem(
                    message: "\(place): expected a token, a name and a role; there are \(words.count) words")
            }
            // The token itself is in no message: those go to logs.
            guard isToken(words[0]) else {
                throw AccessProblem(
                    message: "\(place): the token is 16 or more letters, digits, \"-\" and \"_\"")
            }
            if let first = places.updateValue(number, forKey: words[0]) {
                throw AccessProblem(message: "\(place): the token is that of line \(first)")
            }
            found.append(Line(token: words[0], visitor: try AccessLines.visitor(words[1], words[2], place)))
        }
        guard !found.isEmpty else { throw AccessProblem(message: "\(path): there is no token in it") }
        return found
    }

    /// The only token of a file.
    /// - Throws: ``AccessProblem``.
    package static func single(_ path: String) throws(AccessProblem) -> String {
        try refuseOpenFile(path)
        let lines = try AccessLines.read(path)
        guard lines.count == 1, lines[0].words.count == 1, isToken(lines[0].words[0]) else {
            throw AccessProblem(
                message: "\(path) holds no token: 16 or more letters, digits, \"-\" and \"_\" on one line")
        }
        return lines[0].words[0]
    }

    private static func isToken(_ text: String) -> Bool {
        text.utf8.count >= 16 && text.utf8.allSatisfy(ConsoleServer.isTokenCharacter)
    }

    /// Who reads a token comes in with it.
    private static func refuseOpenFile(_ path: String) throws(AccessProblem) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw AccessProblem(message: "\(path) cannot be read: \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & 0o007 == 0 else {
            let mode = String(status.st_mode & 0o777, radix: 8)
            throw AccessProblem(message: "\(path): others may read or write it (mode \(mode)): chmod o= \(path)")
        }
    }
}

/// A file of names and roles, for a proxy that signs people in: a line each, of two words; `#` begins a comment.
package enum UserFile {
    /// - Throws: ``AccessProblem``: it cannot be read, or a line is wrong.
    package static func read(_ path: String) throws(AccessProblem) -> [String: Visitor.Role] {
        var users: [String: Visitor.Role] = [:]
        for (number, words) in try AccessLines.read(path) {
            let place = "\(path), line \(number)"
            guard words.count == 2 else {
                throw AccessProblem(message: "\(place): expected a name and a role; there are \(words.count) words")
            }
            let visitor = try AccessLines.visitor(words[0], words[1], place)
            guard users.updateValue(visitor.role, forKey: visitor.name) == nil else {
                throw AccessProblem(message: "\(place): \(visitor.name) has a role already")
            }
        }
        return users
    }
}

/// What both have.
private enum AccessLines {
    /// Words of lines that have any, and the lines' numbers.
    static func read(_ path: String) throws(AccessProblem) -> [(number: Int, words: [String])] {
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw AccessProblem(message: "\(path) cannot be read: \((error as NSError).localizedDescription)")
        }
        var found: [(number: Int, words: [String])] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map { String($0) }
            if !words.isEmpty { found.append((index + 1, words)) }
        }
        return found
    }

    static func visitor(_ name: String, _ role: String, _ place: String) throws(AccessProblem) -> Visitor {
        guard Visitor.isName(name) else {
            throw AccessProblem(
                message: "\(place): a name is 1 to 64 letters, digits, \".\", \"_\", \"-\", \"@\" and \"+\"")
        }
        guard let role = Visitor.Role(word: role) else {
            throw AccessProblem(message: "\(place): the role of \(name) is \(Visitor.Role.words), not \"\(role)\"")
        }
        return Visitor(name: name, role: role)
    }
}
