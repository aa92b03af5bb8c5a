import Foundation
import Storage
import TestSupport
import Testing

/// Follow-up questions of real processes: asked, recorded, and gone on with after a crash.
@Suite struct FollowUpTests {
    private static let root = GlossdProcess.fixtures.deletingLastPathComponent().deletingLastPathComponent()

    private static func server(_ folder: URL, _ names: [String]) throws -> LoopbackServer {
        var scripts: [String: LoopbackServer.Script] = [:]
        for name in names {
            let bytes = Array(try Data(contentsOf: folder.appending(path: name)))
            scripts["/\(name)"] = { $0.answer(200, bytes) }
        }
        return try LoopbackServer(scripts)
    }

    /// Enqueues an object whose questions are followed by others.
    private func enqueue(
        _ key: String, _ urls: [String], questions: [String], options: String, followUps: [String],
        in database: TestDatabase
    ) async throws {
        let list = { (texts: [String]) in "array['\(texts.joined(separator: "','"))']" }
        try await database.query(
            """
            select gloss.enqueue_multiview('\(key)', \(list(urls)), questions => \(list(questions)),
                batch => 'objects', follow_ups => \(list(followUps)), \(options))
            """)
    }

    /// The shipped model says what a thing is, and then what colour the thing has.
    @Test(.timeLimit(.minutes(5))) func theShippedModelAsksOn() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let views = ["view-0.jpg", "view-2.jpg", "view-5.jpg"]
        let server = try Self.server(Self.root.appending(path: "demo/images/objects/obj-0"), views)
        try await enqueue(
            "obj-0", views.map { server.url("/\($0)") }, questions: ["What is this?", "What type of object is this?"],
            options: "samples => 3, seed => 1", followUps: ["what colour is the {answer}?", "what colour is this?"],
            in: database)
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_MODEL"] = Self.root.appending(path: "models/gloss-shapes").path
        // On a busy machine nobody is taken for dead, and so nothing is done twice.
        settings["GLOSS_RESCUE_SECONDS"] = "120"
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'objects'", in: database, [daemon])
        let stages = try await database.query(
            "select stage, prompts, answer, views, questions, samples from gloss.multiview_stage order by stage"
        ).rows
        let thing = try #require(stages.first?[2])
        #expect(thing.contains("cube"))
        #expect(
            stages == [
                [
                    "1", "{\"answer en What is this?\",\"answer en What type of object is this?\"}", thing, "3", "2",
                    "3",
                ],
                ["2", "{\"answer en what colour is the \(thing)?\"}", "red", "3", "1", "3"],
                ["3", "{\"answer en what colour is this?\"}", "red", "3", "1", "3"],
            ])
        #expect(server.requests.count == 3, "each view is fetched once")
        try await eventually(
            "select (stages -> 'vision' ->> 'units')::int = 3 and (stages -> 'prefill' ->> 'units')::int = 12 "
                + "from gloss.worker", in: database, [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        #expect(
            try await database.query("select stages -> 'vision' ->> 'units' from gloss.worker").scalar == "3",
            "and seen once")
    }

    /// A daemon is killed between the stages: its heir asks nothing again that was kept, and the result is that of a job that nobody disturbed.
    @Test(.timeLimit(.minutes(10))) func aKillBetweenTheStages() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let views = ["rgb.png", "photo.jpg", "lossless.webp", "grey.png", "alpha.webp", "exif6.jpg"]
        let server = try Self.server(GlossdProcess.fixtures.appending(path: "images"), views)
        func enqueue(_ key: String) async throws {
            try await self.enqueue(
                key, views.map { server.url("/\($0)") }, questions: ["what?", "who?"],
                options: "samples => 8, max_tokens => 60, temperature => 2",
                followUps: ["where is the {answer}?", "when?", "why is the {answer}?"], in: database)
        }
        // Nothing of a further stage is kept, and no result is recorded, as long as this lock is held.
        try await database.query(
            """
            create function public.wait_for_the_test() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock(4711); return new; end $$
            """)
        try await database.query(
            """
            create trigger wait before insert on gloss.checkpoint for each row when (new.stage > 1)
            execute function public.wait_for_the_test()
            """)
        try await database.query(
            "create trigger wait before insert on gloss.annotation for each row execute function public.wait_for_the_test()"
        )
        let gate = database.session()
        _ = try await gate.query("select pg_advisory_lock(4711)")
        try await enqueue("killed")
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_THREADS"] = "1"
        let victim = try GlossdProcess(settings)
        try await eventually("select count(*) >= 6 from gloss.checkpoint", in: database, [victim])
        victim.signal(SIGKILL)
        #expect(await victim.wait() == -SIGKILL)
        // What it had asked for is undone with its sessions.
        try await eventually(
            """
            select bool_and(pg_terminate_backend(pid, 10000)) is not false from pg_stat_activity
            where datname = current_database() and usename = 'test_worker'
            """, in: database, [])
        await gate.close()
        let kept = try await database.query(
            "select count(*), coalesce(sum(case stage when 1 then 2 else 1 end), 0) from gloss.checkpoint"
        ).rows[0].map { Int($0 ?? "") ?? -1 }
        #expect(kept == [6, 12], "the first stage's views")

        let heir = try GlossdProcess(settings)
        try await eventually("select count(*) = 1 from gloss.multiview", in: database, [heir])
        let left = 6 * (2 + 3) - kept[1]
        try await eventually(
            "select (stages -> 'prefill' ->> 'units')::int = \(left) from gloss.worker where alive",
            in: database, [heir])
        try await enqueue("undisturbed")
        try await eventually("select count(*) = 2 from gloss.multiview", in: database, [heir])
        heir.signal(SIGTERM)
        #expect(await heir.wait() == 0)
        let different = try await database.query(
            """
            select count(distinct (s.prompts, s.answer, s.distribution, t.texts, t.responses, t.sums, t.tokens)), count(*)
            from gloss.multiview_stage s left join gloss.annotation_stage t on t.job_id = s.job_id and t.stage = s.stage
            """)
        #expect(different.rows == [["4", "8"]], "four stages, each twice the same")
    }
}
