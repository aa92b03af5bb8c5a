import Foundation

/// Which wishes of a site not to have its images used are obeyed.
public enum OptOuts: String, Hashable, Sendable, CaseIterable {
    /// What is meant for us, or for machines that learn: `noai` and `noimageai`, `TDM-Reservation: 1`, and the groups of robots.txt
    /// that name our user agent.
    case named
    /// Also what is meant for search engines: the groups of robots.txt for everybody, `noindex`, `noimageindex` and `none`.
    case strict
    /// None; robots.txt is not asked for.
    case off
}

extension OptOuts {
    /// The name by which sites address us, out of a User-Agent header: the product token of RFC 9309, in lowercase. Of a header that
    /// begins as browsers' do, the first product of its comment: `Mozilla/5.0 (compatible; Example/1.0)`.
    static func productToken(of userAgent: String) -> String {
        let token = userAgent.productToken
        guard token == "mozilla", let mark = userAgent.range(of: "compatible;") else { return token }
        let inner = userAgent[mark.upperBound...].drop { $0 == " " }.productToken
        return inner.isEmpty ? token : inner
    }
}

extension StringProtocol {
    /// The letters, hyphens and underscores that it begins with, in lowercase.
    var productToken: String {
        String(
            decoding: utf8.prefix { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A || $0 == 0x2D || $0 == 0x5F },
            as: UTF8.self
        )
        .lowercased()
    }
}
