import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// How much a claim takes.
@Suite struct ClaimTests {
    private let database: TestDatabase
    private let store: PostgresJobStore

    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        store = database.store()
    }

    private func keys(_ budget: ClaimBudget, by worker: WorkerID) async throws -> [String] {
        try await store.claim(budget, by: worker).map { $0.key ?? "" }
    }

    /// A producer may not stop the fleet: what he enqueues is claimed in pieces.
    @Test func aClaimIsBoundedByBytes() async throws {
        let url = "'data:image/png;base64,' || repeat('A', 1000000)"
        try await database.query(
            """
            insert into gloss.inbox (task, prompt, image_urls, key)
            select 'vqa', 'why?', array[\(url), \(url)], 'big' || i from generate_series(1, 34) i
            """, as: .producer)
        let worker = try await store.register(Samples.worker())
        let first = try await store.claim(ClaimBudget(jobs: 64), by: worker)
        #expect(first.count == 4, "8 MiB hold four of 2 MB")
        #expect(try await keys(ClaimBudget(jobs: 64, bytes: 1000), by: worker) == ["big5"], "one at least")
        #expect(try await keys(ClaimBudget(jobs: 2, bytes: 100 << 20), by: worker) == ["big6", "big7"])
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func aLongDataURLIsRefusedUnlessTheSettingAllowsIt() async throws {
        let call = "select outcome from gloss.enqueue_caption('data:,' || repeat('u', 2000000))"
        let error = await #expect(throws: StorageError.self) { try await database.query(call, as: .producer) }
        #expect(error?.sqlState == "22023" && error?.message.contains("data_url_bytes") == true)
        try await database.query("select gloss.change_setting('data_url_bytes', '3000000')", as: .admin)
        #expect(try await database.query(call, as: .producer).scalar == "inserted")
        for bad in ["'many'", "'-1'", "'1 day'"] {
            let refusal = await #expect(throws: StorageError.self) {
                try await database.query("select gloss.change_setting('data_url_bytes', \(bad))", as: .admin)
            }
            #expect(refusal?.sqlState == "22023")
        }
        let back = try await database.query("select gloss.change_setting('data_url_bytes', null)", as: .admin)
        #expect(back.scalar == "1048576")
    }

    /// One daemon does not take a whole queue of objects, nor ten captions less because there are objects.
    @Test func aClaimIsBoundedByWork() async throws {
        let admin = database.administration()
        for number in 1...10 {
            _ = try await admin.enqueue(Samples.caption(), EnqueueOptions(key: "c\(number)", batch: "c"))
        }
        for number in 1...5 {
            _ = try await admin.enqueue(
                Samples.multiview(views: 8), EnqueueOptions(key: "o\(number)", priority: 10))
        }
        let worker = try await store.register(Samples.worker())
        // A caption: 0.1 + 0.4 + 64 × 0.01 × 0.5 = 0.82 s. An object: 8 × 0.1 + 16 × 0.4 + 1920 × 0.01 = 26.4 s.
        let weights = WorkWeights(image: 0.1, prefill: 0.4, token: 0.01, tasks: ["caption": 0.5])
        let budget = ClaimBudget(jobs: 64, seconds: 4.2, weights: weights)
        #expect(try await keys(budget, by: worker) == (1...5).map { "c\($0)" })
        #expect(try await keys(budget, by: worker) == (6...10).map { "c\($0)" })
        #expect(try await keys(budget, by: worker) == ["o1"], "one at least")
        #expect(try await keys(ClaimBudget(jobs: 64, seconds: 60, weights: weights), by: worker) == ["o2", "o3"])
        #expect(try await keys(ClaimBudget(jobs: 64, weights: weights), by: worker) == ["o4", "o5"])
        #expect(try await database.misplacedJobs() == [])
    }

    @Test func aJobSaysWhatItCosts() async throws {
        let admin = database.administration()
        for spec in [Samples.caption(), Samples.multiview(views: 3)] { _ = try await admin.enqueue(spec) }
        let rows = try await database.query("select images, prefills, tokens, bytes from gloss.job order by id")
        #expect(rows.rows == [["1", "1", "64", "25"], ["3", "6", "720", "87"]])
        let worker = try await store.register(Samples.worker())
        let claimed = try await store.claim(limit: 2, by: worker).map(\.work)
        #expect(
            claimed.map { ["\($0.images)", "\($0.prefills)", "\($0.tokens)"] } == rows.rows.map { Array($0.prefix(3)) })
    }

    /// An old daemon beside a newer schema is given what it knows.
    @Test func aDaemonGetsTheTasksThatItKnows() async throws {
        try await database.query(
            """
            select gloss.define_task('{"name": "trace", "summary": "Find things and give their outlines.",
                "default_style": "trace", "styles": {"trace": {"prompt": "trace {texts}", "texts": [1, 8]}},
                "defaults": {"max_tokens": 20, "samples": 1, "temperature": 0}, "default_texts": [], "text_noun": "thing",
                "limits": {"images": 16, "views": false, "samples": 1}, "separator": ";"}')
            """)
        let enqueued = try await database.query(
            "select outcome from gloss.enqueue('trace', 'https://e.org/a', prompt => 'cat; dog', key => 's')",
            as: .producer)
        #expect(enqueued.scalar == "inserted", "a new task needs no migration")
        _ = try await database.administration().enqueue(Samples.caption(), EnqueueOptions(key: "c"))
        let worker = try await store.register(Samples.worker())
        #expect(try await keys(ClaimBudget(jobs: 9), by: worker) == ["c"])
        let spec = try await database.query("select spec -> 'texts', prefills, tokens from gloss.job where key = 's'")
        #expect(spec.rows == [["[\"cat\", \"dog\"]", "1", "20"]])
        let nobody = await #expect(throws: StorageError.self) {
            try await store.register(Samples.worker(tasks: []))
        }
        #expect(nobody?.message == "a worker must say which tasks it knows")
    }
}
