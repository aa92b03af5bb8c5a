import Testing

@testable import Images

@Suite struct AddressTests {
    @Test(arguments: [
        "8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0",
        "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "11.0.0.1", "128.0.0.1",
        "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450:4001::1", "2003::1",
    ])
    func letsPublicAddressesThrough(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(AddressRules.refusal(of: address, allowing: []) == nil)
    }

    @Test(arguments: [
        ("0.0.0.0", "unspecified"), ("0.1.2.3", "unspecified"), ("10.1.2.3", "private"), ("10.255.255.255", "private"),
        ("100.64.0.1", "carrier"), ("100.100.100.200", "carrier"), ("100.127.255.255", "carrier"),
        ("127.0.0.1", "loopback"), ("127.255.255.254", "loopback"), ("168.63.129.16", "cloud"),
        ("169.254.169.254", "link-local"), ("172.16.0.1", "private"), ("172.31.255.255", "private"),
        ("192.0.0.1", "protocols"), ("192.0.2.1", "documentation"), ("192.88.99.1", "6to4"), ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarks"), ("198.19.255.255", "benchmarks"), ("198.51.100.7", "documentation"),
        ("203.0.113.9", "documentation"), ("224.0.0.1", "multicast"), ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"), ("255.255.255.254", "reserved"), ("255.255.255.255", "broadcast"),
        ("::", "unspecified"), ("::1", "loopback"), ("::ffff:127.0.0.1", "mapped"), ("::ffff:8.8.8.8", "mapped"),
        ("::ffff:0:7f00:1", "translated"), ("::127.0.0.1", "compatible"), ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::a00:1", "NAT64"), ("100::1", "discard"), ("2001::1", "Teredo"), ("2001:10::1", "protocols"),
        ("2001:db8::1", "documentation"), ("2002:7f00:1::", "6to4"), ("3fff::1", "documentation"),
        ("5f00::1", "segment"), ("fc00::1", "unique local"), ("fd12:3456::1", "unique local"),
        ("fe80::1", "link-local"), ("febf::1", "link-local"), ("fec0::1", "site-local"), ("ff02::1", "multicast"),
        ("4000::1", "reserved"), ("8000::1", "reserved"), ("fe00::1", "reserved"),
    ])
    func refusesSpecialAddresses(_ text: String, _ kind: String) throws {
        let address = try #require(IPAddress(text))
        let refusal = try #require(AddressRules.refusal(of: address, allowing: []))
        #expect(refusal.contains(kind))
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.0/8", true), ("10.0.0.1", "127.0.0.0/8", false), ("10.9.8.7", "10.9.8.7", true),
        ("::ffff:127.0.0.1", "127.0.0.0/8", true),  // the kernel connects to 127.0.0.1
        ("::1", "127.0.0.0/8", false), ("::1", "::1/128", true), ("fd00::1", "fd00::/8", true),
        ("64:ff9b::7f00:1", "127.0.0.0/8", false), ("64:ff9b::808:808", "64:ff9b::/96", true),
        ("2002:7f00:1::", "127.0.0.0/8", false),
    ])
    func allowsNetworksByName(_ text: String, _ network: String, _ isAllowed: Bool) throws {
        let address = try #require(IPAddress(text))
        let networks = try [#require(CIDR(network))]
        #expect((AddressRules.refusal(of: address, allowing: networks) == nil) == isAllowed)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3/8", "10.0.0.0/8"), ("192.0.2.7", "192.0.2.7/32"), ("::/0", "::/0"),
        ("0.0.0.0/0", "0.0.0.0/0"), ("2001:DB8::1/33", "2001:db8::/33"), ("fd00::1", "fd00::1/128"),
    ])
    func readsNetworks(_ text: String, _ canonical: String) throws {
        #expect(try #require(CIDR(text)).description == canonical)
    }

    @Test(arguments: [
        "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0/8", "127.1",
        "::/129", "fe80::1%eth0", "localhost", "0x7f.0.0.1", "10.0.0.0 /8",
    ])
    func refusesWhatIsNoNetwork(_ text: String) { #expect(CIDR(text) == nil) }

    @Test func comparesByPrefix() throws {
        let network = try #require(CIDR("172.16.0.0/12"))
        #expect(network.contains(try #require(IPAddress("172.31.255.255"))))
        #expect(!network.contains(try #require(IPAddress("172.32.0.0"))))
        #expect(!network.contains(try #require(IPAddress("::ac10:1"))))
        #expect(try #require(CIDR("0.0.0.0/0")).contains(try #require(IPAddress("255.1.2.3"))))
    }
}
