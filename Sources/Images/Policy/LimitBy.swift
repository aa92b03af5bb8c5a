import CPSL

/// What a host's limits are counted by.
public enum LimitBy: String, Hashable, Sendable, CaseIterable {
    /// `scheme://host[:port]`: each origin has its own.
    case origin
    /// The registered domain, by the public suffix list: img1.example.co.uk and img2.example.co.uk share those of example.co.uk.
    case domain
    /// The address that is connected to, IPv6 by its first 64 bits: hosts on one machine share them, and so do those on one address of a
    /// content delivery network.
    case address
}

/// The public suffix list: Debian's or, where that is newer, libpsl's own. Used by one thread at a time.
struct RegisteredDomains: ~Copyable {
    private let list = psl_latest(nil)

    deinit { psl_free(list) }

    /// The part of a host's name that somebody has registered; the host itself where it is an address or a public suffix.
    ///
    /// - Parameter host: in lowercase and in ASCII.
    func domain(of host: String) -> String {
        guard !host.hasPrefix("["), IPAddress(host) == nil else { return host }
        let name = host.last == "." ? String(host.dropLast()) : host
        // What it gives lies within what it was given.
        return name.withCString { psl_registrable_domain(list, $0).map { String(cString: $0) } } ?? name
    }
}
