import Foundation
import Storage
import TestSupport
import Testing

/// Several jobs about one image.
@Suite struct SharedImageTests {
    /// Four questions about one image are one request, and two of them see another background.
    @Test(.timeLimit(.minutes(5))) func fourJobsAreOneRequest() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let image = try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/alpha.webp"))
        let gate = Gate()
        let server = try LoopbackServer([
            "/alpha.webp": { exchange in
                gate.pass()
                exchange.answer(200, image)
            }
        ])
        try await database.query(
            """
            select count(gloss.enqueue_vqa('\(server.url("/alpha.webp"))', 'what is this?', key => i::text,
                background => case when i > 2 then '#000000' end, max_tokens => 4)) from generate_series(1, 4) i
            """)
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [server.port]))
        try await eventually("select count(*) = 4 from gloss.leased", in: database, [daemon])
        gate.open()
        try await eventually("select count(*) = 4 from gloss.result", in: database, [daemon])
        #expect(server.requests.count == 1)
        let rows = try await database.query("select key, sum_logprob from gloss.answer order by key").rows
        #expect(rows[0][1] == rows[1][1] && rows[2][1] == rows[3][1] && rows[0][1] != rows[2][1])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }
}
