import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

/// `glossctl resume --host` and the daemons that leave the host alone.
@Suite struct ResumedHostTests {
    /// A host asks for an hour's patience, also of those whom a redirect leads there. Somebody resumes it: its jobs go on at once.
    @Test(.timeLimit(.minutes(5))) func jobsOfAResumedHostGoOn() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let photo = Array(try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/photo.jpg")))
        let isBusy = Mutex(true)
        let busy = try LoopbackServer(
            host: "127.0.0.6",
            ["/photo.jpg": { $0.answer(isBusy.withLock { $0 } ? 429 : 200, photo, headers: ["Retry-After: 3600"]) }])
        let target = busy.url("/photo.jpg")
        let other = try LoopbackServer(host: "127.0.0.7", ["/leads": { $0.redirect(to: target) }])
        let daemons = try (0..<2).map { _ in
            try GlossdProcess(GlossdProcess.settings(database, ports: [busy.port, other.port]))
        }
        for index in 0..<20 {
            let url = index % 2 == 0 ? target : other.url("/leads")
            try await database.query("select gloss.enqueue_caption('\(url)?\(index)', max_attempts => 1)")
        }
        try await eventually("select count(*) = 20 from gloss.scheduled", in: database, daemons)
        isBusy.withLock { $0 = false }
        let resumed = try await GlossctlRun(["resume", "--host", "127.0.0.6", "--database", database.conninfo()])
        #expect(resumed.status == 0, "\(resumed.errors)")
        try await eventually("select count(*) = 20 from gloss.result", in: database, daemons)
        #expect(try await database.query("select count(*) from gloss.attempt where outcome = 'failed'").scalar == "0")
    }
}
