import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

@testable import Console

/// Two answers to the same question beside each other.
@Suite struct CompareTests {
    private func box(_ label: String, _ edges: [Float], _ score: Float = 0.5) -> Finding {
        Finding(label: label, score: score, box: Box(y1: edges[0], x1: edges[1], y2: edges[2], x2: edges[3]))
    }

    /// Results of two models, `one` and `two`, of the same keys: `same` agree, `near` in one of two boxes, `far` in none.
    private func twoModels() async throws -> TestDatabase {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for model in ["one", "two"] {
            for key in ["same", "near", "far"] {
                try await database.query(
                    "select gloss.enqueue_detect('https://a.invalid/' || $1, array['cat', 'dog'], key => $1, batch => 'b', model => $2)",
                    [SQLValue(key), SQLValue(model)])
            }
            for key in ["said", "other"] {
                try await database.query(
                    "select gloss.enqueue_caption('https://a.invalid/' || $1, key => $1, batch => 'b', model => $2)",
                    [SQLValue(key), SQLValue(model)])
            }
            let worker = Worker(database, model: model)
            for job in try await worker.claim() {
                let isOne = model == "one"
                let boxes =
                    switch job.key {
                    case "same": [box("cat", [0, 0, 0.5, 0.5])]
                    case "near":
                        [
                            box("cat", isOne ? [0, 0, 0.5, 0.5] : [0, 0, 0.5, 0.45]),
                            box(isOne ? "dog" : "fox", [0.5, 0.5, 1, 1]),
                        ]
                    default: isOne ? [box("cat", [0, 0, 0.2, 0.2])] : [box("cat", [0.5, 0.5, 1, 1])]
                    }
                let text = job.key == "other" && !isOne ? "a blue cube and <b>more</b>" : "A red cube"
                let result = Samples.result(
                    [Worker.text(text)], prompts: job.spec.prompts,
                    findings: job.spec.task == .detect ? boxes : [])
                try await worker.complete(job, result)
            }
        }
        return database
    }

    private func names(_ page: String) -> [String] {
        page.components(separatedBy: "<h3>").dropFirst().map { String($0.prefix { $0 != "<" }) }
    }

    @Test func thoseThatDifferMostComeFirst() async throws {
        let world = try await ConsoleWorld(try await twoModels())
        let page = try await world.get("/compare?batch=b&left=one&right=two")
        #expect(page.status == 200, "\(page.text.suffix(2000))")
        #expect(Markup.problem(in: page.text) == nil)
        #expect(names(page.text) == ["far", "other", "near", "same", "said"])
        #expect(page.text.contains("5 pairs, those that differ most first"))
        for tile in [
            "<b>3</b> differ", "<b>2</b> agree", "<b>40.0%</b>", "<b>2</b> boxes with a partner",
            "<b>2</b> boxes on the left only", "<b>2</b> boxes on the right only", "<b>0.950</b> mean IoU",
        ] {
            #expect(page.text.contains(tile), "\(tile)")
        }
        #expect(page.text.contains("cat (IoU 0.90)") && page.text.contains("dog (score 0.50)"))
        #expect(page.text.contains("≠ fox"), "told apart without colour")
        #expect(page.text.contains("<del>A red cube</del> <ins>a blue cube and &lt;b&gt;more&lt;/b&gt;</ins>") == false)
        #expect(page.text.contains("<ins>and &lt;b&gt;more&lt;/b&gt;</ins>"))
        #expect(page.text.contains("The same as SQL"))
        // A stricter overlap parts them.
        let strict = try await world.get("/compare?batch=b&left=one&right=two&iou=0.95&task=detect").text
        #expect(names(strict) == ["near", "far", "same"] && strict.contains("<b>1</b> boxes with a partner"))
    }

