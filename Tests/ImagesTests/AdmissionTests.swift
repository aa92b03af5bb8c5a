import Testing

@testable import Images

@Suite struct AdmissionTests {
    private typealias Machine = Admission<Int, ContinuousClock.Instant>
    private let start = ContinuousClock.now

    @Test func limitsEachHost() {
        var admission = Machine(maxConcurrent: 10, perHostConcurrency: 2, perHostDelay: .zero)
        for id in 1...4 { admission.enqueue(id, origin: "a") }
        admission.enqueue(5, origin: "b")
        #expect([1, 5, 2, nil] == (0..<4).map { _ in admission.next(now: start) })
        admission.finish(origin: "a", now: start)
        #expect([3, nil] == (0..<2).map { _ in admission.next(now: start) })
    }

    @Test func limitsTheTotal() {
        var admission = Machine(maxConcurrent: 2, perHostConcurrency: 2, perHostDelay: .zero)
        for id in 1...3 { admission.enqueue(id, origin: "\(id)") }
        #expect([1, 2, nil] == (0..<3).map { _ in admission.next(now: start) })
        admission.finish(origin: "1", now: start)
        #expect(admission.next(now: start) == 3)
    }

    @Test func letsHostsTakeTurns() {
        var admission = Machine(maxConcurrent: 1, perHostConcurrency: 1, perHostDelay: .zero)
        for (id, host) in [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b")] { admission.enqueue(id, origin: host) }
        var order: [Int] = []
        while let id = admission.next(now: start) {
            order.append(id)
            admission.finish(origin: id < 4 ? "a" : "b", now: start)
        }
        #expect(order == [1, 4, 2, 5, 3])
    }

    @Test func keepsTheDelayBetweenStarts() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 9, perHostDelay: .seconds(2))
        admission.enqueue(1, origin: "a")
        admission.enqueue(2, origin: "a")
        #expect(admission.next(now: start) == 1)
        #expect(admission.next(now: start + .seconds(1)) == nil)
        #expect(admission.nextStart(now: start) == start + .seconds(2))
        admission.finish(origin: "a", now: start + .seconds(1))
        #expect(admission.next(now: start + .seconds(2)) == 2)
        #expect(admission.nextStart(now: start) == nil)
    }

    @Test func keepsToItsShare() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 4, perHostDelay: .seconds(2))
        admission.sharers = 2
        for id in 1...4 { admission.enqueue(id, origin: "a") }
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
        for id in 1...3 { admission.enqueue(id, origin: "a") }
        #expect([1, nil] == (0..<2).map { _ in admission.next(now: start) })
        admission.finish(origin: "a", now: start + .seconds(1))
        #expect(admission.nextStart(now: start) == start + .seconds(3), "a third of the time is its own")
        #expect(admission.next(now: start + .seconds(2)) == nil)
        #expect(admission.next(now: start + .seconds(3)) == 2)
    }

    /// The slow origin's requests came first and never end; the quick one's all pass beside them.
    @Test func aSlowOriginKeepsNoOtherWaiting() {
        var admission = Machine(maxConcurrent: 5, perHostConcurrency: 4, perHostDelay: .zero)
        for id in 1...150 { admission.enqueue(id, origin: "slow") }
        for id in 201...350 { admission.enqueue(id, origin: "quick") }
        var quick = 0
        while let id = admission.next(now: start) {
            guard id > 200 else { continue }
            quick += 1
            admission.finish(origin: "quick", now: start)
        }
        #expect(quick == 150)
    }

    @Test func anOriginThatAsksForPatienceHasHalfItsPlaces() {
        var admission = Machine(maxConcurrent: 99, perHostConcurrency: 8, perHostDelay: .zero)
        for id in 1...99 { admission.enqueue(id, origin: "a") }
        func starts(_ now: ContinuousClock.Instant) -> Int {
            var count = 0
            while admission.next(now: now) != nil { count += 1 }
            return count
        }
        #expect(starts(start) == 8)
        for _ in 1...3 { admission.cut(origin: "a", startedUnder: 0, now: start) }
        for _ in 1...8 { admission.finish(origin: "a", now: start) }
        #expect(starts(start) == 4, "three answers at once count once")
        admission.cut(origin: "a", startedUnder: 1, now: start + .seconds(2))
        #expect(starts(start + .seconds(2)) == 0)
        for _ in 1...4 { admission.finish(origin: "a", now: start + .seconds(3)) }
        #expect(starts(start + .seconds(3)) == 2)
        #expect(starts(start + .seconds(12)) == 1, "one more each ten seconds")
        #expect(starts(start + .seconds(1000)) == 5, "and no more than all")
    }

    @Test func oneOfAnOriginThatAsksForPatienceGoesOn() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 1, perHostDelay: .zero)
        for id in 1...3 { admission.enqueue(id, origin: "a") }
        #expect(admission.next(now: start) == 1)
        for count in 0..<9 { admission.cut(origin: "a", startedUnder: count, now: start + .seconds(2 * count)) }
        admission.finish(origin: "a", now: start + .seconds(18))
        #expect([2, nil] == (0..<2).map { _ in admission.next(now: start + .seconds(18)) })
    }

    @Test func keepsToTheBytes() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 9, perHostDelay: .zero, bytesPerRequest: 100)
        admission.byteLimit = 250
        for id in 1...9 { admission.enqueue(id, origin: "a") }
        #expect([1, 2, nil] == (0..<3).map { _ in admission.next(now: start) })
        admission.resize(from: 100, to: 40)
        #expect([3, nil] == (0..<2).map { _ in admission.next(now: start) }, "240 of 250")
        admission.finish(origin: "a", now: start, bytes: 40)
        #expect(admission.next(now: start) == nil, "200 and 100")
        admission.byteLimit = 0
        admission.finish(origin: "a", now: start)
        #expect(admission.next(now: start) == nil)
        admission.finish(origin: "a", now: start)
        #expect([4, nil] == (0..<2).map { _ in admission.next(now: start) }, "one may always be under way")
    }

    @Test func withdrawsWhatWaits() {
        var admission = Machine(maxConcurrent: 9, perHostConcurrency: 1, perHostDelay: .zero)
        for id in 1...3 { admission.enqueue(id, origin: "a") }
        #expect(admission.next(now: start) == 1)
        let withdrawn = [2, 1, 2, 9].map { admission.withdraw($0, origin: "a", now: start) }
        #expect(withdrawn == [true, false, false, false])
        admission.finish(origin: "a", now: start)
        #expect([3, nil] == (0..<2).map { _ in admission.next(now: start) })
    }
}
