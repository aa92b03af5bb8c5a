import CCurl
import Foundation

/// A URL that the policy lets through, in the form that curl reads.
struct FetchURL: Hashable, Sendable {
    /// The whole URL, percent-encoded where it must be, without its fragment.
    let text: String
    /// Lowercase.
    let scheme: String
    /// Lowercase; empty in a `file:` URL.
    let host: String
    let port: Int
    /// Percent-decoded; used for `file:` only.
    let path: String
    /// `scheme://host[:port]`, spelt in one way: see ``ImageFetcher/origin(of:)``. Empty in a `file:` URL.
    let origin: String
    /// What it names in an object store; the rest is where that is fetched from.
    let object: ObjectURL?

    /// Longer URLs are refused.
    static let lengthLimit = 8192

    /// What error messages call this URL: credentials, path and query may be secrets.
    var name: String { object?.origin ?? "\(scheme)://\(host)" }

    /// The URL by which a job may ask for the file.
    var written: String { object?.text ?? text }

    /// Judges a URL: its form, scheme, user information and port. Addresses are judged when curl connects.
    ///
    /// - Parameter origin: The name of the URL that redirected here; nil for a first request.
    /// - Throws: ``ImageError``: `invalidURL`, `schemeNotAllowed`, `userinfo`, `portNotAllowed`.
    init(_ text: String, policy: FetchPolicy, redirectedFrom origin: String? = nil) throws(ImageError) {
        let context = origin.map { " (by redirect from \($0))" } ?? ""
        try Self.checkForm(text, context)
        if let object = try ObjectURL(reading: text, context) {
            // Where it is fetched from is judged like any URL.
            let place = try Self(object.place(policy, isRedirect: origin != nil, context), policy: policy)
            self = place.naming(object)
            return
        }
        // Not of the form that the parser reads; only a whole request may be one.
        if DataURL.matches(text) { throw ImageError(.schemeNotAllowed, "scheme data\(context) is not allowed") }
        let url = try URLHandle.settled(text, context)
        scheme = (try url.part(CURLUPART_SCHEME) ?? "").lowercased()
        host = try url.part(CURLUPART_HOST) ?? ""
        port = try url.part(CURLUPART_PORT, CURLU_DEFAULT_PORT).flatMap { Int($0) } ?? 0
        path = try url.part(CURLUPART_PATH, CURLU_URLDECODE) ?? ""
        self.origin = try Self.origin(scheme, host, port: try url.part(CURLUPART_PORT, CURLU_NO_DEFAULT_PORT))
        let (user, password) = (try url.part(CURLUPART_USER), try url.part(CURLUPART_PASSWORD))
        self.text = try url.part(CURLUPART_URL) ?? text
        object = nil

        try checkScheme(policy, isRedirect: origin != nil, context)
        if user != nil || password != nil {
            throw ImageError(.userinfo, "URL of host \(host)\(context) carries a user name or password; not allowed")
        }
        if !isFile, let ports = policy.allowedPorts, !ports.contains(port) {
            throw ImageError(.portNotAllowed, "port \(port) of host \(host)\(context) is not allowed")
        }
    }

    private init(_ place: FetchURL, object: ObjectURL) {
        (text, scheme, host, port, path) = (place.text, place.scheme, place.host, place.port, place.path)
        (origin, self.object) = (object.origin, object)
    }

    /// The same place, as where an object is.
    private func naming(_ object: ObjectURL) -> Self { Self(self, object: object) }

    /// A redirect's target as a whole URL. libcurl has made it one, unless it had no memory.
    func whole(_ target: String) throws(ImageError) -> String {
        let start = target.prefix { !"/?#".contains($0) }
        guard !start.contains(":") else { return target }
        let url = try URLHandle()
        _ = try url.parse(text)
        if let why = try url.parse(target) {
            throw ImageError(.invalidURL, "invalid URL (by redirect from \(name)): \(why)")
        }
        return try url.part(CURLUPART_URL) ?? target
    }

    /// Whether it names a local file.
    var isFile: Bool { scheme == "file" }

    private static func origin(_ scheme: String, _ host: String, port: String?) throws(ImageError) -> String {
        guard !host.isEmpty else { return "" }
        let end = port.map { ":\($0)" } ?? ""
        let dots = host.reversed().prefix { $0 == "." }.count
        guard dots > 0, dots < host.count else { return "\(scheme)://\(host)\(end)" }
        // With a dot behind, 0x7f.1 is a name; without it, it is an address, and spelt as one.
        let name = String(host.dropLast(dots))
        let settled = try URLHandle.settled("\(scheme)://\(name)\(end)/", "").part(CURLUPART_HOST) ?? name
        return "\(scheme)://\(settled)\(end)"
    }

    private static func checkForm(_ text: String, _ context: String) throws(ImageError) {
        guard !text.isEmpty else { throw ImageError(.invalidURL, "invalid URL\(context): it is empty") }
        guard text.utf8.count <= lengthLimit else {
            throw ImageError(.invalidURL, "invalid URL\(context): longer than \(lengthLimit) bytes")
        }
        // A NUL would end the C string early, and curl would read another URL than the one judged.
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw ImageError(.invalidURL, "invalid URL\(context): it contains a control character")
        }
    }

    private func checkScheme(_ policy: FetchPolicy, isRedirect: Bool, _ context: String) throws(ImageError) {
        if isFile && !isRedirect && !policy.localRoots.isEmpty { return }
        let network = policy.allowedSchemes.intersection(["http", "https"])
        guard network.contains(scheme) else {
            let allowed = network.sorted().joined(separator: " and ")
            throw ImageError(.schemeNotAllowed, "scheme \(scheme)\(context) is not allowed; only \(allowed)")
        }
    }
}

extension URLHandle {
    /// Reads a URL into the form that is read the same again, without its fragment. One reading is not enough: curl reads numbers as
    /// addresses before it undoes percent signs, so that `http://%31%32%37/` becomes `http://127/`, and that `http://0.0.0.127/`.
    ///
    /// Throws ``ImageError`` (`invalidURL`).
    fileprivate static func settled(_ text: String, _ context: String) throws(ImageError) -> URLHandle {
        var text = URLText.encoded(text)
        for _ in 0..<4 {
            let url = try URLHandle()
            if let why = try url.parse(text) { throw ImageError(.invalidURL, "invalid URL\(context): \(why)") }
            try url.encodeHost(context)
            try url.set(CURLUPART_FRAGMENT, nil)
            guard let whole = try url.part(CURLUPART_URL), whole != text else { return url }
            text = whole
        }
        throw ImageError(.invalidURL, "invalid URL\(context): it means something else each time that it is read")
    }

    /// Puts the host into lowercase and into ASCII: libcurl reads international names by the process's locale, which a daemon does
    /// not have. Throws ``ImageError`` (`invalidURL`).
    private func encodeHost(_ context: String) throws(ImageError) {
        guard let given = try part(CURLUPART_HOST) else { return }
        let host = given.lowercased()
        let isASCII = host.utf8.allSatisfy { $0 < 0x80 }
        guard let ascii = isASCII ? host : URLComponents(string: "http://\(host)/")?.encodedHost,
            ascii.utf8.allSatisfy({ $0 < 0x80 }), !ascii.contains("%"),
            ascii == given ? true : try set(CURLUPART_HOST, ascii)
        else { throw ImageError(.invalidURL, "invalid URL\(context): the host name \(host) is none") }
    }
}
