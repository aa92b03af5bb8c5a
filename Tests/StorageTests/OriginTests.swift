import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// One spelling of an origin: the same cases as the fetcher's.
@Suite struct OriginTests {
    static let cases: [(url: String, origin: String?)] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Fixtures/origins.tsv")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            return (fields[0], fields.count > 1 && !fields[1].isEmpty ? fields[1] : nil)
        }
    }()

    @Test func spellsAnOriginAsTheFetcherDoes() async throws {
        #expect(Self.cases.count > 60)
        let session = try await PrivatePostgres.shared.makeDatabase().session()
        for (url, origin) in Self.cases {
            let found = try await session.query("select gloss.origin_of($1)", [SQLValue(url)]).scalar
            #expect(found == origin, "\(url)")
        }
        await session.close()
    }

    /// A refused connection on one port leaves the others alone, and each spelling of a host is the same.
    @Test func anOriginIsParkedWithItsPort() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (admin, store) = (database.administration(), database.store())
        let worker = try await store.register(Samples.worker())
        let urls = [
            "https://Bücher.example/1", "https://xn--bcher-kva.example./2", "https://B%C3%BCCHER.example:443/3",
            "https://bücher.example:8443/4", "http://bücher.example/5",
        ]
        for (index, url) in urls.enumerated() {
            _ = try await admin.enqueue(Samples.caption(url), EnqueueOptions(key: "\(index + 1)"))
        }
        try await store.park(origin: "https://xn--bcher-kva.example", for: .seconds(60), reason: "refused")
        let free = try await store.claim(limit: 9, by: worker)
        #expect(free.map(\.key) == ["4", "5"])
        _ = try await store.record(free.map { JobReport($0, .released(reason: "test")) }, by: worker)
        // A host's name stands for all its origins.
        try await admin.pause(.host("BÜCHER.example"))
        #expect(try await store.claim(limit: 9, by: worker) == [])
        try await admin.resume(.host("bücher.example"))
        #expect(Set(try await store.claim(limit: 9, by: worker).map(\.key)) == ["1", "2", "3", "4", "5"])
        #expect(try await admin.hosts().isEmpty)
        #expect(try await database.misplacedJobs() == [])
    }

    /// A daemon that leaves an origin alone learns from its release that somebody has taken it up again; the job waits for nothing.
    @Test func whatWaitsForAnOriginGoesOnWhenItIsTakenUp() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (admin, store) = (database.administration(), database.store())
        let worker = try await store.register(Samples.worker())
        for url in ["https://a.example/1", "https://b.example/leads to a"] {
            _ = try await admin.enqueue(Samples.caption(url))
        }
        /// Gives all jobs back, because `https://a.example` is parked.
        func release(isConfirmed: Bool) async throws -> [Receipt] {
            let jobs = try await store.claim(limit: 9, by: worker)
            let release = Release(
                .host, reason: "busy", delay: .seconds(3600),
                origin: Release.ParkedOrigin("https://a.example", isConfirmed: isConfirmed))
            let reports = jobs.map { JobReport($0, .released(release)) }
            let receipts = try await store.record(reports, by: worker)
            // Once more, as after a lost answer.
            let repeated = try await store.record(reports, by: worker)
            #expect(repeated.allSatisfy { $0 == .alreadyRecorded })
            return receipts
        }
        func states() async throws -> [String] { try await admin.jobs().map(\.state) }
        // Released before it is parked.
        #expect(try await release(isConfirmed: false) == [.recorded, .recorded])
        #expect(try await states() == ["scheduled", "scheduled"])
        try await store.park(origin: "https://a.example", for: .seconds(3600), reason: "busy")
        try await admin.resume(.host("a.example"))
        #expect(try await states() == ["ready", "ready"])
        // A daemon that does not know yet, even of jobs that have waited for too long.
        try await database.query("update gloss.attempt set since = since - interval '2 days'")
        #expect(try await release(isConfirmed: true) == [.unparked, .unparked])
        #expect(try await states() == ["ready", "ready"])
        try await database.query("update gloss.attempt set since = now()")
        // Parked; until a while ago; and paused by its name.
        try await store.park(origin: "https://a.example", for: .zero, reason: "busy")
        #expect(try await release(isConfirmed: true) == [.recorded, .recorded])
        #expect(try await states() == ["scheduled", "scheduled"])
        try await admin.resume(.host("https://a.example"))
        let jobs = try await store.claim(limit: 9, by: worker)
        try await admin.pause(.host("a.example"))
        let release = Release(
            .host, reason: "busy", delay: .seconds(3600),
            origin: Release.ParkedOrigin("https://a.example", isConfirmed: true))
        let receipts = try await store.record(jobs.map { JobReport($0, .released(release)) }, by: worker)
        #expect(receipts == [.recorded, .recorded])
        try await admin.resume(.host("a.example"))
        #expect(try await states() == ["ready", "ready"])
        #expect(try await database.misplacedJobs() == [])
    }

    /// A job is given back while its origin is taken up: whoever comes first, it waits for nothing afterwards.
    @Test(arguments: [false, true], [false, true]) func aReleaseAndAResumeDoNotMissEachOther(
        releasesFirst: Bool, latterFirst: Bool
    ) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (admin, store) = (database.administration(), database.store())
        let interleaving = try await Interleaving(database)
        let worker = try await store.register(Samples.worker())
        _ = try await admin.enqueue(Samples.caption("https://a.example/1"))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        try await store.park(origin: "https://a.example", for: .seconds(3600), reason: "busy")
        let release = """
            select receipts from gloss.record(\(worker.number), '\(worker.identity)', '[{"job": \(job.lease.job.rawValue),
                "fence": \(job.lease.fence), "outcome": "released", "cause": "host", "reason": "busy", "delay": 3600,
                "origin": "https://a.example", "known": true}]')
            """
        let resume = "select gloss.resume(host => 'a.example')"
        let (one, other) = releasesFirst ? (release, resume) : (resume, release)
        try await interleaving.meet(one, other, latterFirst: latterFirst, rollingBack: false) {}
        #expect(try await admin.jobs().map(\.state) == ["ready"])
        #expect(try await database.misplacedJobs() == [])
    }

    /// Keys are taken to the letter, and a bucket is parked and paused like a host.
    @Test func aBucketIsAnOrigin() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (admin, store) = (database.administration(), database.store())
        let worker = try await store.register(Samples.worker())
        let urls = [
            "s3://images/a b?c#d%20e.jpg", "s3://images/.hidden/..x/a...b", "S3://images//c", "s3://other/d",
            "gs://images/e", "az://images/é",
        ]
        for (index, url) in urls.enumerated() {
            _ = try await admin.enqueue(Samples.caption(url), EnqueueOptions(key: "\(index + 1)"))
        }
        try await store.park(origin: "s3://images", for: .seconds(60), reason: "refused")
        let free = try await store.claim(limit: 9, by: worker)
        #expect(free.map(\.key) == ["4", "5", "6"])
        #expect(free.last?.spec.imageURLs == ["az://images/é"])
        _ = try await store.record(free.map { JobReport($0, .released(reason: "test")) }, by: worker)
        try await admin.pause(.host("gs://images/"))
        #expect(Set(try await store.claim(limit: 9, by: worker).map(\.key)) == ["4", "6"])
        try await admin.resume(.host("images"))
        #expect(Set(try await store.claim(limit: 9, by: worker).map(\.key)) == ["1", "2", "3", "5"])
        #expect(try await database.misplacedJobs() == [])
    }
}
