import Foundation

/// How certain hosts are treated: what differs from the rest of the policy. The first rule that matches a URL counts.
public struct HostRule: Hashable, Sendable {
    /// `[scheme://]host[:port]`: `images.example.org`, `*.example.org` for all hosts below it, `*` for every host.
    public var match: String
    /// The most requests at a time to an origin; nil: ``FetchPolicy/perHostConcurrency``.
    public var concurrency: Int?
    /// The least time between the starts of two requests to an origin; nil: ``FetchPolicy/perHostDelay``.
    public var delay: Duration?
    /// Headers by name. They go to this host alone, whatever it redirects to, and without encryption only where `match` begins with
    /// `http://`.
    public var headers: [String: HeaderSource] = [:]
    /// The User-Agent header; nil: ``FetchPolicy/userAgent``.
    public var userAgent: String?
    /// Which certificates are trusted.
    public var certificates = Certificates.asElsewhere
    /// Which opt-outs are obeyed, also in allowed networks; nil: ``FetchPolicy/optOuts``.
    public var optOuts: OptOuts?

    /// Where a header's value stands.
    public enum HeaderSource: Hashable, Sendable {
        /// Here. It is no secret.
        case text(String)
        /// In a file, the whole of it but line feeds at its end.
        case file(String)
        /// In a credential of systemd (`LoadCredential=`), by name.
        case credential(String)
    }

    /// Which certificates are trusted.
    public enum Certificates: Hashable, Sendable {
        /// By the policy's authorities.
        case asElsewhere
        /// Those of the authorities in this file (PEM).
        case authorities(String)
        /// Any: whoever sits in between can read and change what is sent.
        case any
    }

    /// A rule that changes nothing.
    public init(match: String) { self.match = match }

    /// What makes no sense, as a sentence; nil: nothing. Looks at no file.
    public var fault: String? {
        if HostPattern(match) == nil {
            return
                "match is \(match), expected a host such as images.example.org, *.example.org or *, in lower case and in ASCII"
        }
        if let concurrency, !(1...1024).contains(concurrency) {
            return "concurrency is \(concurrency), expected 1 to 1024"
        }
        if let delay, !(.zero ... .seconds(3600)).contains(delay) {
            return "delay_seconds is \(delay / .seconds(1)), expected 0 to 3600"
        }
        if let userAgent, userAgent.isEmpty || !userAgent.utf8.allSatisfy({ 0x20..<0x7F ~= $0 }) {
            return "user_agent must be plain ASCII: it is sent as a header"
        }
        for (name, source) in headers.sorted(by: { $0.key < $1.key }) {
            if let fault = Self.fault(name, source) { return fault }
        }
        return nil
    }

    private static func fault(_ name: String, _ source: HeaderSource) -> String? {
        let isToken =
            !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"()<>@,;:\\\"/[]?={}".utf8.contains($0) }
        guard isToken else { return "headers has the name \"\(name)\", which is none" }
        // They say how the rest of the message is to be read.
        let ours = [
            "host", "content-length", "transfer-encoding", "connection", "user-agent", "te", "upgrade",
            "accept-encoding",
        ]
        if ours.contains(name.lowercased()) { return "headers has \(name), which Gloss sets itself" }
        switch source {
        case .text(let text): return isValue(text) ? nil : "the header \(name) must be one line of plain ASCII"
        case .file(let path):
            return path.hasPrefix("/") ? nil : "the header \(name) has the file \(path), expected an absolute path"
        case .credential(let name):
            return name.isEmpty || name.contains("/") ? "\(name) is no name of a credential" : nil
        }
    }

    fileprivate static func isValue(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 == 0x09 }
    }
}

extension HostRule.HeaderSource {
    /// The header's value. Throws ``ImageError`` (`localFailure`) that names the place and never the value.
    func value(_ name: String, environment: [String: String]) throws(ImageError) -> String {
        let path: String
        switch self {
        case .text(let text): return text
        case .file(let file): path = file
        case .credential(let credential):
            guard let folder = environment["CREDENTIALS_DIRECTORY"] else {
                throw ImageError(
                    .localFailure,
                    "the header \(name) is in the credential \(credential), and systemd has given none: there is no CREDENTIALS_DIRECTORY"
                )
            }
            path = folder + "/" + credential
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw ImageError(.localFailure, "the header \(name): \(path) cannot be read")
        }
        var bytes = data.prefix(64 << 10)
        while bytes.last == 0x0A || bytes.last == 0x0D { bytes.removeLast() }
        let text = String(decoding: bytes, as: UTF8.self)
        guard data.count <= 64 << 10, HostRule.isValue(text) else {
            throw ImageError(.localFailure, "the header \(name): \(path) must hold one line of plain ASCII")
        }
        return text
    }
}

/// `[scheme://]host[:port]`, where the host may be `*` or begin with `*.`.
struct HostPattern: Hashable, Sendable {
    let scheme: String?
    private let host: String
    private let port: Int?

    /// Nil for a text that is none.
    init?(_ text: String) {
        var rest = text[...]
        if let mark = rest.range(of: "://") {
            scheme = String(rest[..<mark.lowerBound])
            guard ["http", "https"].contains(scheme) else { return nil }
            rest = rest[mark.upperBound...]
        } else {
            scheme = nil
        }
        // An IPv6 address has colons of its own, in brackets.
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("]") {
            guard let number = Int(rest[rest.index(after: colon)...]), (1...65535).contains(number) else { return nil }
            port = number
            rest = rest[..<colon]
        } else {
            port = nil
        }
        host = String(rest)
        let name = host == "*" ? "a" : host.hasPrefix("*.") ? String(host.dropFirst(2)) : host
        // Spelt as the fetcher spells it, or it would never match.
        guard ImageFetcher.origin(of: "http://\(name)/") == "http://\(name)" else { return nil }
    }

    /// Whether it stands for a URL.
    func matches(_ url: FetchURL) -> Bool {
        if let scheme, scheme != url.scheme { return false }
        if let port, port != url.port { return false }
        if host == "*" { return true }
        let name = url.host.last == "." ? String(url.host.dropLast()) : url.host
        return host.hasPrefix("*.") ? name.hasSuffix(host.dropFirst()) : name == host
    }
}
