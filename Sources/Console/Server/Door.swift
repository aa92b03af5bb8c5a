import FlyingFox

/// Who may come in: looked at before anything else of a request.
///
/// Loopback is not safe by itself: any page in the same browser can send requests to 127.0.0.1, and its DNS name may come to mean
/// that address. So the name that was asked for must be ours, what changes something must come from our own pages, and everything
/// needs to say who asks: by a token, or, through a proxy's socket, by its header.
struct Door: Sendable {
    /// Names by which the console may be asked for, with their ports, in small letters.
    let hosts: Set<String>
    /// Whom it knows.
    let access: Access
    /// Of the cookie: browsers do not tell ports apart, and there may be two consoles.
    let cookie: String
    /// Whether requests come through a Unix socket: only there is a proxy's header the proxy's. Anybody can write to a port.
    let isSocket: Bool

    /// What comes of a request.
    enum Answer: Equatable {
        case enter(Visitor)
        /// The link was followed: keep the token, and go to the address without it.
        case signIn(to: String, token: String)
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
        let program = bearer(request.headers)
        if request.method == "POST", program == nil, !isOurs(request.headers, host) {
            return .refuse(403, "This request comes from another site.")
        }
        if let name = proxyName(request.headers) {
            guard let visitor = access.proxy?.visitor(name) else {
                return .refuse(403, "\(name.shortened(to: 80)) is signed in, and is not among this console's users.")
            }
            return .enter(visitor)
        }
        if request.method == "GET", let given = request.query["token"] {
            guard access.visitor(token: given) != nil else {
                return .refuse(403, "That token is not this console's, or is not any more.")
            }
            return .signIn(to: request.query.setting("token", nil).address(request.path), token: given)
        }
        if let visitor = program ?? cookies(request.headers).lazy.compactMap(access.visitor(token:)).first {
            return .enter(visitor)
        }
        return .refuse(401, missing)
    }

    private var missing: String {
        if isSocket, let proxy = access.proxy, !access.hasTokens {
            return "The proxy in front has not said who you are: there is no \(proxy.header) in this request."
        }
        return access.linkToken == nil
            ? "Open the link with your token: /?token=…"
            : "Open the link that glossctl console printed: it carries a token."
    }

    /// Whom the proxy names; nil: there is none, or nobody signed in.
    private func proxyName(_ headers: [String: String]) -> String? {
        guard isSocket, let proxy = access.proxy, let name = headers[proxy.header], !name.isEmpty else { return nil }
        return name
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

    private func bearer(_ headers: [String: String]) -> Visitor? {
        let prefix = "Bearer "
        guard let header = headers["authorization"], header.hasPrefix(prefix) else { return nil }
        return access.visitor(token: String(header.dropFirst(prefix.count)))
    }

    /// The header that keeps a token: not for scripts, and not for requests that other sites cause. The cookie is the token, so whoever
    /// brings it is who the token's line says, for as long as there is one.
    func setCookie(_ token: String) -> String { "\(cookie)=\(token); Path=/; HttpOnly; SameSite=Strict" }
}
