import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// What reviewers say is right, as labels of an evaluation and in exports.
@Suite struct TruthTests {
    private let database: TestDatabase
    private let tool: Tool
    private let folder: TemporaryFolder

    /// Answers to six questions and boxes of three images, most of them reviewed.
    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        tool = Tool(database)
        folder = try TemporaryFolder()
        let questions = (1...6).map {
            "gloss.enqueue_vqa('https://a.invalid/\($0)', 'why?', key => 'q\($0)', batch => 'b')"
        }
        let images = (1...3).map {
            "gloss.enqueue_segment('https://a.invalid/d\($0)', array['cat'], key => 'd\($0)', batch => 'b')"
        }
        try await database.query("select \((questions + images).joined(separator: ", "))")
        let worker = Worker(database)
        for (number, job) in try await worker.claim().enumerated() {
            let sha256 = String(repeating: "0", count: 63) + "\(number)"
            let image = [Samples.image(sha256: sha256)]
            guard job.key?.hasPrefix("q") == true else {
                var cat = Finding(label: "cat", score: 0.75, box: Box(y1: 0, x1: 0, y2: 0.5, x2: 0.5))
                cat.mask = Self.mask
                let result = Samples.result([Worker.text("…")], prompts: job.spec.prompts, findings: [cat])
                try await worker.complete(job, result, images: image)
                continue
            }
            let result = Samples.result([Worker.text("red")], prompts: job.spec.prompts)
            try await worker.complete(job, result, images: image)
        }
        try await review("q1", "accept")
        try await review("q2", "edit", #"{"text": "blue"}"#)
        try await review("q3", "reject")
        try await review("q4", "looked")
        try await review("d1", "accept")
        let dog = #"{"label": "dog", "box": [0.5, 0.5, 1, 1]}"#
        try await review("d2", "edit", "{\"boxes\": [\(dog)]}")
    }

    private static let mask = RunLengthMask(
        height: 480, width: 640, rows: 0..<240, columns: 0..<320, pixels: Array(repeating: true, count: 240 * 320))

    private func review(_ key: String, _ verdict: String, _ answer: String? = nil) async throws {
        try await database.query(
            """
            select gloss.record_review(a.job_id, a.fence, 'eva', $2, $3::jsonb)
            from gloss.annotation a join gloss.job j on j.id = a.job_id where j.key = $1
            """, [SQLValue(key), SQLValue(verdict), SQLValue(answer)])
    }

    private func glossctl(_ words: [String]) async throws -> Tool.Run {
        try await Tool.run(Tool.path, words + ["--database", database.conninfo(as: .admin)])
    }

    private func evaluate(_ words: String...) async throws -> [String: Any] {
        let run = try await glossctl(["evaluate"] + words + ["--truth", "--json"])
        #expect(run.status == 0, "\(run.errors)")
        return try #require(try run.json().first)
    }

    private func figure(_ report: [String: Any], _ name: String) -> Double? {
        let figures = report["figures"] as? [[String: Any]]
        return figures?.first { $0["name"] as? String == name }?["value"] as? Double
    }

    private func gaps(_ report: [String: Any]) -> [String: Int] {
        let gaps = report["not_scored"] as? [[String: Any]] ?? []
        return Dictionary(
            uniqueKeysWithValues: gaps.compactMap { gap in
                (gap["reason"] as? String).flatMap { reason in (gap["count"] as? Int).map { (reason, $0) } }
            })
    }

    // MARK: Evaluation

    /// One is right, one was mended, one was rejected.
    @Test func reviewsAreLabels() async throws {
        let report = try await evaluate("exact", "--task", "vqa", "--batch", "b")
        #expect(abs((figure(report, "accuracy") ?? 0) - 1.0 / 3) < 1e-12)
        #expect(gaps(report) == ["rejected": 1, "results without a label": 3])
        let kept = try await database.query(
            "select selection ->> 'labels', n, labels_sha256 ~ '^[0-9a-f]{64}$' from gloss.evaluation")
        #expect(kept.rows == [["gloss.truth", "3", "t"]])
        // A metric that needs what is right leaves out what was rejected.
        let errors = try await evaluate("cer", "--task", "vqa", "--no-keep")
        #expect(gaps(errors)["rejected and left out"] == 1)
        // Of another model nothing was rejected.
        let skipped = try await evaluate("exact", "--task", "vqa", "--missing", "skip", "--model", "m", "--no-keep")
        #expect(abs((figure(skipped, "accuracy") ?? 0) - 1.0 / 3) < 1e-12, "a reject counts whatever is missing")
    }

