import Annotation
import Foundation
import Queue
import TestSupport
import Testing

/// What an evaluation compares beside the labels: samples, results that were replaced, and the official tools' own files.
@Suite struct EvaluateComparisonTests {
    private func figures(_ run: Tool.Run) throws -> [String: [String: Any]] {
        let figures = try #require(try run.json().first?["figures"] as? [[String: Any]], "\(run.errors)")
        return Dictionary(uniqueKeysWithValues: figures.map { ($0["name"] as? String ?? "", $0) })
    }

    /// Answers to two questions: three samples to the first, one to the second. Then the first is answered again.
    @Test func samplesAndResultsThatWereReplaced() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.enqueue_vqa('https://a.invalid/1', 'why?', key => 'q1', samples => 3),
                gloss.enqueue_vqa('https://a.invalid/2', 'why?', key => 'q2')
            """)
        let worker = Worker(database)
        for job in try await worker.claim() {
            let texts = job.key == "q1" ? ["no", "yes", "yes"] : ["no"]
            try await worker.complete(job, texts.enumerated().map { Worker.text($1, -0.5 - Float($0)) })
        }
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "labels.jsonl", "{\"key\": \"q1\", \"answer\": \"yes\"}\n{\"key\": \"q2\", \"answer\": \"no\"}\n")
        func evaluate(_ more: String...) async throws -> Tool.Run {
            let words = ["evaluate", "exact", "--labels", file, "--json", "--no-keep"] + more
            return try await Tool.run(Tool.path, words + ["--database", database.conninfo(as: .reader)])
        }
        let samples = try figures(try await evaluate())
        #expect(samples["accuracy"]?["value"] as? Double == 0.5)
        #expect(abs((samples["accuracy, mean of samples"]?["value"] as? Double ?? 0) - 5.0 / 6) < 1e-12)
        #expect(samples["accuracy, best of samples"]?["value"] as? Double == 1)
        #expect(samples["accuracy, best of samples"]?["high"] as? Double == 1)

        try await database.query("select gloss.rerun(key => 'q1')")
        for job in try await worker.claim() { try await worker.complete(job, [Worker.text("yes")]) }
        let run = try await evaluate("--against", "superseded")
        let headline = try #require(try figures(run)["accuracy"])
        #expect(
            headline["value"] as? Double == 1 && headline["against"] as? Double == 0 && headline["count"] as? Int == 1)
        let json = try #require(try run.json().first)
        #expect((json["better"] as? Int, json["worse"] as? Int, json["same"] as? Int) == (1, 0, 0))
        let gaps = json["not_scored"] as? [[String: Any]] ?? []
        #expect(gaps.map { $0["reason"] as? String } == ["labels without a superseded result"])
    }

    /// What is written scores as it did, and has what pycocotools' `loadRes` asks for.
    @Test(arguments: [false, true]) func whatWasScoredIsWritten(areMasks: Bool) async throws {
        let folder = try TemporaryFolder()
        let fixture = Tree.root.appendingPathComponent("Tests/Fixtures/coco.jsonl")
        let examples = try String(contentsOf: fixture, encoding: .utf8).split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        let example = try #require(examples.first { $0["masks"] as? Bool == areMasks })
        for name in ["gt", "results"] {
            let data = try JSONSerialization.data(withJSONObject: try #require(example[name]))
            try data.write(to: URL(fileURLWithPath: folder.file("\(name).json")))
        }
        let metric = areMasks ? "coco-masks" : "coco"
        func run(_ results: String, _ written: String) async throws -> Tool.Run {
            try await Tool()(
                "evaluate", metric, "--gt", folder.file("gt.json"), "--results", folder.file(results), "--bootstrap",
                "0",
                "--json", "--write-coco", folder.file(written))
        }
        let (first, second) = (try await run("results.json", "a.json"), try await run("a.json", "b.json"))
        #expect(first.status == 0 && first.output == second.output, "\(first.errors)\(second.errors)")
        let written = try folder.read("a.json")
        #expect(try written == folder.read("b.json"))
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(written.utf8)) as? [[String: Any]])
        let fields = ["category_id", "image_id", "score", areMasks ? "segmentation" : "bbox"].sorted()
        #expect(rows.count == (example["results"] as? [Any])?.count && rows.allSatisfy { $0.keys.sorted() == fields })
    }

    @Test func captionsAreWritten() async throws {
        let folder = try TemporaryFolder()
        let labels = try folder.write(
            "captions.json",
            """
            {"images": [{"id": 9, "file_name": "q1.jpg"}, {"id": 4, "file_name": "q2.jpg"}],
             "annotations": [{"id": 1, "image_id": 9, "caption": "a cat"}, {"id": 2, "image_id": 4, "caption": "a dog"}]}
            """)
        let results = try folder.write(
            "results.jsonl", "{\"key\": \"q1\", \"text\": \"a \\\"cat\\\"\"}\n{\"key\": \"q2\", \"text\": \"\"}\n")
        let run = try await Tool()(
            "evaluate", "bleu", "--labels", labels, "--results", results, "--write-coco", folder.file("out.json"))
        #expect(run.status == 0, "\(run.errors)")
        #expect(
            try folder.read("out.json") == """
                [
                {"caption":"a \\"cat\\"","image_id":9},
                {"caption":"","image_id":4}
                ]

                """)
        // What fails leaves nothing behind.
        let failed = try await Tool()(
            "evaluate", "bleu", "--labels", labels, "--results", results, "--write-coco", folder.file("none/out.json"))
        #expect(failed.status == 1 && failed.errors.contains("none/out.json"))
        let strange = try await Tool()("evaluate", "exact", "--labels", labels, "--write-coco", folder.file("x.json"))
        #expect(strange.status == 64)
    }
}
