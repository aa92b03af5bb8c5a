import Testing

@testable import Images

/// Whose fault it is when hosts fail.
@Suite struct NetworkHealthTests {
    private typealias Health = NetworkHealth<ContinuousClock.Instant>
    private let start = ContinuousClock.now

    @Test(arguments: [Health.Layer.names, .certificates])
    private func threeHostsInARowAreNotAllToBlame(_ layer: Health.Layer) {
        var health = Health()
        let verdicts = ["a", "a", "b", "a", "c", "d"].map { health.failed(layer, host: $0, now: start) }
        #expect(verdicts == [.uncertain, .uncertain, .uncertain, .uncertain, .ours, .ours])
    }

    @Test func aSuccessClearsUs() {
        var health = Health()
        for host in ["a", "b", "c"] { _ = health.failed(.names, host: host, now: start) }
        health.succeeded(.names, now: start)
        #expect(health.failed(.names, host: "d", now: start + .seconds(4)) == .theirs)
        #expect(health.failed(.names, host: "d", now: start + .seconds(6)) == .uncertain, "that was a while ago")
    }

    @Test func oneMissingRouteIsOurs() {
        var health = Health()
        #expect(health.failed(.routes, host: "a", now: start) == .ours)
        health.answered(host: "b", isEncrypted: false, now: start)
        #expect(health.failed(.routes, host: "a", now: start + .seconds(20)) == .theirs)
        #expect(health.failed(.routes, host: "a", now: start + .seconds(40)) == .ours)
    }

    @Test func manyHostsMayBeDead() {
        var health = Health()
        let verdicts = (1...8).map { health.failed(.connections, host: "\($0)", now: start) }
        #expect(verdicts == Array(repeating: .uncertain, count: 7) + [.ours])
        health.answered(host: "9", isEncrypted: false, now: start)
        #expect(health.failed(.connections, host: "10", now: start) == .theirs)
    }

    @Test func onlyAnEncryptedAnswerProvesTheClock() {
        var health = Health()
        health.answered(host: "a", isEncrypted: false, now: start)
        #expect(health.failed(.certificates, host: "b", now: start) == .uncertain)
        health.answered(host: "a", isEncrypted: true, now: start)
        #expect(health.failed(.certificates, host: "b", now: start + .seconds(1800)) == .theirs)
    }

    @Test func knowsTheLastNamesThatLedSomewhere() {
        var health = Health()
        for host in ["a", "b", "192.0.2.7", "[2001:db8::1]", "c", "a", "d", "e"] {
            health.answered(host: host, isEncrypted: false, now: start)
        }
        #expect(health.knownNames(besides: "x") == ["e", "d", "a", "c"])
        #expect(health.knownNames(besides: "d") == ["e", "a", "c"])
    }
}
