import Foundation
import Storage

/// Seconds that calls took.
struct BenchLatencies: Sendable {
    private(set) var seconds: [Double] = []

    mutating func add(_ time: Duration) { seconds.append(time / .seconds(1)) }

    static func + (left: BenchLatencies, right: BenchLatencies) -> BenchLatencies {
        var sum = left
        sum.seconds += right.seconds
        return sum
    }

    /// In milliseconds; the value below which `share` of them lie.
    func quantile(_ share: Double) -> Double {
        let sorted = seconds.sorted()
        guard !sorted.isEmpty else { return 0 }
        return 1000 * sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }
}

/// What claimers did together.
struct BenchClaims: Sendable {
    var jobCount = 0
    var claims = BenchLatencies()
    var records = BenchLatencies()

    static func + (left: BenchClaims, right: BenchClaims) -> BenchClaims {
        BenchClaims(
            jobCount: left.jobCount + right.jobCount, claims: left.claims + right.claims,
            records: left.records + right.records)
    }
}

/// Load on one design, from sessions of its own.
struct BenchQueueLoad: Sendable {
    let design: BenchQueueDesign
    let images: BenchQueueImages
    let begins: Bool
    let settings: ConnectionSettings
    let batch: Int

    /// Rows of one bulk statement.
    static let rowsPerStatement = 50_000

    /// Enqueues `count` jobs with `INSERT … SELECT`, from so many sessions at a time.
    func insert(_ count: Int, loaders: Int = 1) async throws {
        let statements = stride(from: 0, to: count, by: Self.rowsPerStatement).map {
            min(Self.rowsPerStatement, count - $0)
        }
        try await inParallel(loaders) { loader, session in
            for (index, rows) in statements.enumerated() where index % loaders == loader {
                _ = try await session.query(
                    design.insert, [SQLValue(rows), SQLValue(Self.newKeys())], context: "bench")
            }
        }
    }

    /// Enqueues `count` jobs with COPY. The lines are made beforehand.
    /// - Returns: the time that it took.
    func copy(_ count: Int) async throws -> Duration {
        let session = Session(settings)
        var total = Duration.zero
        for start in stride(from: 0, to: count, by: Self.rowsPerStatement) {
            let copy = design.copy(min(Self.rowsPerStatement, count - start), keys: Self.newKeys())
            total += try await ContinuousClock().measure {
                try await session.copyIn(copy.sql, chunks: copy.chunks, context: "bench")
            }
        }
        await session.close()
        return total
    }

    /// Enqueues `count` jobs one by one, each a transaction.
    func call(_ count: Int) async throws {
        let session = Session(settings)
        let keys = Self.newKeys()
        for index in 1...count {
            _ = try await session.query(design.call, [SQLValue(keys + "\(index)")], context: "bench")
        }
        await session.close()
    }

    /// So many workers claim and record until `jobs` are done, as fast as they can.
    func claim(_ jobs: Int, claimers: Int) async throws -> BenchClaims {
        let rounds = max(1, jobs / claimers / batch)
        return try await claim(claimers: claimers) { round in round < rounds ? .now : nil }
    }

    /// So many workers claim and record `rate` jobs a second, evenly, while as many come in.
    func claim(rate: Int, for time: Duration, claimers: Int) async throws -> BenchClaims {
        let start = ContinuousClock.now
        let pause = Duration.seconds(1) * (batch * claimers) / rate
        async let fed: Void = feed(rate, until: start + time)
        let claims = try await claim(claimers: claimers) { round in
            let next = start + pause * round
            return next < start + time ? next : nil
        }
        try await fed
        return claims
    }

    /// - Parameter due: when a round begins; nil ends the work.
    private func claim(
        claimers: Int, due: @escaping @Sendable (Int) -> ContinuousClock.Instant?
    ) async throws -> BenchClaims {
        try await withThrowingTaskGroup(of: BenchClaims.self) { group in
            for _ in 0..<claimers { group.addTask { try await work(due) } }
            return try await group.reduce(BenchClaims(), +)
        }
    }

    private func work(_ due: @Sendable (Int) -> ContinuousClock.Instant?) async throws -> BenchClaims {
        let session = Session(settings)
        let worker = try await design.register(session)
        let clock = ContinuousClock()
        var (done, round) = (BenchClaims(), 0)
        while let start = due(round) {
            if start > clock.now { try await clock.sleep(until: start) }
            let begin = clock.now
            let jobs = try await design.claim(batch, worker, session)
            let middle = clock.now
            done.claims.add(middle - begin)
            if !jobs.isEmpty {
                if begins { try await design.begin(jobs, worker, session) }
                try await design.record(jobs, images, worker, session)
                done.records.add(clock.now - middle)
            }
            done.jobCount += jobs.count
            round += 1
        }
        await session.close()
        return done
    }

    private func feed(_ rate: Int, until end: ContinuousClock.Instant) async throws {
        let session = Session(settings)
        var next = ContinuousClock.now
        var beats = 0
        while next < end {
            _ = try await session.query(design.insert, [SQLValue(rate), SQLValue(Self.newKeys())], context: "bench")
            if beats % 5 == 0, let pulse = design.pulse { _ = try await session.query(pulse, context: "bench") }
            beats += 1
            next += .seconds(1)
            try await ContinuousClock().sleep(until: next)
        }
        await session.close()
    }

    private func inParallel(_ count: Int, _ body: @escaping @Sendable (Int, Session) async throws -> Void) async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<count {
                group.addTask {
                    let session = Session(settings)
                    try await body(index, session)
                    await session.close()
                }
            }
            try await group.waitForAll()
        }
    }

    /// The beginning of keys that no other statement has.
    private static func newKeys() -> String { "\(UInt64.random(in: 0 ... .max))/" }
}