    /// Without both names each pair is there once.
    @Test func eachPairIsThereOnce() async throws {
        let world = try await ConsoleWorld(try await twoModels())
        #expect(names(try await world.get("/compare?batch=b").text).count == 5)
        #expect(names(try await world.get("/compare?left=one").text).count == 5)
        #expect(names(try await world.get("/compare?batch=b&left=two&right=one").text).count == 5)
        #expect(names(try await world.get("/compare?batch=b&left=one&right=one").text).isEmpty)
        #expect(try await world.get("/compare").text.contains("Name a batch or a model"))
        for query in ["iou=0", "iou=2", "with=everything", "agreement=x"] {
            #expect(try await world.get("/compare?batch=b&\(query)").status == 400, "\(query)")
        }
    }

    @Test func pagesFollowEachOther() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        for model in ["one", "two"] {
            try await database.query(
                """
                select gloss.enqueue_caption('https://a.invalid/' || n, key => 'k' || n, batch => 'b', model => $1)
                from generate_series(1, 30) n
                """, [SQLValue(model)])
            let worker = Worker(database, model: model)
            for (index, job) in try await worker.claim().enumerated() {
                try await worker.complete(job, [Worker.text(index % 3 == 0 ? model : "same")])
            }
        }
        let world = try await ConsoleWorld(database)
        var (target, seen) = ("/compare?batch=b", [String]())
        for _ in 0..<5 {
            let page = try await world.get(target).text
            seen += names(page)
            guard let link = page.components(separatedBy: "<p class=\"more-link\"><a href=\"").dropFirst().first else {
                break
            }
            target = String(link.prefix { $0 != "\"" }).replacingOccurrences(of: "&amp;", with: "&")
        }
        #expect(seen.count == 30 && Set(seen).count == 30)
    }

    /// What stood there before, and what people say.
    @Test func resultsAreComparedWithThoseBeforeAndWithTheTruth() async throws {
        let database = try await twoModels()
        try await database.query(
            "select gloss.rerun(job => j.id) from gloss.job j where key in ('near', 'other')")
        for model in ["one", "two"] {
            let worker = Worker(database, model: model)
            for job in try await worker.claim() {
                let boxes = job.spec.task == .detect ? [box("cat", [0, 0, 0.5, 0.5])] : []
                try await worker.complete(
                    job, Samples.result([Worker.text("a new text")], prompts: job.spec.prompts, findings: boxes))
            }
        }
        let world = try await ConsoleWorld(database)
        let before = try await world.get("/compare?with=superseded&batch=b").text
        #expect(Markup.problem(in: before) == nil)
        #expect(names(before) == ["other", "other", "near", "near"])
        #expect(before.contains("the one before, one"))

        try await database.query(
            """
            select gloss.record_review(job => a.job_id, fence => a.fence, reviewer => 'Ann', verdict => 'edit',
                answer => '{"boxes": [{"label": "cat", "box": [0, 0, 0.5, 0.5]}, {"label": "<b>", "box": [0.1, 0.1, 0.2, 0.2]}]}')
            from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.kind k on k.id = j.kind
            where j.key = 'near' and k.model = 'one'
            """)
        let truth = try await world.get("/compare?with=truth&batch=b").text
        #expect(Markup.problem(in: truth) == nil)
        // A truth is about a key: both models' results are held against it.
        #expect(names(truth) == ["near", "near"])
        #expect(truth.contains("reviewed by Ann") && truth.contains("≠ &lt;b&gt;"))
        #expect(truth.contains("<b>2</b> boxes on the right only"))
    }

    @Test(
        arguments: [
            ("a red cube", "a blue cube", "a <del>red</del> <ins>blue</ins> cube"), ("", "", ""),
            ("same", "same", "same"), ("", "new", "<ins>new</ins>"), ("3", "4", "<del>3</del> <ins>4</ins>"),
            ("<b>", "&", "<del>&lt;b&gt;</del> <ins>&amp;</ins>"), ("a  b", "a b", "a b"),
        ] as [(String, String, String)])
    func wordsAreCompared(left: String, right: String, expected: String) throws {
        #expect(try #require(WordDiff(left, right)).html.description == expected)
    }

    @Test func longTextsAreNotComparedByWords() {
        #expect(WordDiff(String(repeating: "a ", count: 301), "a") == nil)
    }
}
