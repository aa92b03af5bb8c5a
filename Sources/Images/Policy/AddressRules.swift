/// Which addresses may be connected to: the public internet, and networks that are allowed by name.
///
/// The tables have every entry of IANA's special-purpose registries (RFC 6890 and its successors), also those that can be reached
/// from everywhere: none of them serves images. IPv6 beyond the global unicast
/// range 2000::/3 is refused as a whole.
enum AddressRules {
    /// Why `address` is refused, as the end of "… is …"; nil when it may be connected to.
    static func refusal(of address: IPAddress, allowing networks: [CIDR]) -> String? {
        if isAllowed(address, by: networks) { return nil }
        let special = address.family == .v4 ? specialV4 : specialV6
        if let match = special.first(where: { $0.network.contains(address) }) { return match.kind }
        return address.family == .v6 && !globalUnicast.contains(address) ? "reserved" : nil
    }

    /// Whether an address is in one of these networks, also where IPv6 carries it.
    static func isAllowed(_ address: IPAddress, by networks: [CIDR]) -> Bool {
        let forms = [address, address.mapped].compactMap(\.self)
        return networks.contains { network in forms.contains(where: network.contains) }
    }

    private typealias Special = (network: CIDR, kind: String)

    private static let specialV4: [Special] = table([
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud platform's own service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "a sink of the domain name system"),
        ("192.52.193.0/24", "a multicast relay"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "a sink of the domain name system"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    ])

    private static let specialV6: [Special] = table([
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "IPv4 behind NAT64"),
        ("64:ff9b:1::/48", "IPv4 behind NAT64"),
        ("100::/64", "discard-only"),
        ("100:0:0:1::/64", "a dummy"),
        ("2001::/32", "IPv4 in Teredo"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "IPv4 in 6to4"),
        ("2620:4f:8000::/48", "a sink of the domain name system"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "for segment routing"),
        ("fc00::/7", "unique local"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    ])

    private static let globalUnicast = network("2000::/3")

    private static func table(_ rows: [(String, String)]) -> [Special] { rows.map { (network($0.0), $0.1) } }

    private static func network(_ text: String) -> CIDR {
        guard let network = CIDR(text) else { preconditionFailure("not a network: \(text)") }
        return network
    }
}
