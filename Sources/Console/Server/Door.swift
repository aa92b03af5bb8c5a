import FlyingFox

/// Who may come in: looked at before anything else of a request.
///
/// Loopback is not safe by itself: any page in the same browser can send requests to 127.0.0.1, and its DNS name may come to mean
/// that address. So the name that was asked for must be ours, what changes something must come from our own pages, and everything
/// needs the token.
struct Door: Sendable {
    /// Names by which the console may be asked for, with their ports, in small letters.
    let hosts: Set<String>
    /// What the link carries, and a cookie after it.
    let token: String
    /// Of the cookie: browsers do not tell ports apart, and there may be two consoles.
    let cookie: String

    /// What comes of a request.
    enum Answer: Equatable {
        case enter
        /// The link was followed: keep the token, and go to the address without it.
        case signIn(to: String)
        /// With the status of HTTP and a sentence for a person.
        case refuse(Int, String)
    }

    /// The part of a request that is looked at.
    struct Request {
        var method: String
        /// Without the query.
        var path: String
        var query: URLQuery
        /// By names in small letters.
        var headers: [String: String]
    }

    func answer(_ request: Request) -> Answer {
        guard let host = request.headers["host"]?.lowercased(), hosts.contains(host) else {
            return .refuse(421, "This console is not known by that name. glossctl console --host adds one.")
        }
        guard ["GET", "HEAD", "POST"].contains(request.method) else {
            return .refuse(405, "This console takes GET, HEAD and POST.")
        }
        // A program that sends the token itself is no page of somebody else's.
        let isProgram = request.headers["authorization"].map { isToken($0, after: "Bearer ") } ?? false
        if request.method == "POST", !isProgram, !isOurs(request.headers, host) {
            return .refuse(403, "This request comes from another site.")
        }
        if request.method == "GET", let given = request.query["token"] {
            guard isEqual(given, token) else {
                return .refuse(403, "That token is not this console's: it gets a new one with each start.")
            }
            return .signIn(to: request.query.setting("token", nil).address(request.path))
        }
        if isProgram || cookies(request.headers).contains(where: { isEqual($0, token) }) { return .enter }
        return .refuse(401, "Open the link that glossctl console printed: it carries a token.")
    }

    /// Browsers say from where a request comes, all of today's by both headers.
    private func isOurs(_ headers: [String: String], _ host: String) -> Bool {
        let (site, origin) = (headers["sec-fetch-site"], headers["origin"]?.lowercased())
        if let origin, origin != "http://\(host)", origin != "https://\(host)" { return false }
        if let site { return site == "same-origin" }
        return origin != nil
    }

    private func cookies(_ headers: [String: String]) -> [String] {
        (headers["cookie"] ?? "").split(separator: ";").compactMap { part in
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, halves[0].trimmingPrefix(while: \.isWhitespace) == cookie else { return nil }
            return String(halves[1])
        }
    }

    private func isToken(_ header: String, after prefix: String) -> Bool {
        header.hasPrefix(prefix) && isEqual(String(header.dropFirst(prefix.count)), token)
    }

    /// In a time that does not tell how much of it is right.
    private func isEqual(_ given: String, _ expected: String) -> Bool {
        let (given, expected) = (Array(given.utf8), Array(expected.utf8))
        guard given.count == expected.count else { return false }
        return zip(given, expected).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    /// The header that keeps the token: not for scripts, and not for requests that other sites cause.
    var setCookie: String { "\(cookie)=\(token); Path=/; HttpOnly; SameSite=Strict" }
}
