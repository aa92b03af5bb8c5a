import Glibc

/// An IPv4 or IPv6 address.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// The two address families.
    public enum Family: Hashable, Sendable {
        case v4, v6

        /// Bits in an address: 32 or 128.
        public var bitCount: Int { self == .v4 ? 32 : 128 }
    }

    /// The family.
    public let family: Family
    /// The address as a number, in the low 32 bits for IPv4.
    public let value: UInt128

    /// An address out of a number; IPv4 takes the low 32 bits.
    public init(family: Family, value: UInt128) {
        self.family = family
        self.value = family == .v4 ? value & 0xFFFF_FFFF : value
    }

    /// An address of 4 or 16 bytes in network order; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.init(family: bytes.count == 4 ? .v4 : .v6, value: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    }

    /// Reads `192.0.2.1` or `2001:db8::1`; nil for anything else, shorthand such as `127.1` included.
    public init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(bytes: bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(bytes: bytes)
        } else {
            return nil
        }
    }

    /// The usual text form.
    public var description: String {
        let length = family.bitCount / 8
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: value >> UInt128(8 * (length - 1 - $0))) }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(family == .v4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The IPv4 address inside an IPv4-mapped IPv6 address (`::ffff:a.b.c.d`), to which the kernel connects.
    var mapped: IPAddress? {
        guard family == .v6, value >> 32 == 0xFFFF else { return nil }
        return IPAddress(family: .v4, value: value)
    }
}

/// A network: an address and the number of its leading bits that count.
public struct CIDR: Hashable, Sendable, CustomStringConvertible {
    /// The network's first address.
    public let base: IPAddress
    /// Leading bits in common: 0...32 or 0...128.
    public let prefixLength: Int

    /// A network; bits of `address` behind the prefix are dropped. Nil when the prefix is too long.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.family.bitCount).contains(prefixLength) else { return nil }
        base = IPAddress(family: address.family, value: address.value & Self.mask(address.family, prefixLength))
        self.prefixLength = prefixLength
    }

    /// Reads `10.0.0.0/8`, `fd00::/8`, or a single address. Nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = IPAddress(String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefixLength: address.family.bitCount)
            return
        }
        guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }), let length = Int(parts[1]) else { return nil }
        self.init(address, prefixLength: length)
    }

    /// Whether the address lies in the network; families never mix.
    public func contains(_ address: IPAddress) -> Bool {
        address.family == base.family && address.value & Self.mask(base.family, prefixLength) == base.value
    }

    /// `base/prefixLength`.
    public var description: String { "\(base)/\(prefixLength)" }

    private static func mask(_ family: IPAddress.Family, _ length: Int) -> UInt128 {
        let all: UInt128 = family == .v4 ? 0xFFFF_FFFF : .max
        return length == 0 ? 0 : all & (all << UInt128(family.bitCount - length))
    }
}
