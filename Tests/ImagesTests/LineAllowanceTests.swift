import Testing

@testable import Images

/// What hosts that ask for patience allow, to one daemon and to several.
@Suite struct LineAllowanceTests {
    private typealias Allowances = LineAllowances<ContinuousClock.Instant>
    private let start = ContinuousClock.now

    @Test func halvesOnceForWhatWasUnderWayTogether() {
        var one = Allowances()
        #expect(one.places("a", of: 8, start) == 8)
        for _ in 0..<5 { one.cut("a", startedUnder: 0, of: 8, start) }
        #expect(one.places("a", of: 8, start) == 4)
        #expect(one.cutCount("a") == 1)
        one.cut("a", startedUnder: 1, of: 8, start + .seconds(9))
        #expect(one.places("a", of: 8, start + .seconds(9)) == 2, "a request that started under the first cut")
        #expect(one.places("a", of: 8, start + .seconds(19)) == 3, "one more after ten seconds")
        #expect(one.places("a", of: 8, start + .seconds(1000)) == 8, "and no more than all")
        for count in 2..<9 { one.cut("a", startedUnder: count, of: 8, start + .seconds(20)) }
        #expect(one.places("a", of: 8, start + .seconds(20)) == 1, "one at least")
        #expect(one.places("b", of: 8, start) == 8)
        let reports = one.takeReports()
        #expect(reports.count == 9 && reports.first == LineCut(line: "a", cutCount: 0, places: 8))
        #expect(one.takeReports().isEmpty)
    }

    @Test func learnsWhatOthersFound() {
        var one = Allowances()
        one.learn(LineAllowance(line: "a", cutCount: 3, places: 2, age: .seconds(15)), start)
        #expect(one.places("a", of: 8, start) == 3)
        one.cut("a", startedUnder: 0, of: 8, start)
        #expect(one.places("a", of: 8, start) == 3, "it started before what it says was known")
        one.cut("a", startedUnder: 3, of: 8, start)
        #expect(one.places("a", of: 8, start) == 1)
        one.learn(LineAllowance(line: "a", cutCount: 3, places: 2, age: .seconds(18)), start + .seconds(3))
        #expect(one.places("a", of: 8, start + .seconds(3)) == 1, "the others do not know of the last one yet")
    }

    @Test func forgetsInTheEnd() {
        var one = Allowances()
        for index in 0..<100_000 { one.cut("\(index)", startedUnder: 0, of: 8, start + .seconds(index)) }
        #expect(one.cutCount("99999") == 1 && one.cutCount("0") == 0)
        #expect(one.takeReports().count == 1024, "nobody took them for long")
    }

    @Test func aThrottledHostsPlacesAreShared() {
        var admission = Admission<Int, ContinuousClock.Instant>(
            maxConcurrent: 99, perHostConcurrency: 8, perHostDelay: .zero)
        admission.sharers = 2
        for id in 1...99 { admission.enqueue(id, origin: "a") }
        func starts(_ now: ContinuousClock.Instant) -> Int {
            var count = 0
            while admission.next(now: now) != nil { count += 1 }
            return count
        }
        #expect(starts(start) == 4)
        admission.learn(LineAllowance(line: "a", cutCount: 1, places: 4, age: .zero), now: start)
        for _ in 0..<4 { admission.finish(origin: "a", now: start) }
        #expect(starts(start) == 2, "two of four are the other one's")
        admission.learn(LineAllowance(line: "a", cutCount: 2, places: 1, age: .zero), now: start)
        for _ in 0..<2 { admission.finish(origin: "a", now: start + .seconds(1)) }
        #expect(starts(start + .seconds(1)) == 0, "half of the time is the other one's")
        #expect(starts(start + .seconds(2)) == 1)
    }
}
