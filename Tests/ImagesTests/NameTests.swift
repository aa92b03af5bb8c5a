import TestSupport
import Testing

@testable import Images

/// Host names, by the addresses that they resolve to. 127.0.0.5 stands for the public internet.
@Suite struct NameTests {
    private func policy(_ ports: Set<Int>? = nil) -> FetchPolicy {
        loopbackPolicy {
            $0.allowedNetworks = [CIDR("127.0.0.5")].compactMap(\.self)
            $0.allowedPorts = ports
        }
    }

    @Test(arguments: [
        ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["fd00:ec2::254"], ["::ffff:10.0.0.1"], ["0.0.0.0"],
        ["10.0.0.1", "fe80::1", "127.0.0.1"],
    ])
    func refusesNamesOfInnerAddresses(_ addresses: [String]) async throws {
        let name = ScriptedName(
            "inner-\(addresses.joined(separator: "-").map { $0.isLetter || $0.isNumber ? "\($0)" : "-" }.joined())",
            addresses)
        let error = try await fetchError("http://\(name.name)/a", policy())
        #expect(error?.code == .addressNotAllowed)
        #expect(error?.disposition == .permanent)
        #expect(error?.message.contains("not allowed (http://\(name.name))") == true)
        #expect(name.lookupCount == 1)
    }

    /// A name may have an inner address beside a public one: only the public one is connected to.
    @Test(arguments: [["127.0.0.1", "127.0.0.5"], ["127.0.0.5", "127.0.0.1"], ["10.0.0.1", "::1", "127.0.0.5"]])
    func connectsOnlyToWhatIsAllowed(_ addresses: [String]) async throws {
        let outer = try LoopbackServer(host: "127.0.0.5", ["/a": { $0.answer(200, "outer") }])
        let name = ScriptedName("mixed-\(addresses.count)-\(addresses[0].count)-\(addresses[0].last ?? "x")", addresses)
        let fetched = try await ImageFetcher(policy: policy()).fetch("http://\(name.name):\(outer.port)/a")
        #expect(fetched.bytes == Array("outer".utf8))
        #expect(fetched.remoteAddress == "127.0.0.5")
    }

    /// What was public a moment ago is judged again by its new address.
    @Test func judgesANameThatWasBoundAnew() async throws {
        let outer = try LoopbackServer(host: "127.0.0.5", ["/a": { $0.answer(200, "outer") }])
        let inner = try LoopbackServer(["/a": { $0.answer(200, "inner") }])
        let name = ScriptedName("rebound", ["127.0.0.5"], ["127.0.0.1"])
        #expect(try await fetchError("http://\(name.name):\(outer.port)/a", policy()) == nil)
        let error = try await fetchError("http://\(name.name):\(inner.port)/a", policy())
        #expect(error?.code == .addressNotAllowed)
        #expect(error?.message.contains("127.0.0.1 is loopback") == true)
        #expect(name.lookupCount == 2)
        #expect(inner.requests.isEmpty)
    }

    /// The same within one fetch: by a redirect to another port, for which the name is looked up anew.
    @Test func judgesANameThatIsBoundAnewByARedirect() async throws {
        let inner = try LoopbackServer(["/b": { $0.answer(200, "inner") }])
        let name = ScriptedName("redirected", ["127.0.0.5"], ["127.0.0.1"])
        let target = "http://\(name.name):\(inner.port)/b"
        let outer = try LoopbackServer(host: "127.0.0.5", ["/a": { $0.redirect(to: target) }])
        let error = try await fetchError("http://\(name.name):\(outer.port)/a", policy())
        #expect(error?.code == .addressNotAllowed)
        #expect(error?.message.contains("by redirect from http://\(name.name)") == true)
        #expect(inner.requests.isEmpty)
    }

    @Test func readsATrailingDot() async throws {
        let name = ScriptedName("dotted", ["10.0.0.1"])
        #expect(try await fetchError("http://\(name.name)./a", policy())?.code == .addressNotAllowed)
        #expect(name.lookupCount == 1)
    }
}
