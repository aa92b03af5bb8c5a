import Foundation
import Storage
import TestSupport
import Testing

/// Several daemons and one queue.
@Suite struct SharedWorkTests {
    private func scalar(_ database: TestDatabase, _ sql: String) async throws -> Double {
        Double(try await database.query("select (\(sql))").scalar ?? "") ?? .nan
    }

    /// 64 objects of 8 views are work for two daemons to the end, and what is urgent overtakes them.
    ///
    /// Nothing here depends on how fast either daemon is: images come with the jobs, and what is bounded is what a daemon
    /// may hold.
    @Test(.timeLimit(.minutes(10))) func twoDaemonsShareObjects() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let image = try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/rgb.png")).base64EncodedString()
        let views = "array_fill('data:image/png;base64,\(image)'::text, array[8])"
        var settings = GlossdProcess.settings(database, ports: [80])
        settings["GLOSS_THREADS"] = "1"
        settings["GLOSS_CLAIM_AHEAD_SECONDS"] = "0"
        settings["GLOSS_FETCH_DATA_URLS"] = "true"
        // On a busy machine nobody is taken for dead, and no claim's answer takes as long as two heartbeats.
        (settings["GLOSS_RESCUE_SECONDS"], settings["GLOSS_HEARTBEAT_SECONDS"]) = ("120", "20")
        let daemons = [try GlossdProcess(settings), try GlossdProcess(settings)]
        try await eventually("select count(*) = 2 from gloss.worker where alive", in: database, daemons)
        try await database.query(
            """
            select count(gloss.enqueue_multiview(i::text, \(views), batch => 'objects', max_tokens => 16,
                temperature => 2)) from generate_series(1, 64) i
            """)
        try await eventually("select count(*) >= 20 from gloss.result", in: database, daemons, within: .seconds(500))
        let before = try await scalar(database, "extract(epoch from clock_timestamp())")
        try await database.query(
            "select gloss.enqueue_multiview('urgent', \(views), priority => -100, max_tokens => 16, temperature => 2)")
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'objects'", in: database, daemons,
            within: .seconds(500))
        try await eventually(
            "select count(*) = 1 from gloss.multiview where key = 'urgent'", in: database, daemons,
            within: .seconds(500))
        // Its daemon finishes what it computes, and at most one more that it had begun beside it.
        let overtaken = try await scalar(
            database,
            """
            select count(*) from gloss.annotation a, gloss.annotation u join gloss.job k on k.id = u.job_id
            where k.key = 'urgent' and a.worker = u.worker and a.finished_at < u.finished_at
                and a.finished_at > to_timestamp(\(before))
            """)
        #expect(overtaken <= 3, "its daemon did \(overtaken) objects before the urgent one")
        // A daemon finds nothing more to do when the other one holds all that is left.
        let ends = try await database.query("select count(*) from gloss.annotation group by worker").rows
        #expect(ends.count == 2, "both have worked: \(ends)")
        let left = try await scalar(
            database,
            """
            select count(*) from gloss.annotation where finished_at >
                (select min(last) from (select max(finished_at) as last from gloss.annotation group by worker) ends)
            """)
        #expect(left <= 3, "one daemon had \(left) objects left when the other one had none")
        for daemon in daemons { daemon.signal(SIGTERM) }
        for daemon in daemons { #expect(await daemon.wait() == 0) }
        let attempts = try await database.query(
            "select outcome, cause, code, reason, count(*) from gloss.attempt group by 1, 2, 3, 4 order by 1, 2, 3, 4")
        #expect(attempts.rows == [], "nothing was given back")
    }

    /// Two daemons are killed in the middle, one after the other: only jobs that their engines had begun count a rescue.
    @Test(.timeLimit(.minutes(5))) func aKillIsHeldAgainstBegunJobsAlone() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (gate, image) = (Gate(), try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/rgb.png")))
        let server = try LoopbackServer([
            "/rgb.png": { $0.answer(200, image) },
            "/held.png": {
                gate.pass()
                $0.answer(200, image)
            },
        ])
        // A long one that the engine begins, and some whose images are on the way.
        try await database.query(
            """
            select gloss.enqueue_caption('\(server.url("/rgb.png"))', key => 'long', max_tokens => 200, samples => 64,
                temperature => 2, priority => -1)
            """)
        try await database.query(
            "select count(gloss.enqueue_caption('\(server.url("/held.png"))', key => i::text, max_tokens => 3)) from generate_series(1, 5) i"
        )
        let settings = GlossdProcess.settings(database, ports: [server.port])
        let victim = try GlossdProcess(settings)
        try await eventually(
            "select count(*) filter (where begun_at is not null) > 0 and count(*) filter (where begun_at is null) > 0 from gloss.leased",
            in: database, [victim])
        victim.signal(SIGKILL)
        _ = await victim.wait()
        let begun = try await scalar(database, "select count(*) from gloss.leased where begun_at is not null")
        gate.open()
        let heir = try GlossdProcess(settings)
        try await eventually("select count(*) = 6 from gloss.result", in: database, [heir], within: .seconds(100))
        #expect(try await scalar(database, "select count(*) from gloss.annotation where rescues > 0") == begun)
        heir.signal(SIGTERM)
        #expect(await heir.wait() == 0)
    }
}
