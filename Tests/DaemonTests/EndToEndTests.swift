import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

/// Real processes, a real PostgreSQL, real HTTP, a real model: what an operator would see.
@Suite struct EndToEndTests {
    private static func fixture(_ name: String) -> [UInt8] {
        Array((try? Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/\(name)"))) ?? Data())
    }

    private static let names = ["rgb.png", "photo.jpg", "lossless.webp", "grey.png", "alpha.webp", "exif6.jpg"]

    /// `gate`: so many requests are answered before it opens.
    private static func imageServer(host: String = "127.0.0.1", gate: (Gate, after: Int)? = nil) throws
        -> LoopbackServer
    {
        var scripts: [String: LoopbackServer.Script] = [:]
        let count = Atomic(0)
        for name in names {
            let bytes = fixture(name)
            scripts["/\(name)"] = { exchange in
                if let gate, count.add(1, ordering: .relaxed).oldValue >= gate.after { gate.0.pass() }
                exchange.answer(200, bytes)
            }
        }
        return try LoopbackServer(host: host, scripts)
    }

    /// 1,000 mixed jobs; one daemon is killed with SIGKILL in the middle, another takes over, PostgreSQL is restarted.
    @Test(.timeLimit(.minutes(10))) func nothingIsLostAndNothingDoubled() async throws {
        let postgres = PrivatePostgres()
        let database = try await postgres.makeDatabase()
        // Until the gate opens some jobs are not done: the first daemon is killed before it is.
        let gate = Gate()
        let server = try Self.imageServer(gate: (gate, after: 400))
        try await database.query(
            """
            insert into gloss.inbox (task, image_urls, texts, key, batch, max_tokens, samples, temperature, seed)
            select t.task,
                case when t.task = 'multiview' then urls || urls[1:2] else array[urls[i % 6 + 1] || '?' || t.task || i] end,
                case t.task when 'vqa' then array['what is this?'] when 'detect' then array['cat', 'dog']
                    when 'multiview' then array['What is this?', 'What type of object is this?'] end,
                t.task || '-' || i, 'all', 6, case when t.task = 'multiview' then 3 else 1 end,
                case when t.task = 'multiview' then 1 else 0 end, 5
            from generate_series(1, 330) i, (values ('caption'), ('vqa'), ('detect'), ('multiview')) t (task),
                (select array_agg(format('\(server.url(""))/%s', name) order by name) as urls
                 from unnest(array['\(Self.names.joined(separator: "','"))']) name) u
            where t.task <> 'multiview' or i <= 20
            """)
        let total = 330 * 3 + 20
        let settings = GlossdProcess.settings(database, ports: [server.port])

        let victim = try GlossdProcess(settings)
        try await eventually("select count(*) > 150 from gloss.result", in: database, [victim])
        victim.signal(SIGKILL)
        #expect(await victim.wait() == -SIGKILL)
        #expect(try await database.query("select count(*) < \(total) from gloss.result").scalar == "t")
        gate.open()

        let heir = try GlossdProcess(settings)
        try await eventually("select count(*) > 500 from gloss.result", in: database, [heir])
        try await postgres.stop()
        try await postgres.start()
        try await eventually("select \"left\" = 0 from gloss.batch_progress where batch = 'all'", in: database, [heir])
        heir.signal(SIGTERM)
        #expect(await heir.wait() == 0, "\(heir.output.suffix(2000))")

        func scalar(_ sql: String) async throws -> String? { try await database.query(sql).scalar }
        #expect(try await scalar("select count(*) from gloss.job") == "\(total)")
        #expect(
            try await scalar("select count(*) from gloss.misplaced_job") == "0", "every job is in exactly one state")
        #expect(try await scalar("select count(*) from gloss.result") == "\(total)", "one result for each")
        #expect(try await scalar("select count(distinct job_id) from gloss.result") == "\(total)")
        #expect(try await scalar("select count(*) from gloss.dead") == "0")
        // The same image, prompt and settings gave the same bits, before and after the kill, whatever else was in the batch.
        let different = try await scalar(
            """
            select count(*) from (
                select split_part(image_url, '?', 1), count(distinct (caption, sum_logprob)) as n from gloss.caption
                group by 1) g where n <> 1
            """)
        #expect(different == "0")
        #expect(try await scalar("select count(distinct (answer, probability)) from gloss.multiview") == "1")
    }

    /// What can't be done is dead with its reason, and the daemon goes on.
    @Test(.timeLimit(.minutes(5))) func badInputIsDeadWithItsReason() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let forbidden = try Self.imageServer()  // on 127.0.0.1: this daemon may only reach 127.0.0.5
        let photo = Self.fixture("photo.jpg")
        let huge = PNGWriter(width: 30_000, height: 30_000, rows: [[0, 0, 0]]).bytes
        let target = forbidden.url("/rgb.png")
        let wasCut = Mutex(false)
        let server = try LoopbackServer(
            host: "127.0.0.5",
            [
                // Cut once, and nothing says where it ends.
                "/late.jpg": { exchange in
                    let isWhole = wasCut.withLock { cut in
                        defer { cut = true }
                        return cut
                    }
                    exchange.send(
                        Array("HTTP/1.1 200 OK\r\n\r\n".utf8) + photo.prefix(isWhole ? photo.count : photo.count / 2))
                    exchange.end()
                },
                "/good.jpg": { $0.answer(200, photo) },
                "/page.jpg": { $0.answer(200, "<!doctype html><title>no image</title>") },
                "/cut.jpg": { $0.answer(200, photo.prefix(photo.count / 2)) },
                "/huge.png": { $0.answer(200, huge) },
                "/inward": { $0.redirect(to: target) },
                "/busy": { $0.answer(500, "busy") },
            ])
        let cases: [(key: String, url: String, words: [String])] = [
            ("missing", server.url("/nothing"), ["404"]),
            ("page", server.url("/page.jpg"), ["not an image", "HTML"]),
            ("cut", server.url("/cut.jpg"), ["truncated"]),
            ("huge", server.url("/huge.png"), ["30000 × 30000"]),
            ("metadata", "http://169.254.169.254:\(server.port)/latest", ["169.254.169.254", "link-local"]),
            ("port", "http://169.254.169.254/latest", ["port 80"]),
            ("inward", server.url("/inward"), ["127.0.0.1", "redirect"]),
            ("busy", server.url("/busy"), ["500"]),
        ]
        for (key, url, _) in cases {
            _ = try await database.query(
                "select gloss.enqueue_caption($1, key => $2, batch => 'bad', max_attempts => 1)",
                [SQLValue(url), SQLValue(key)])
        }
        _ = try await database.query(
            "select gloss.enqueue_caption($1, key => 'good', batch => 'bad', max_tokens => 4)",
            [SQLValue(server.url("/good.jpg"))])
        _ = try await database.query(
            "select gloss.enqueue_caption($1, key => 'late', batch => 'bad', max_tokens => 4)",
            [SQLValue(server.url("/late.jpg"))])
        let daemon = try GlossdProcess(
            GlossdProcess.settings(database, ports: [server.port, forbidden.port], networks: "127.0.0.5/32"))
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'bad'", in: database, [daemon])
        for (key, _, words) in cases {
            let reason =
                try await database.query("select reason from gloss.dead where key = $1", [SQLValue(key)]).scalar
                ?? "none"
            for word in words { #expect(reason.contains(word), "\(key): \(reason)") }
        }
        let done = try await database.query("select string_agg(key, ',' order by key) from gloss.caption").scalar
        #expect(done == "good,late")
        #expect(forbidden.requests.isEmpty)
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }

    /// SIGTERM, and SIGHUP of a terminal that closes: what is being computed is recorded, the rest goes back, nobody waits for a rescue.
    @Test(.timeLimit(.minutes(5)), arguments: [SIGTERM, SIGHUP]) func stopDrains(signal: Int32) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let server = try Self.imageServer()
        _ = try await database.query(
            """
            select count(gloss.enqueue_caption('\(server.url("/rgb.png"))', key => i::text, max_tokens => 40))
            from generate_series(1, 3000) i
            """)
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [server.port]))
        try await eventually("select count(*) > 20 from gloss.result", in: database, [daemon])
        daemon.signal(signal)
        #expect(await daemon.wait() == 0, "\(daemon.output.suffix(2000))")
        for known in ["instruction_set=", "precision=", "product_gops="] {
            #expect(daemon.output.contains(known), "\(daemon.output)")
        }
        let left = try await database.query(
            """
            select (select count(*) from gloss.job_state where state = 'leased'),
                (select count(*) from gloss.job_state where state = 'ready') + (select count(*) from gloss.result),
                (select count(*) from gloss.misplaced_job), (select count(*) from gloss.worker where alive)
            """)
        #expect(left.rows == [["0", "3000", "0", "0"]])
    }

    /// A host that does not answer holds up its own job, and no other.
    @Test(.timeLimit(.minutes(5))) func aSlowHostHoldsUpNobodyElse() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let server = try Self.imageServer()
        let (gate, bytes) = (DispatchSemaphore(value: 0), Self.fixture("photo.jpg"))
        let slow = try LoopbackServer(
            host: "127.0.0.2",
            [
                "/photo.jpg": { exchange in
                    gate.wait()
                    exchange.answer(200, bytes)
                }
            ])
        try await database.query(
            """
            select gloss.enqueue_caption('\(slow.url("/photo.jpg"))', key => 'slow', max_tokens => 4);
            """)
        try await database.query(
            """
            select count(gloss.enqueue_caption('\(server.url("/rgb.png"))', key => i::text, max_tokens => 4))
            from generate_series(1, 60) i
            """)
        var settings = GlossdProcess.settings(database, ports: [server.port, slow.port])
        settings["GLOSS_MAX_JOBS"] = "8"
        let daemon = try GlossdProcess(settings)
        defer { gate.signal() }  // also when it fails: the server's thread waits
        try await eventually("select count(*) = 60 from gloss.result", in: database, [daemon])
        #expect(try await database.query("select state from gloss.job_state where key = 'slow'").scalar == "leased")
        gate.signal()
        try await eventually("select count(*) = 61 from gloss.result", in: database, [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }

    /// What was late because this daemon stood still is no host's fault, and costs no job an attempt.
    @Test(.timeLimit(.minutes(10))) func aStandstillIsNobodysFault() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let (gate, bytes) = (Gate(), Self.fixture("photo.jpg"))
        let asking = Mutex<GlossdProcess?>(nil)
        let (stops, stop) = AsyncStream.makeStream(of: Void.self)
        let server = try LoopbackServer([
            "/photo.jpg": { exchange in
                // The daemon stands still from the moment in which it has asked.
                if let daemon = asking.withLock({ $0.take() }) {
                    daemon.signal(SIGSTOP)
                    stop.yield()
                }
                gate.pass()
                exchange.answer(200, bytes)
            }
        ])
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_FETCH_TIMEOUT_SECONDS"] = "10"
        let daemon = try GlossdProcess(settings)
        asking.withLock { $0 = daemon }
        try await database.query("select gloss.enqueue_caption('\(server.url("/photo.jpg"))', max_attempts => 1)")
        for await _ in stops.prefix(1) {}
        let stopped = try #require(try await database.query("select clock_timestamp()").scalar)
        try await eventually("clock_timestamp() > '\(stopped)'::timestamptz + interval '11 s'", in: database, [daemon])
        daemon.signal(SIGCONT)
        try await eventually(
            "select count(*) = 1 from gloss.attempt where outcome = 'released' and reason like 'this process stood still%'",
            in: database, [daemon])
        // At once it is tried again, and the host answers.
        gate.open()
        try await eventually("select count(*) = 1 from gloss.result", in: database, [daemon])
        #expect(try await database.query("select count(*) from gloss.parked_origin").scalar == "0")
    }

    /// When the time to stop is over, nobody waits for what is being computed: here, minutes of it.
    @Test(.timeLimit(.minutes(5))) func theEndOfADrainIsPrompt() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let server = try Self.imageServer()
        try await database.query(
            """
            select count(gloss.enqueue_caption('\(server.url("/rgb.png"))', key => i::text, max_tokens => 200,
                samples => 64, temperature => 2)) from generate_series(1, 300) i
            """)
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_DRAIN_SECONDS"] = "0"
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select coalesce(sum((stages -> 'prefill' ->> 'units')::int), 0) > 0 from gloss.worker", in: database,
            [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0, "\(daemon.output.suffix(2000))")
        let left = try await database.query(
            """
            select (select count(*) from gloss.leased), (select count(*) from gloss.result) < 300,
                (select count(*) from gloss.misplaced_job), (select max(attempts) from gloss.ready)
            """)
        #expect(left.rows == [["0", "t", "0", "0"]])
    }

    /// All connections of a daemon, the listening one too, go through TLS: the next look into the queue would be an hour later.
    @Test(.timeLimit(.minutes(5))) func worksThroughTLS() async throws {
        let (authority, port) = (try await PrivateCA(), try LoopbackServer([:]).port)
        let postgres = PrivatePostgres(port: port, options: try await authority.serverOptions(for: "db.gloss.test"))
        let database = try await postgres.makeDatabase()
        let server = try Self.imageServer()
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_DATABASE"] =
            "postgresql://test_worker@db.gloss.test:\(port)/\(database.name)?hostaddr=127.0.0.1&sslmode=verify-full"
            + "&sslrootcert=\(authority.certificate)"
        settings["GLOSS_POLL_SECONDS"] = "3600"
        let daemon = try GlossdProcess(settings)
        try await eventually(
            """
            select count(*) = 3 and bool_and(s.ssl) from pg_stat_ssl s join pg_stat_activity a using (pid)
            where a.application_name = 'glossd' and (a.query like '%listen%' or a.query like '%gloss.%')
            """, in: database, [daemon])
        try await database.query("select gloss.enqueue_caption('\(server.url("/rgb.png"))', max_tokens => 3)")
        try await eventually("select count(*) = 1 from gloss.result", in: database, [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        try await postgres.stop()
    }

    @Test func startUpErrorsSayWhatAndWhy() async throws {
        let model = GlossdProcess.fixtures.appending(path: "tiny/model").path
        let wrong: [(settings: [String: String], status: Int32, words: [String])] = [
            ([:], 78, ["GLOSS_MODEL", "is missing"]),
            (["GLOSS_MODEL": model, "GLOSS_THREADS": "many"], 78, ["threads", "whole number"]),
            (["GLOSS_MODEL": model, "GLOSS_MAX_JOBS": "0"], 78, ["max_jobs", "1 to 1024"]),
            (["GLOSS_MODEL": model, "GLOSS_BATHC_SIZE": "1"], 78, ["GLOSS_BATHC_SIZE", "not known"]),
            (["GLOSS_MODEL": model, "GLOSS_FETCH_NETWORKS": "10.0.0.0/33"], 78, ["10.0.0.0/33"]),
            (["GLOSS_MODEL": "/nowhere"], 70, ["/nowhere/config.json", "no such file"]),
            (["GLOSS_MODEL": model, "GLOSS_DATABASE": "host"], 78, ["database", "cannot be read"]),
        ]
        for (settings, status, words) in wrong {
            let daemon = try GlossdProcess(settings)
            #expect(await daemon.wait() == status, "\(settings): \(daemon.output)")
            for word in words { #expect(daemon.output.contains(word), "\(daemon.output)") }
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("model: \(model)\nfetch:\n  max_byte: 3\n".utf8).write(to: file)
        let daemon = try GlossdProcess([:], arguments: ["--config", file.path])
        #expect(await daemon.wait() == 78)
        #expect(daemon.output.contains("\(file.path):3: there is no key fetch.max_byte"), "\(daemon.output)")
    }

    /// A database without the schema is for a person to mend: exit 69, with the reason.
    @Test func missingSchema() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        var settings = GlossdProcess.settings(database, ports: [80])
        settings["GLOSS_DATABASE"] = database.conninfo()
        let daemon = try GlossdProcess(settings)
        #expect(await daemon.wait() == 69)
        #expect(daemon.output.contains("gloss"), "\(daemon.output)")
    }

    /// A schema that goes away under a running daemon ends it: there is nothing to wait for.
    @Test(.timeLimit(.minutes(5))) func schemaGone() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [80]))
        try await eventually("select count(*) = 1 from gloss.worker", in: database, [daemon])
        while true {
            do {
                try await database.query("drop schema gloss cascade")
                break
            } catch let error as StorageError where error.sqlState == "40P01" {
                // It needs all tables, in an order of its own, while the daemon writes to them.
                continue
            }
        }
        #expect(await daemon.wait() == 69, "\(daemon.output.suffix(2000))")
    }

    /// A right that goes away while jobs run: the daemon ends with its reason rather than hold on to what it can't write.
    @Test(.timeLimit(.minutes(5))) func rightGone() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let server = try Self.imageServer()
        try await database.query(
            """
            select count(gloss.enqueue_caption('\(server.url("/rgb.png"))', key => i::text, max_tokens => 30))
            from generate_series(1, 2000) i
            """)
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [server.port]))
        try await eventually("select count(*) > 5 from gloss.result", in: database, [daemon])
        try await database.query("revoke execute on function gloss.record(bigint, uuid, jsonb) from gloss_worker")
        #expect(await daemon.wait() == 69, "\(daemon.output.suffix(2000))")
        #expect(daemon.output.contains("permission denied"))
        #expect(try await database.query("select count(*) from gloss.leased").scalar == "0", "held jobs went back")
    }

    @Test(.timeLimit(.minutes(5))) func healthAndMetrics() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let server = try Self.imageServer()
        let port = try Self.freePort()
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_HEALTH_PORT"] = "\(port)"
        _ = try await database.query("select gloss.enqueue_caption('\(server.url("/rgb.png"))', max_tokens => 3)")
        let daemon = try GlossdProcess(settings)
        try await eventually("select count(*) = 1 from gloss.result", in: database, [daemon])
        let health = try await Self.get("http://127.0.0.1:\(port)/healthz", until: "\"status\":\"ok\"")
        #expect(health.contains("1 jobs done"))
        let metrics = try await Self.get("http://127.0.0.1:\(port)/metrics", until: "gloss_database_up 1.0")
        #expect(metrics.contains("gloss_jobs_ended_total{outcome=\"done\"} 1.0"))
        for stage in ["claim", "fetch", "decode", "vision", "prefill", "extend", "decide", "record"] {
            #expect(metrics.contains("gloss_stage_units_total{stage=\"\(stage)\"}"), "\(metrics)")
        }
        #expect(metrics.contains("gloss_vision_cache_misses_total 1.0"))
        #expect(metrics.contains("gloss_build_info{version=\"") && metrics.contains("process_open_fds "))
        #expect(metrics.contains("gloss_queue_running{task=\"caption\",model=\"\"}"))
        try await eventually(
            "select count(*) >= 8 and min(workers) = 1 from gloss.stage where units > 0", in: database, [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }

    private static func freePort() throws -> Int { try LoopbackServer([:]).port }

    private static func get(_ url: String, until text: String) async throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        for _ in 0..<200 {
            let curl = try ChildProcess(
                "/usr/bin/curl", ["--silent", "--max-time", "5", url], environment: [:], output: file)
            _ = await curl.wait()
            let body = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            if body.contains(text) { return body }
        }
        throw Timeout(description: "\(url) never answered with \(text)")
    }
}
