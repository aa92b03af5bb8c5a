import Foundation
import Storage
import TestSupport
import Testing

/// A running job that is cancelled is really not worked on any more.
@Suite(.timeLimit(.minutes(5))) struct CancelTests {
    private let database: TestDatabase
    private let image: Data

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        image = try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/rgb.png"))
    }

    private func explanation(_ job: Int) async throws -> String {
        try await database.query("select string_agg(e, ' ') from gloss.explain(\(job)) e").scalar ?? ""
    }

    /// The connection to the image's host is closed with the next heartbeat, not at the fetch's time-out a minute later: the server waits for less than that.
    @Test func theFetchEnds() async throws {
        let (hangUps, hangUp) = AsyncStream.makeStream(of: Bool.self)
        let server = try LoopbackServer(["/slow.png": { hangUp.yield($0.waitForHangUp(milliseconds: 50_000)) }])
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [server.port]))
        try await database.query("select gloss.enqueue_caption('\(server.url("/slow.png"))', key => 'k')")
        try await eventually(
            "select string_agg(e, ' ') like '%and is fetching its images%' from gloss.explain(1) e", in: database,
            [daemon])
        while server.requests.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
        try await database.query("select gloss.cancel(key => 'k')", as: .admin)
        #expect(try await database.query("select count(*) from gloss.leased").scalar == "0")
        #expect(await hangUps.first { _ in true } == true)
        try await eventually(
            "select phases = '{}' from gloss.registered_worker", in: database, [daemon], within: .seconds(30))
        #expect(try await explanation(1).contains("cancelled by test_admin"))
        #expect(try await database.query("select string_agg(outcome, ',') from gloss.attempt").scalar == "cancelled")
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }

    /// Minutes of computing end with the next heartbeat: what was enqueued later is done soon, and of the cancelled jobs nothing is recorded.
    @Test func theComputingEnds() async throws {
        let image = image
        let server = try LoopbackServer(["/rgb.png": { $0.answer(200, image) }])
        try await database.query(
            """
            select count(gloss.enqueue_caption('\(server.url("/rgb.png"))', batch => 'long', key => i::text, max_tokens => 200,
                samples => 64, temperature => 2)) from generate_series(1, 300) i
            """)
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [server.port]))
        try await eventually(
            "select coalesce(sum((stages -> 'extend' ->> 'units')::int), 0) > 0 from gloss.worker", in: database,
            [daemon])
        #expect(try await database.query("select count(*) > 0 from gloss.leased").scalar == "t")
        try await database.query("select gloss.cancel(batch => 'long')", as: .admin)
        let done = try await database.query("select count(*) from gloss.result").scalar ?? ""
        try await database.query(
            "select gloss.enqueue_caption('\(server.url("/rgb.png"))', key => 'next', max_tokens => 3)")
        try await eventually(
            "select count(*) = 1 from gloss.caption where key = 'next'", in: database, [daemon], within: .seconds(60))
        // A model that has nothing to do says so once a second.
        try await eventually(
            """
            select (w.stages -> 'idle' ->> 'units')::int > 2 and i.phases = '{}' and w.running = 0
            from gloss.worker w join gloss.registered_worker i on i.id = w.worker
            """, in: database, [daemon], within: .seconds(60))
        let end = try await database.query(
            """
            select (select count(*) - 1 from gloss.result), (select count(*) from gloss.dead where code = 'cancelled')
                + (select count(*) - 1 from gloss.result), (select count(*) from gloss.misplaced_job), (select count(*) from gloss.leased)
            """)
        #expect(end.rows == [[done, "300", "0", "0"]], "nothing of the cancelled jobs was recorded")
        #expect(daemon.output.contains("leases lost: cancelled"))
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }
}
