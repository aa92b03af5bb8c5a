import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// What was lost and why, what to do about it, and the end of a batch.
@Suite struct FailuresTests {
    /// Three dead jobs and one that is done, all of a batch.
    private func queue() async throws -> (database: TestDatabase, tool: Tool) {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.enqueue_caption(format('https://%s.example/%s.jpg', case when g < 3 then 'a' else 'b' end, g),
                batch => 'my batch') from generate_series(1, 4) g
            """)
        let worker = Worker(database)
        let jobs = try await worker.claim()
        for (job, code) in zip(jobs, ["http_404", "http_404", "http_503"]) {
            try await worker.fail(job, code: code, reason: "\(code) it is")
        }
        try await worker.complete(jobs[3], [Worker.text("a cat")])
        return (database, Tool(database))
    }

    @Test func failuresAreListed() async throws {
        let (database, tool) = try await queue()
        let lines = try await tool("failures").output.split(separator: "\n")
        #expect(lines.count == 3 && lines[0].hasPrefix("DEAD  WAITING  CODE      HOST"), "\(lines)")
        #expect(
            lines[1].hasPrefix("   2        0  http_404  a.example  ") && lines[1].hasSuffix("    2  http_404 it is"))
        let json = try await Tool(database, as: .reader)(
            "failures", "--batch", "my batch", "--code", "http_5%", "--json"
        ).json()
        #expect(json.map { $0["host"] as? String } == ["b.example"])
        #expect(json.first?["image_url"] as? String == "https://b.example/3.jpg")
        #expect(try await tool("failures", "--host", "c.example").errors == "Nothing fails.\n")
    }

    @Test func retryCountsFirst() async throws {
        let (_, tool) = try await queue()
        let unasked = try await tool("retry", "--code", "http_4%", "--host", "A.example", "--batch", "my batch")
        #expect(
            unasked.status == 1
                && unasked.errors.hasPrefix(
                    "glossctl: This tries 2 dead jobs of batch \"my batch\" of host A.example with code http_4% again. "
                ))
        #expect(unasked.errors.hasSuffix("Nothing was changed: without a terminal, say --yes.\n"))
        let dry = try await tool("retry", "--code", "http_503", "--dry-run", "--json")
        #expect(dry.output == "{\"dry_run\":{\"retried\":1}}\n")
        let done = try await tool("retry", "--code", "http_404", "--yes")
        #expect(done.output == "2 jobs with code http_404 retried.\n", "\(done.errors)")
        #expect(try await tool("retry", "--all", "--yes", "--json").output == "{\"retried\":1}\n")
        let none = try await tool("retry", "--code", "htpp_404", "--yes")
        #expect(none.status == 1 && none.errors.contains("there is no code \"htpp_404\""))
    }

    private static let report = """
        batch "my batch": 4 jobs, 1 done, 3 dead.

        LOST
        DEAD  WAITING  CODE      HOST       LAST  JOB  REASON
           2        0  http_404  a.example  TIME    2  http_404 it is
           1        0  http_503  b.example  TIME    3  http_503 it is

        WHAT TO DO
        DEAD  CODE      HOSTS  ADVICE
           2  http_404      1  Correct the URL.
           1  http_503      1  It is retried.

        Once the reason is gone, to try again:
          glossctl retry --batch 'my batch' --code http_404
          glossctl retry --batch 'my batch' --code http_503

        """

    /// All that stands in a report but the times.
    private func timeless(_ text: String) -> String {
        text.replacing(#/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/#, with: "TIME").replacing(
            "LAST                 JOB", with: "LAST  JOB")
    }

    @Test func theEndOfABatch() async throws {
        let (_, tool) = try await queue()
        let ended = try await tool("wait", "--batch", "my batch")
        #expect(ended.status == 0 && timeless(ended.output) == Self.report, "\(ended.output) \(ended.errors)")
        #expect(try await timeless(tool("status", "--batch", "my batch").output) == Self.report)
        #expect(try await tool("wait", "--batch", "my batch", "--fail-on-dead").status == 2)
        let json = try #require(try await tool("status", "--batch", "my batch", "--json").json().first)
        #expect((json["batch"] as? [String: Any])?["dead"] as? Int == 3)
        let losses = try #require(json["losses"] as? [[String: Any]])
        #expect(losses.map { $0["retry"] as? String }.first == "glossctl retry --batch 'my batch' --code http_404")
        #expect((json["failures"] as? [[String: Any]])?.count == 2)
    }

    @Test func waitingHasAnEnd() async throws {
        let (_, tool) = try await queue()
        _ = try await tool("retry", "--code", "http_503", "--yes")
        let late = try await tool("wait", "--batch", "my batch", "--timeout", "0s")
        #expect(late.status == 124 && late.output.hasPrefix("batch \"my batch\": 4 jobs, 1 done, 2 dead, 1 left.\n"))
        #expect(late.errors == "glossctl: 1 job is left after 0 seconds\n")
    }

    /// The notification ends the wait, which would not look by itself for an hour.
    @Test func theNotificationEndsTheWait() async throws {
        let (database, tool) = try await queue()
        _ = try await tool("retry", "--code", "http_503", "--yes")
        async let wait = tool("wait", "--batch", "my batch", "--interval", "3600", "--json")
        let listening = """
            select count(*) from pg_stat_activity where query = 'listen gloss_batch_done' and datname = current_database()
            """
        while try await database.query(listening).scalar != "1" { await Task.yield() }
        let worker = Worker(database)
        let job = try #require(try await worker.claim().first)
        try await worker.complete(job, [Worker.text("a cat")])
        let ended = try await wait
        #expect(ended.status == 0, "\(ended.errors)")
        let batch = try #require(try ended.json().first?["batch"] as? [String: Any])
        #expect(batch["done"] as? Int == 2 && batch["left"] as? Int == 0)
    }
}
