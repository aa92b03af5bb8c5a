import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Dead jobs by code and host: what `gloss.failures` says of them, and which of them `gloss.retry` puts back.
@Suite struct FailuresTests {
    private let database: TestDatabase
    private let admin: Administration
    private let store: PostgresJobStore
    private let worker: WorkerID

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        admin = database.administration()
        store = database.store(retryPolicy: RetryPolicy(base: .seconds(100)))
        worker = try await store.register(Samples.worker())
    }

    /// Enqueues a job and lets it fail.
    private func fail(
        _ urls: String..., code: String, reason: String = "no", batch: String? = nil,
        disposition: FailureDisposition = .permanent
    ) async throws {
        _ = try await admin.enqueue(
            JobSpec(task: .caption, imageURLs: urls), EnqueueOptions(batch: batch))
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        let failure = Failure(code: code, reason: reason, disposition: disposition)
        _ = try await store.record([JobReport(job, .failed(failure))], by: worker)
    }

    private func deadJobs() async throws {
        try await fail("https://A.example/1.jpg", code: "http_404", batch: "b")
        try await fail("http://a.example:8080/2.jpg", code: "http_503", batch: "b")
        try await fail("https://b.example/3.jpg", code: "http_502")
        try await fail("https://m\u{FC}nchen.example/4.jpg", code: "timeout", batch: "c")
        try await fail("file:///srv/5.jpg", code: "file_not_found")
        try await fail("https://b.example/6.jpg", code: "timeout", batch: "b")
    }

    static let selections: [(DeadSelection, jobs: [Int64])] = [
        (DeadSelection(code: "http_404"), [1]), (DeadSelection(code: "http_5%"), [2, 3]),
        (DeadSelection(host: "a.example"), [1, 2]), (DeadSelection(host: "A.EXAMPLE."), [1, 2]),
        (DeadSelection(host: "http://a.example:8080"), [2]), (DeadSelection(host: "https://a.example:443/"), [1]),
        (DeadSelection(host: "xn--mnchen-3ya.example"), [4]), (DeadSelection(host: "m\u{FC}nchen.example"), [4]),
        (DeadSelection(code: "timeout", host: "b.example"), [6]), (DeadSelection(batch: "b", code: "timeout"), [6]),
        (DeadSelection(batch: "b", host: "b.example"), [6]), (DeadSelection(batch: "b"), [1, 2, 6]),
        (DeadSelection(task: .caption, code: "http_4%"), [1]), (DeadSelection(task: .vqa, code: "http_4%"), []),
        (DeadSelection(job: JobID(rawValue: 5)), [5]), (DeadSelection(job: JobID(rawValue: 5), code: "timeout"), []),
        (DeadSelection(code: "http_418"), []), (DeadSelection(host: "c.example"), []),
        (DeadSelection(everything: true), [1, 2, 3, 4, 5, 6]),
        (DeadSelection(code: "%", everything: true), [1, 2, 3, 4, 5, 6]),
    ]

    @Test func whatIsGivenHoldsTogether() async throws {
        try await deadJobs()
        for (selection, jobs) in Self.selections {
            #expect(try await admin.wouldRetry(selection) == jobs.count, "\(selection)")
            #expect(try await admin.retry(selection) == jobs.count, "\(selection)")
            let ready = try await database.query(
                "select coalesce(string_agg(job_id::text, ',' order by job_id), '') from gloss.ready")
            #expect(ready.scalar == jobs.map(String.init).joined(separator: ","), "\(selection)")
            // As it was.
            let held = try await store.claim(limit: 10, by: worker)
            let codes = [1: "http_404", 2: "http_503", 3: "http_502", 4: "timeout", 5: "file_not_found", 6: "timeout"]
            let reports = held.map { job in
                JobReport(
                    job,
                    .failed(
                        Failure(code: codes[Int(job.id.rawValue)] ?? "", reason: "no", disposition: .permanent)))
            }
            _ = try await store.record(reports, by: worker)
        }
        #expect(try await database.misplacedJobs() == [])
    }

    @Test(arguments: [
        ("code => 'http_999'", "there is no code \"http_999\""),
        ("code => 'nonsense%'", "there is no code \"nonsense%\""),
        ("host => 'two words'", "host is a name such as"),
        ("host => 'https://a.example/path'", "host is a name such as"),
        ("batch => 'none', code => 'timeout'", "there is no batch \"none\""),
        ("task => 'none', code => 'timeout'", "there is no task \"none\""), ("", "say which jobs: job, key, batch"),
    ])
    func whatNamesNothing(arguments: String, message: String) async throws {
        for function in ["retry", "would_retry"] {
            let error = await #expect(throws: StorageError.self) {
                try await database.query("select gloss.\(function)(\(arguments))", as: .admin)
            }
            #expect(error?.sqlState == "22023" && error?.message.hasPrefix(message) == true, "\(error?.message ?? "")")
        }
    }

    /// A call retries no more than it is told to, and nothing that died since the call before.
    @Test func aRetryIsBounded() async throws {
        for number in 1...5 { try await fail("https://a.example/\(number)", code: "timeout") }
        let session = database.session(as: .admin)
        let start = try await session.query("select now()").scalar
        func retry() async throws -> String? {
            try await session.query(
                "select gloss.retry(code => 'timeout', died_before => $1::timestamptz, most => 2)", [SQLValue(start)]
            ).scalar
        }
        #expect(try await retry() == "2")
        for job in try await store.claim(limit: 10, by: worker) {
            _ = try await store.record([JobReport(job, Samples.failed(.permanent, code: "timeout"))], by: worker)
        }
        #expect(try await [retry(), retry(), retry()] == ["2", "1", "0"])
        #expect(try await admin.wouldRetry(DeadSelection(code: "timeout")) == 2)
    }

    @Test func failuresByHostAndCode() async throws {
        try await deadJobs()
        try await fail(
            "https://b.example/7.jpg", code: "http_503", reason: "busy", batch: "b", disposition: .retry(after: nil))
        let rows = try await database.administration(as: .reader).failures()
        #expect(
            rows.map { "\($0.host) \($0.code) \($0.dead) \($0.waiting) \($0.job_ids)" } == [
                " file_not_found 1 0 [5]", "a.example http_404 1 0 [1]", "b.example http_502 1 0 [3]",
                "a.example http_503 1 0 [2]", "b.example timeout 1 0 [6]", "xn--mnchen-3ya.example timeout 1 0 [4]",
                "b.example http_503 0 1 [7]",
            ])
        let waiting = try #require(rows.last)
        #expect(waiting.reason == "busy" && waiting.image_url == "https://b.example/7.jpg")
        #expect(waiting.advice == "It is retried." && rows[2].advice?.hasPrefix("Look at the URL.") == true)
        #expect(rows[1].first_at == rows[1].last_at && rows[1].reason == "no")
        let batch = try await admin.failures(ofBatch: "b", host: "B.example")
        #expect(batch.map { "\($0.code) \($0.dead) \($0.waiting)" } == ["timeout 1 0", "http_503 0 1"])
        #expect(try await admin.failures(code: "http_5%", limit: 1).map(\.code) == ["http_502"])
        #expect(try await admin.failures(ofBatch: "c").count == 1)
        let losses = try await admin.losses(ofBatch: "b")
        #expect(losses.map { "\($0.code) \($0.dead) \($0.hosts)" } == ["http_404 1 1", "http_503 1 1", "timeout 1 1"])
    }

    /// Of several images it is the one that the reason names.
    @Test func theHostOfTheImageThatFailed() async throws {
        try await fail("https://a.example/1", "https://b.example/2", code: "http_404", reason: "b.example answered 404")
        try await fail("https://a.example/1", "https://b.example/2", code: "no_answer", reason: "no words")
        try await fail("http://[2001:DB8::1]:8080/1", code: "timeout")
        try await fail("data:image/png;base64,AA", "https://b.example/2", code: "corrupt", reason: "damaged")
        let hosts = try await database.query("select host from gloss.dead order by job_id").rows.map { $0[0] }
        #expect(hosts == ["b.example", "a.example", "[2001:db8::1]", ""])
        #expect(try await admin.wouldRetry(DeadSelection(host: "[2001:db8:0::1]")) == 1)
    }
}
