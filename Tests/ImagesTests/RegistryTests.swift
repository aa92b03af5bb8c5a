import Testing

@testable import Images

/// IANA's special-purpose registries, entry by entry, against the rules.
///
/// Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry (2025); multicast from RFC 5771
/// and RFC 4291; site-local from RFC 3879. Entries that are globally reachable by the registry (AS112, AMT, anycast of PCP and TURN,
/// ORCHIDv2, DETs) are refused as well: none of them serves images, and some are served by the nearest router.
@Suite struct RegistryTests {
    private static let v4 = [
        "0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32",
        "192.0.0.171/32", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32",
        "224.0.0.0/4",
    ]
    private static let v6 = [
        "::1/128", "::/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64",
        "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32",
        "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16",
        "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    ]
    /// Not in a registry: Azure's own service, which every machine of Azure's reaches.
    private static let clouds = ["168.63.129.16/32"]

    private static func networks() throws -> [CIDR] { try (v4 + v6 + clouds).map { try #require(CIDR($0)) } }

    private static func last(of network: CIDR) -> IPAddress {
        let free = UInt128(network.base.family.bitCount - network.prefixLength)
        let mask: UInt128 = free == 128 ? .max : (1 << free) - 1
        return IPAddress(family: network.base.family, value: network.base.value | mask)
    }

    /// The ends and the middle of each entry.
    @Test(arguments: v4 + v6 + clouds)
    func refusesTheEntry(_ text: String) throws {
        let network = try #require(CIDR(text))
        let (first, last) = (network.base.value, Self.last(of: network).value)
        for value in [first, first + (last - first) / 2, last] {
            let address = IPAddress(family: network.base.family, value: value)
            #expect(network.contains(address))
            let why = try #require(AddressRules.refusal(of: address, allowing: []), "\(address) is let through")
            #expect(!why.isEmpty)
        }
    }

    /// What lies beside each entry is let through exactly if no entry has it and, for IPv6, it is of the range that is handed out.
    @Test(arguments: v4 + v6 + clouds)
    func refusesNoMore(_ text: String) throws {
        let network = try #require(CIDR(text))
        let family = network.base.family
        let handedOut = try #require(CIDR("2000::/3"))
        for value in [network.base.value &- 1, Self.last(of: network).value &+ 1] {
            let address = IPAddress(family: family, value: value)
            let isSpecial = try Self.networks().contains { $0.contains(address) }
            let isPublic = !isSpecial && (family == .v4 || handedOut.contains(address))
            #expect((AddressRules.refusal(of: address, allowing: []) == nil) == isPublic, "\(address)")
        }
    }

    /// Whatever IPv4 address it carries, public ones too: a network would be reached that was never judged.
    @Test(arguments: ["8.8.8.8", "127.0.0.1", "10.0.0.1", "169.254.169.254"])
    func refusesIPv6ThatCarriesIPv4(_ text: String) throws {
        let v4 = try #require(IPAddress(text)).value
        let carriers: [(name: String, value: UInt128)] = [
            ("mapped", 0xFFFF << 32 | v4), ("translated", 0xFFFF << 48 | v4), ("compatible", v4),
            ("NAT64", 0x64_ff9b << 96 | v4), ("NAT64", 0x64_ff9b_0001 << 80 | v4), ("6to4", 0x2002 << 112 | v4 << 80),
            ("Teredo", 0x2001 << 112 | 0x4136_e378 << 64 | ~v4 & 0xFFFF_FFFF),  // client address, inverted (RFC 4380)
            ("Teredo", 0x2001 << 112 | v4 << 64),  // server address
        ]
        for (name, value) in carriers {
            let address = IPAddress(family: .v6, value: value)
            let why = try #require(AddressRules.refusal(of: address, allowing: []), "\(address) is let through")
            #expect(why.contains(name), "\(address) is \(why)")
        }
    }
}
