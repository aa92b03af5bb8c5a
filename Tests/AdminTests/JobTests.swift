import Foundation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct JobTests {
    private func queue() async throws -> (database: TestDatabase, tool: Tool) {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.enqueue_caption('https://a.example/1.jpg', key => 'one', batch => 'b'),
                   gloss.enqueue_vqa('https://a.example/2.jpg', 'why?', key => 'two', batch => 'b'),
                   gloss.enqueue_caption('https://a.example/3.jpg', key => 'three')
            """)
        return (database, Tool(database))
    }

    private func keys(_ run: Tool.Run) throws -> [String] { try run.json().compactMap { $0["key"] as? String } }

    @Test func filters() async throws {
        let (_, tool) = try await queue()
        #expect(try keys(try await tool("jobs", "--json")) == ["three", "two", "one"])
        #expect(try keys(try await tool("jobs", "--json", "--batch", "b", "--task", "vqa")) == ["two"])
        #expect(try keys(try await tool("jobs", "--json", "--key", "one", "--state", "ready")) == ["one"])
        #expect(try keys(try await tool("jobs", "--json", "--state", "dead")) == [])
        #expect(try keys(try await tool("jobs", "--json", "--limit", "1")) == ["three"])
        let bad = try await tool("jobs", "--state", "lost")
        #expect(bad.status == 1)
        #expect(bad.errors.contains("state must be ready, scheduled"))
        let part = try await tool("jobs", "--json", "--limit", "1")
        #expect(part.errors == "1 of 3 jobs. The next ones: --before 3\n")
        let rest = try await tool("jobs", "--limit", "1", "--before", "3")
        #expect(rest.errors == "1 of 2 jobs. The next ones: --before 2\n")
        #expect(try await tool("jobs", "--limit", "3").errors == "")
        let table = try await tool("jobs", "--batch", "b").output.split(separator: "\n")
        #expect(table.count == 3)
        #expect(table[0].hasPrefix("JOB  TASK     STATE"))
    }

    @Test func oneJobSaysWhyItWaits() async throws {
        let (_, tool) = try await queue()
        let text = try await tool("job", "1")
        #expect(text.status == 0, "\(text.errors)")
        #expect(text.output.contains("job 1 (caption, key \"one\", batch \"b\") is ready\n"))
        #expect(text.output.contains("no daemon is alive"))
        let json = try #require(try await tool("job", "1", "--json").json().first)
        #expect(json["state"] as? String == "ready")
        #expect(json["image_urls"] as? [String] == ["https://a.example/1.jpg"])
        #expect((json["spec"] as? [String: Any])?["style"] as? String == "caption")
        #expect((json["explanation"] as? [String])?.count == 3)
        #expect(json["result"] is NSNull)
        let missing = try await tool("job", "99")
        #expect(missing.status == 1)
        #expect(missing.errors == "glossctl: there is no job 99\n")
    }

    @Test func oneJobTellsWhatHappenedToIt() async throws {
        let (database, tool) = try await queue()
        let store = Worker(database)
        let job = try #require(try await store.claim().first)
        try await store.fail(job, code: "http_404", reason: "a.example answered 404")
        let json = try #require(try await tool("job", "\(job.id)", "--json").json().first)
        #expect(json["state"] as? String == "dead")
        #expect(json["reason"] as? String == "a.example answered 404")
        let history = try #require(json["history"] as? [[String: Any]])
        #expect(history.map { $0["code"] as? String } == ["http_404"])
        let text = try await tool("job", "\(job.id)").output
        #expect(text.contains("attempt 1 failed at "))
    }

    @Test func cancelAndRetry() async throws {
        let (_, tool) = try await queue()
        let cancelled = try await tool("cancel", "1")
        #expect(cancelled.status == 0)
        #expect(cancelled.output == "1 job cancelled.\n")
        let again = try await tool("cancel", "1", "99")
        #expect(again.status == 1)
        #expect(
            again.errors
                == "glossctl: job 1 is dead: only jobs that are neither done nor dead are cancelled;"
                + " there is no job 99\n"
        )
        #expect(try await tool("cancel", "--batch", "b", "--json", "--yes").output == "{\"cancelled\":1}\n")
        #expect(try await tool("retry", "--batch", "b", "--yes").output == "2 jobs of batch \"b\" retried.\n")
        let alive = try await tool("retry", "3")
        #expect(alive.status == 1)
        #expect(alive.errors == "glossctl: job 3 is ready: only dead jobs are retried\n")
        #expect(try await tool("cancel", "--all", "-y").output == "3 jobs of the whole queue cancelled.\n")
        #expect(try await tool("retry", "--task", "caption", "--json", "-y").output == "{\"retried\":2}\n")
    }

    @Test func pauseAndResume() async throws {
        let (database, tool) = try await queue()
        let worker = Worker(database)
        let paused = try await tool("pause", "--batch", "b")
        #expect(paused.output == "Paused batch \"b\". Jobs that workers hold run on.\n")
        #expect(try await tool("jobs", "--json", "--state", "paused").json().count == 2)
        #expect(try await worker.claim().map(\.key) == ["three"])
        #expect(try await tool("resume", "--batch", "b", "--json").output == "{\"resumed\":{\"batch\":\"b\"}}\n")
        #expect(try await tool("pause", "--all").output.hasPrefix("Paused the whole queue."))
        #expect(try await worker.claim().isEmpty)
        #expect(try await tool("resume", "--all").status == 0)
        #expect(try await tool("pause", "--task", "caption").status == 0)
        #expect(try await worker.claim().map(\.key) == ["two"])
        let missing = try await tool("pause", "--batch", "nope")
        #expect(missing.status == 1)
        #expect(missing.errors.contains("there is no batch \"nope\""))
    }

    @Test func pausesAHost() async throws {
        let (database, tool) = try await queue()
        let paused = try await tool("pause", "--host", "a.example")
        #expect(paused.output == "Paused host a.example. Jobs that workers hold run on.\n", "\(paused.errors)")
        #expect(try await Worker(database).claim().isEmpty)
        #expect(try await tool("status").output.contains("a.example  paused  paused by test_admin\n"))
        #expect(
            try await tool("resume", "--host", "a.example", "--json").output
                == "{\"resumed\":{\"host\":\"a.example\"}}\n")
        #expect(try await Worker(database).claim().count == 3)
        let again = try await tool("resume", "--host", "a.example")
        #expect(again.status == 1 && again.errors.contains("is neither paused nor parked"))
    }

    @Test func rerunForgetAndPrune() async throws {
        let (database, tool) = try await queue()
        let worker = Worker(database)
        for job in try await worker.claim() {
            try await worker.complete(job, [Worker.text("a cat")])
        }
        #expect(try await tool("rerun", "1").output == "1 job rerun.\n")
        let running = try await tool("rerun", "1")
        #expect(running.status == 1)
        #expect(running.errors == "glossctl: job 1 is ready: only jobs that are done or dead are rerun\n")
        #expect(try await tool("forget", "2", "--json", "--yes").output == "{\"forgotten\":1}\n")
        #expect(
            try await tool("forget", "1", "--yes").errors
                == "glossctl: job 1 is ready: only jobs that have ended are forgotten\n")
        #expect(try await tool("forget", "--all").status == 64)
        let pruned = try await tool("prune", "--keep-results", "0 days", "--yes")
        #expect(pruned.output == "Deleted: 1 results, 0 dead jobs, 0 attempts, 0 keys.\n", "\(pruned.errors)")
        #expect(
            try await tool("prune", "--json", "--yes").output
                == "{\"attempts\":0,\"dead\":0,\"keys\":0,\"results\":0}\n")
        #expect(
            try await tool("jobs", "--state", "pruned", "--json").json().compactMap { $0["key"] as? String } == [
                "three"
            ])
        for time in ["soon", "90", "5m", "-1 days", "1 day 2"] {
            let bad = try await tool("prune", "--keep-dead=\(time)", "--yes")
            #expect(bad.status == 64 && bad.errors.contains("is no time with a unit"), "\(time): \(bad.errors)")
        }
    }

    @Test(arguments: [
        ["retry"], ["cancel", "1", "--all"], ["pause", "--host", "a", "--all"], ["rerun"],
        ["pause", "--all", "--task", "vqa"], ["resume"], ["retry", "17", "--code", "timeout"],
        ["retry", "--all", "--host", "a"], ["status", "--watch", "--batch", "b"], ["wait"],
        ["wait", "--batch", "b", "--timeout", "90"], ["wait", "--batch", "b", "--timeout", "2 months"],
    ])
    func aSelectionIsOneThing(arguments: [String]) async throws {
        #expect(try await Tool.run(Tool.path, arguments).status == 64)
    }

    // MARK: Status

    @Test func statusShowsAllThatIsThere() async throws {
        let (database, tool) = try await queue()
        let worker = Worker(database)
        let job = try #require(try await worker.claim(1).first)
        try await worker.fail(job, code: "http_404", reason: "a.example answered 404")
        try await worker.park("https://b.example")
        let json = try #require(try await tool("status", "--json").json().first)
        func rows(_ name: String) -> [[String: Any]] { json[name] as? [[String: Any]] ?? [] }
        #expect(rows("depth").map { $0["task"] as? String } == ["caption", "vqa"])
        #expect(rows("depth").map { $0["dead"] as? Int } == [1, 0])
        #expect(rows("batches").map { $0["total"] as? Int } == [2])
        #expect(rows("workers").map { $0["host"] as? String } == ["test"])
        #expect(rows("hosts").map { $0["host"] as? String } == ["https://b.example"])
        #expect(rows("errors").map { $0["code"] as? String } == ["http_404"])
        let text = try await tool("status").output
        for section in ["QUEUE\n", "BATCHES\n", "WORKERS\n", "PARKED HOSTS\n", "ERRORS of"] {
            #expect(text.contains(section))
        }
        #expect(!text.contains("\u{1B}"))
    }

    @Test func aBatchWithoutJobsIsShown() async throws {
        let (database, tool) = try await queue()
        try await database.query(
            "select gloss.enqueue_caption('https://a.example/1.jpg', key => 'one', batch => 'empty')")
        let json = try #require(try await tool("status", "--json").json().first)
        let batches = try #require(json["batches"] as? [[String: Any]])
        #expect(Set(batches.map { $0["batch"] as? String }) == ["b", "empty"])
        #expect(try await tool("status").output.contains("empty"))
    }

    @Test func anEmptyQueueSaysSo() async throws {
        let tool = Tool(try await PrivatePostgres.shared.makeDatabase(), as: .reader)
        let text = try await tool("status").output
        #expect(text.hasPrefix("No job has been enqueued yet.\n"))
    }

    @Test func watchGoesOnUntilNobodyReads() async throws {
        let (database, _) = try await queue()
        let command = "\"$0\" status --watch --interval 0.1 --json --database \"$1\" | head -n 3"
        let run = try await Tool.run("/bin/sh", ["-c", command, Tool.path, database.conninfo(as: .reader)])
        #expect(try run.json().count == 3)
    }
}