    @Test func boxesAreAGroundTruth() async throws {
        let report = try await evaluate("coco", "--task", "segment", "--no-keep")
        let categories = try #require(report["categories"] as? [[String: Any]])
        #expect(categories.map { $0["category"] as? String } == ["cat", "dog"])
        #expect(categories.map { $0["found"] as? Int } == [1, 0])
        #expect(categories.map { $0["wrong"] as? Int } == [1, 0])
        #expect(categories.map { $0["missed"] as? Int } == [0, 1])
        let referring = try await evaluate("refcoco", "--task", "segment", "--no-keep")
        #expect(referring["n"] as? Int == 2)
        try await review("d2", "accept")
        let masks = try await evaluate("coco-masks", "--task", "segment", "--no-keep")
        #expect(figure(masks, "AP") == 1)
    }

    @Test func withoutReviews() async throws {
        let run = try await tool("evaluate", "exact", "--task", "caption", "--truth")
        #expect(run.status == 1)
        #expect(run.errors.contains("no answer of this kind that has a key was accepted or edited in a review"))
        for words in [["--labels", "x"], ["--sql", "select 1"]] {
            let run = try await glossctl(["evaluate", "exact", "--truth"] + words)
            #expect(run.status == 64 && run.errors.contains("Give one of --labels FILE, --sql QUERY and --truth."))
        }
        let unknown = try await tool("evaluate", "exact", "--batch", "none", "--truth")
        #expect(unknown.status == 1 && unknown.errors.contains("there is no batch \"none\""))
    }

    // MARK: Exports

    private func export(_ words: String...) async throws -> String {
        let run = try await glossctl(
            ["export", "jsonl", "--nested", "--batch", "b", "--verify", "--output", folder.file("out")] + words)
        #expect(run.status == 0, "\(run.errors)")
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).first { $0.hasSuffix(".jsonl") })
        return try folder.read("out/\(name)")
    }

    @Test func exportsHoldTheTruth() async throws {
        let reviewed = try await export("--truth")
        #expect(reviewed.split(separator: "\n").count == 4, "\(reviewed)")
        #expect(reviewed.contains("\"blue\"") && reviewed.contains("\"dog\""))
        let manifest = try folder.read("out/manifest.json")
        #expect(manifest.contains("\"truth\"") && manifest.contains("\"reviewed\""))
        let all = try await export("--truth", "--unreviewed")
        #expect(all.split(separator: "\n").count == 8, "without what was rejected: \(all)")
        let dogs = try await export("--truth", "--task", "segment", "--where", "label = 'dog' and score = 1")
        #expect(dogs.contains("\"dog\"") && !dogs.contains("\"cat\""))
        let plain = try await export()
        #expect(plain.split(separator: "\n").count == 9 && !plain.contains("\"dog\""))
    }

    @Test func objectsAndCOCO() async throws {
        try await database.query(
            "select gloss.enqueue_multiview('obj', array['https://a.invalid/1.jpg'], array['what?'], 2, batch => 'b')")
        let worker = Worker(database)
        let job = try #require(try await worker.claim().first)
        let view = ViewResponses(
            view: 0, responses: [[Worker.text("mug"), Worker.text("cup")]], images: [Samples.image()])
        let shares = [
            AggregatedAnswer(answer: "mug", probability: 0.625), AggregatedAnswer(answer: "cup", probability: 0.375),
        ]
        try await worker.complete(job, Samples.result(shares, prompts: ["what?"], views: [view]))
        try await review("obj", "edit", #"{"answer": "teapot"}"#)
        var run = try await tool("export", "objaverse", "--truth", "--verify", "--output", folder.file("objects"))
        #expect(run.status == 0, "\(run.errors)")
        #expect(try folder.read("objects/objects.csv") == "obj;teapot;1\n")
        run = try await tool("export", "coco", "--truth", "--verify", "--output", folder.file("coco"))
        #expect(run.status == 0, "\(run.errors)")
        let coco = try folder.read("coco/instances.json")
        #expect(coco.contains("\"name\":\"dog\"") && coco.contains("\"counts\""))
        run = try await tool("export", "coco", "--unreviewed", "--output", folder.file("coco"))
        #expect(run.status == 64 && run.errors.contains("--unreviewed is for --truth."))
    }
}
