import Testing

@testable import Images

@Suite struct AdmissionTests {
    private typealias Machine = Admission<Int, ContinuousClock.Instant>
    private let start = ContinuousClock.now

    @Test func limitsEachHost() {
        var admission = Machine(maxConcurrent: 10, perHostConcurrency: 2, perHostDelay: .zero)
        for id in 1...4 { admission.enqueue(id, host: "a") }
        admission.enqueue(5, host: "b")
        #expect([1, 5, 2, nil] == (0..<4).map { _ in admission.next(now: start) })
        admission.finish(host: "a", now: start)
        #expect([3, nil] == (0..<2).map { _ in admission.next(now: start) })
    }

    @Test func limitsTheTotal() {
        var admission = Machine(maxConcurrent: 2, perHostConcurrency: 2, perHostDelay: .zero)
        for id in 1...3 { admission.enqueue(id, host: "\(id)") }
        #expect([1, 2, nil] == (0..<3).map { _ in admission.next(now: start) })
        admission.finish(host: "1", now: start)
        #expect(admission.next(now: start) == 3)
    }

    @Test func letsHostsTakeTurns() {
        var admission = Machine(maxConcurrent: 1, perHostConcurrency: 1, perHostDelay: .zero)
        for (id, host) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b")] { admission.enqueue(id, host: host) }
        var order: [Int] = []
        while let id = admission.next(now: start) {
            order.append(id)
            admission.finish(host: id < 4 ? "a" : "b", now: start)
        }
        #expect(order == [1, 4, 2, 5, 3])
    }

    @Test func keepsTheDelayBetweenStarts() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 9, perHostDelay: .seconds(2))
        admission.enqueue(1, host: "a")
        admission.enqueue(2, host: "a")
        #expect(admission.next(now: start) == 1)
        #expect(admission.next(now: start + .seconds(1)) == nil)
        #expect(admission.nextStart() == start + .seconds(2))
        admission.finish(host: "a", now: start + .seconds(1))
        #expect(admission.next(now: start + .seconds(2)) == 2)
        #expect(admission.nextStart() == nil)
    }

    @Test func keepsToItsShare() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 4, perHostDelay: .seconds(2))
        admission.sharers = 2
        for id in 1...4 { admission.enqueue(id, host: "a") }
        #expect(admission.next(now: start) == 1)
        #expect(admission.next(now: start + .seconds(3)) == nil, "the other one may start in between")
        #expect(admission.next(now: start + .seconds(4)) == 2)
        #expect(admission.next(now: start + .seconds(8)) == nil, "two of four places are the other one's")
        admission.sharers = 1
        #expect(admission.next(now: start + .seconds(8)) == 3)
    }

    @Test func restsWhenThereAreMoreDaemonsThanPlaces() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 2, perHostDelay: .zero)
        admission.sharers = 6
        for id in 1...3 { admission.enqueue(id, host: "a") }
        #expect([1, nil] == (0..<2).map { _ in admission.next(now: start) })
        admission.finish(host: "a", now: start + .seconds(1))
        #expect(admission.nextStart() == start + .seconds(3), "a third of the time is its own")
        #expect(admission.next(now: start + .seconds(2)) == nil)
        #expect(admission.next(now: start + .seconds(3)) == 2)
    }

    @Test func withdrawsWhatWaits() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 1, perHostDelay: .zero)
        for id in 1...3 { admission.enqueue(id, host: "a") }
        #expect(admission.next(now: start) == 1)
        let withdrawn = [2, 1, 2, 9].map { admission.withdraw($0, host: "a", now: start) }
        #expect(withdrawn == [true, false, false, false])
        admission.finish(host: "a", now: start)
        #expect([3, nil] == (0..<2).map { _ in admission.next(now: start) })
    }
}
