import ArgumentParser
import Console
import Foundation

/// Who may come into the console, and what they may do there.
struct VisitorOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A file with the one token for all. By default a new one with each start.", valueName: "file"),
        completion: .file())
    var tokenFile: String?
    @Option(help: ArgumentHelp("The name of whoever has the one token. Default: this user's.", valueName: "name"))
    var name: String?
    @Option(
        help: ArgumentHelp(
            """
            A file with a line for each person: token, name, role (\(Visitor.Role.words)). It is read at the start.
            """, valueName: "file"), completion: .file())
    var tokens: String?
    @Option(
        help: ArgumentHelp(
            "The header in which a proxy at the other end of --socket says who is signed in, such as X-Forwarded-User.",
            valueName: "header"))
    var userHeader: String?
    @Option(
        help: ArgumentHelp(
            "A file with a line for each person whom the proxy signs in: name, role. It is read at the start.",
            valueName: "file"), completion: .file())
    var users: String?
    @Option(
        help: ArgumentHelp(
            "The role of those whom the proxy signs in and --users does not name. By default they do not come in.",
            valueName: "role"))
    var defaultRole: Visitor.Role?

    func validate() throws {
        guard tokens == nil || (tokenFile == nil && name == nil) else {
            throw ValidationError("--tokens has everybody's token and name: without --token-file and --name.")
        }
        if let name, !Visitor.isName(name) {
            throw ValidationError("--name is 1 to 64 letters, digits, \".\", \"_\", \"-\", \"@\" and \"+\".")
        }
        guard let userHeader else {
            guard users == nil, defaultRole == nil else {
                throw ValidationError("--users and --default-role are for those whom --user-header names.")
            }
            return
        }
        guard !userHeader.isEmpty, userHeader.utf8.allSatisfy(ConsoleServer.isTokenCharacter) else {
            throw ValidationError("--user-header is the name of a header, such as X-Forwarded-User.")
        }
        guard users != nil || defaultRole != nil else {
            throw ValidationError("--user-header lets nobody in without --users or --default-role.")
        }
    }

    /// - Parameter loginRole: the most that the login may do: the role of the one token.
    func access(loginRole: Visitor.Role) throws -> Access {
        do {
            let proxy = try userHeader.map { header in
                Access.Proxy(header: header, users: try users.map(UserFile.read) ?? [:], defaultRole: defaultRole)
            }
            if let tokens { return Access(try TokenFile.read(tokens), proxy: proxy) }
            if let proxy, tokenFile == nil { return Access([], proxy: proxy) }
            let token = try tokenFile.map(TokenFile.single) ?? ConsoleServer.newToken()
            return Access(token: token, visitor: Visitor(name: try ownName(), role: loginRole), proxy: proxy)
        } catch let problem as AccessProblem {
            throw CommandError(.failed, problem.message)
        }
    }

    private func ownName() throws -> String {
        let name = name ?? NSUserName()
        guard Visitor.isName(name) else { throw CommandError(.failed, "give a name with --name: this user has none") }
        return name
    }
}

extension Visitor.Role: ExpressibleByArgument {
    package init?(argument: String) { self.init(word: argument) }

    package static var allValueStrings: [String] { allCases.map(\.word) }
}
