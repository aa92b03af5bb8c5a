import Annotation
import Foundation
import Inference
import Storage
import TestSupport
import Testing

/// A real process that serves adapters beside its model.
@Suite struct AdapterTests {
    /// What answered a job stands with its result, and what a daemon serves with the daemon.
    @Test(.timeLimit(.minutes(5))) func theAdaptersDigestIsStoredWithTheResult() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let file = Array(try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/rgb.png")))
        let server = try LoopbackServer(["/rgb.png": { $0.answer(200, file) }])
        let folder = GlossdProcess.fixtures.appending(path: "tiny/adapters")
        try await database.query(
            """
            select gloss.enqueue_caption('\(server.url("/rgb.png"))', key => coalesce(m, 'any'), model => m, batch => 'b',
                max_tokens => 5)
            from unnest(array[null, 'shelves', 'tags']) m
            """)
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_ADAPTERS"] = ["shelves=plain", "tags=vision"].map { pair in
            pair.replacing("=", with: "=\(folder.path)/")
        }.joined(separator: ",")
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'b'", in: database, [daemon])
        let model = try PaliGemma(contentsOf: GlossdProcess.fixtures.appending(path: "tiny/model"))
        let digests = try ["plain", "vision"].map { try model.adapter(contentsOf: folder.appending(path: $0)).digest }
        let results = try await database.query(
            "select key, model, model_digest, adapter_digest from gloss.result order by key", as: .reader)
        #expect(
            results.rows == [
                ["any", "model", model.digest, nil], ["shelves", "shelves", model.digest, digests[0]],
                ["tags", "tags", model.digest, digests[1]],
            ])
        let served = try await database.query(
            "select adapters ->> 'shelves', adapters ->> 'tags', models[1:3] from gloss.worker", as: .reader)
        #expect(served.rows == [[digests[0], digests[1], "{model,shelves,tags}"]])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        // They are proven with the same adapters, found by their digests.
        let base = [
            "reproduce", "--batch", "b", "--database", database.conninfo(as: .reader), "--allow-network", "127.0.0.0/8",
            "--allow-port", "\(server.port)", "--model", GlossdProcess.fixtures.appending(path: "tiny/model").path,
        ]
        let both = ["vision", "plain"].flatMap { ["--adapter", folder.appending(path: $0).path] }
        #expect(try await GlossctlRun(base + both).output == "3 results run again: 3 same.\n")
        let one = try await GlossctlRun(base + both.dropLast(2) + ["--json"])
        #expect(one.status == 1 && one.output.contains("no adapter that is given has the files \(digests[0])"))
        #expect(try one.json().count { $0["outcome"] as? String == "same" } == 2)
        let given = try await GlossctlRun(base + both.dropLast(2) + ["--only-given"])
        #expect(given.output == "2 results run again: 2 same.\n")
    }
}
