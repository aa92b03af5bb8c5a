import Images

/// Whom the console lets in: those who bring a token, and whom a proxy in front names.
package struct Access: Sendable {
    /// Somebody with a token.
    private struct Holder {
        /// SHA-256 of the token: digests are of one length, and the tokens themselves stand in no memory.
        let digest: [UInt8]
        let visitor: Visitor
    }

    private let holders: [Holder]
    /// What the link that is printed carries; nil: none, each has their own.
    let linkToken: String?
    let proxy: Proxy?

    /// A proxy in front, which signs people in and says in a header who they are.
    package struct Proxy: Sendable {
        /// In small letters.
        let header: String
        /// By their names.
        let users: [String: Visitor.Role]
        /// Of those who are not among them; nil: they do not come in.
        let defaultRole: Visitor.Role?

        package init(header: String, users: [String: Visitor.Role], defaultRole: Visitor.Role?) {
            (self.header, self.users, self.defaultRole) = (header.lowercased(), users, defaultRole)
        }

        /// - Returns: nil: nobody whom the console lets in.
        func visitor(_ name: String) -> Visitor? {
            guard Visitor.isName(name), let role = users[name] ?? defaultRole else { return nil }
            return Visitor(name: name, role: role)
        }
    }

    /// One token for all; the link that is printed carries it.
    package init(token: String, visitor: Visitor, proxy: Proxy? = nil) {
        holders = [Holder(digest: Self.digest(token), visitor: visitor)]
        (linkToken, self.proxy) = (token, proxy)
    }

    /// A token each.
    package init(_ lines: [TokenFile.Line], proxy: Proxy? = nil) {
        holders = lines.map { Holder(digest: Self.digest($0.token), visitor: $0.visitor) }
        (linkToken, self.proxy) = (nil, proxy)
    }

    /// Whether there is a token that lets in.
    var hasTokens: Bool { !holders.isEmpty }

    /// Whose token it is; nil: nobody's. The time that it takes tells neither how much of it is right nor whose it is.
    func visitor(token: String) -> Visitor? {
        let given = Self.digest(token)
        var found: Visitor?
        for holder in holders {
            let difference = zip(given, holder.digest).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) }
            if difference == 0 { found = holder.visitor }
        }
        return found
    }

    private static func digest(_ token: String) -> [UInt8] { Array(SHA256Digest.hex(Array(token.utf8)).utf8) }
}
