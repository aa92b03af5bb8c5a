import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// Daemons, the models that they serve, and jobs.
extension DoctorTests {
    @Test func noDaemonAndDaemonsThatFellSilent() async throws {
        let idle = await complaints("daemons")
        #expect(idle.map(\.message) == ["no daemon is alive, and 0 jobs wait"] && idle[0].level == .warning)
        _ = try await database.administration().enqueue(Samples.caption())
        let waiting = await complaints("daemons")
        #expect(waiting.map(\.message) == ["no daemon is alive, and 1 jobs wait"] && waiting[0].level == .error)
        let store = database.store()
        _ = try await store.claim(limit: 1, by: store.register(Samples.worker()))
        #expect(await complaints("daemons") == [])
        try await database.advance(by: .seconds(600))
        let silent = await complaints("daemons")
        #expect(silent[0].message == "test (pid 1) has been silent for 10 min, holding 1 jobs")
        #expect(silent[0].level == .error)
        _ = try await register()
        #expect(await complaints("daemons").map(\.level) == [.warning], "there is one to take its jobs back")
    }

    @Test func daemonsThatDiffer() async throws {
        var other = Samples.worker(models: ["tiny", "file", String(repeating: "b", count: 64)])
        other.version = "0.0.9"
        let same = Samples.worker(models: ["tiny", "file", String(repeating: "a", count: 64)])
        _ = try await register(same)
        let worker = try await register(other)
        _ = try await database.store().heartbeat(worker, Heartbeat(holdup: "out of memory"))
        try await database.advance(by: .seconds(-60))  // heartbeats to come: a busy machine makes nobody silent
        let daemons = await complaints("daemons")
        #expect(daemons.map(\.level) == [.warning, .warning])
        try #require(daemons.count == 2)
        #expect(daemons[0].message == "test (pid 1) takes no jobs: out of memory")
        #expect(daemons[1].message == "versions differ: daemons 0.0.9, 0.1.0, glossctl 0.1.0")
        let models = await complaints("models")
        #expect(models.map(\.level) == [.warning])
        #expect(
            try #require(models.first).message.hasPrefix(
                "the name tiny stands for different models or precisions: test (pid 1): aaaa"))
    }

    @Test func jobsThatNobodyServes() async throws {
        var spec = Samples.caption()
        spec.model = "large"
        _ = try await database.administration().enqueue(spec)
        #expect(await complaints("models") == [], "that nobody is alive is said elsewhere")
        _ = try await register()
        let found = await complaints("models")
        #expect(found.map(\.level) == [.error])
        #expect(
            found[0].message == "1 jobs of caption ask for the model large, and no daemon that is alive serves them")
    }

    @Test func aJobThatIsNowhere() async throws {
        _ = try await database.administration().enqueue(Samples.caption())
        try await database.query("delete from gloss.ready")
        let found = await complaints("misplaced")
        #expect(found.map(\.level) == [.error])
        #expect(found[0].message == "1 jobs are misplaced, job 1 first: not in exactly one state (pruned: in none)")
    }

    @Test func jobsThatNobodyWouldLookAtAgain() async throws {
        let admin = database.administration()
        let (mine, other) = (
            try await admin.enqueue(Samples.caption(), EnqueueOptions(batch: "b")).job,
            try await admin.enqueue(Samples.caption("https://slow.example/1")).job
        )
        try await admin.pause(.batch("b"))
        try await admin.pause(.host("slow.example"))
        _ = try await database.store().claim(limit: 9, by: register())
        #expect(await complaints("misplaced") == [])
        try await database.query("update gloss.batch set paused = false")
        try await database.query("delete from gloss.parked_origin")
        #expect(
            await complaints("misplaced").map(\.message) == [
                "1 jobs are misplaced, job \(mine) first: its batch is not paused",
                "1 jobs are misplaced, job \(other) first: its host is not paused",
            ])
        try await database.advance(by: .seconds(60))
        _ = try await database.store().rescue()
        #expect(await complaints("misplaced") == [], "daemons look for them, too")
        #expect(try await database.query("select count(*) from gloss.ready").scalar == "2")
    }

    @Test func manyDeadJobs() async throws {
        let (admin, store) = (database.administration(), database.store())
        for _ in 0..<20 { _ = try await admin.enqueue(Samples.caption()) }
        let worker = try await store.register(Samples.worker())
        let jobs = try await store.claim(limit: 20, by: worker)
        let outcomes = jobs.indices.map { $0 < 10 ? Samples.completed() : Samples.failed(.permanent, code: "http_404") }
        _ = try await store.record(zip(jobs, outcomes).prefix(19).map { JobReport($0, $1) }, by: worker)
        #expect(await complaints("dead") == [], "nine dead jobs are not many")
        _ = try await store.record([JobReport(jobs[19], outcomes[19])], by: worker)
        let found = await complaints("dead")
        #expect(found.map(\.level) == [.error])
        #expect(
            found[0].message == "of the jobs that ended within an hour 10 are dead and 10 are done: 50 %, most of them "
                + "http_404")
        try await database.query("update gloss.dead_job set code = 'poison' where job_id = 20")
        #expect(
            await complaints("dead").last?.message == "1 jobs were quarantined within a day: daemons died with them")
        try await database.query("update gloss.dead_job set code = 'cancelled'")
        #expect(await complaints("dead") == [], "who cancels knows")
    }

    /// An adapter is what its name and its digest say together, on a model; jobs for one that nobody serves wait.
    @Test func adaptersAreComparedByNameAndDigest() async throws {
        let (base, other) = (String(repeating: "a", count: 64), String(repeating: "b", count: 64))
        let (shelves, newer) = (String(repeating: "c", count: 64), String(repeating: "d", count: 64))
        func serve(_ name: String, _ digest: String, _ adapters: [String: String]) async throws {
            var worker = Samples.worker(models: [name] + adapters.keys.sorted() + ["file", digest])
            worker.adapters = adapters
            _ = try await register(worker)
        }
        try await serve("tiny", base, ["shelves": shelves, "tags": shelves])
        try await serve("tiny", base, ["shelves": shelves])
        try await database.query("update gloss.registered_worker set heartbeat_at = now() + interval '1 hour'")
        #expect(await complaints("models") == [])
        #expect(await examine().first { $0.check == "models" }?.message == "served: shelves, tags, tiny")

        try await serve("tiny", base, ["shelves": newer])
        try await database.query("update gloss.registered_worker set heartbeat_at = now() + interval '1 hour'")
        var found = await complaints("models")
        #expect(found.map(\.level) == [.warning])
        var prefix = "the name shelves stands for different adapters, or adapters of different models: test (pid 1): "
        #expect(try #require(found.first).message.hasPrefix(prefix + "aaaaaaaaaaaa with cccccccccccc, "))
        #expect(found.first?.message.hasSuffix("aaaaaaaaaaaa with dddddddddddd") == true)
        #expect(found.first?.advice?.contains("(adapters)") == true)

        try await database.query("update gloss.registered_worker set stopped_at = now() where id = 3")
        #expect(await complaints("models") == [])
        try await serve("huge", other, ["tags": shelves])
        try await database.query("update gloss.registered_worker set heartbeat_at = now() + interval '1 hour'")
        found = await complaints("models")
        prefix = "the name tags stands for different adapters, or adapters of different models: "
        #expect(found.count == 1 && found[0].message.hasPrefix(prefix), "the same adapter on another model")

        try await database.query("update gloss.registered_worker set stopped_at = now() where id = 4")
        for name in ["shelves", "gone"] {
            try await database.query("select gloss.enqueue_caption('https://e.org/a', model => '\(name)')")
        }
        #expect(
            await complaints("models").map(\.message) == [
                "1 jobs of caption ask for the model gone, and no daemon that is alive serves them"
            ])
    }
}
