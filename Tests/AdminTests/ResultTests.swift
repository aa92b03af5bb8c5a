import Annotation
import Foundation
import Images
import Queue
import Submissions
import TestSupport
import Testing

@testable import Admin

@Suite struct ResultTests {
    /// A queue in which each task has a result.
    private func results() async throws -> (database: TestDatabase, tool: Tool) {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let local = Tree.image("rgb.png")
        try await database.query(
            """
            select gloss.enqueue_caption('file://\(local)', key => '<i>"c,1"', batch => 'b'),
                   gloss.enqueue_vqa('file://\(local)', 'why?', key => 'v', batch => 'b'),
                   gloss.enqueue_detect('file://\(local)', array['cat', 'dog'], key => 'd', batch => 'b'),
                   gloss.enqueue_multiview('m', array['https://a.invalid/1.jpg'], array['what?'], 2, batch => 'b'),
                   gloss.enqueue_caption('https://a.example/x.jpg', key => 'other'),
                   gloss.enqueue_caption('https://a.example/gone.jpg', key => 'gone', batch => 'b')
            """)
        let worker = Worker(database)
        for job in try await worker.claim() {
            switch (job.spec.task, job.key) {
            case (_, "gone"): try await worker.fail(job, code: "http_404", reason: "<gone>")
            case (.caption, _): try await worker.complete(job, [Worker.text("a \"red\", cube\n")])
            case (.vqa, _): try await worker.complete(job, [Worker.text("because"), Worker.text("so", -2)])
            case (.detect, _):
                let cat = Finding(label: "cat", score: 0.75, box: Box(y1: 0.125, x1: 0.25, y2: 0.5, x2: 1))
                try await worker.complete(job, [Worker.text("<loc0001> cat")], findings: [cat])
            case (.multiview, _):
                let view = ViewResponses(
                    view: 0, responses: [[Worker.text("mug"), Worker.text("cup", -1)]],
                    images: [Samples.image("https://a.invalid/1.jpg")])
                let shares = [
                    AggregatedAnswer(answer: "mug", probability: 0.625),
                    AggregatedAnswer(answer: "cup", probability: 0.375),
                ]
                try await worker.complete(job, Samples.result(shares, prompts: job.spec.prompts, views: [view]))
            default: Issue.record("a task without a result here: \(job.spec.task)")
            }
        }
        return (database, Tool(database, as: .reader))
    }

    @Test func jsonHasProperTypes() async throws {
        let (_, tool) = try await results()
        let run = try await tool("results", "caption", "--batch", "b")
        #expect(run.status == 0, "\(run.errors)")
        let caption = try #require(try run.json().first)
        #expect(caption["key"] as? String == "<i>\"c,1\"")
        #expect(caption["caption"] as? String == "a \"red\", cube\n")
        #expect(caption["sum_logprob"] as? Double == -0.5)
        #expect(caption["samples"] as? [String] == ["a \"red\", cube\n"])
        let object = try #require(try await tool("results", "multiview", "--json").json().first)
        let distribution = try #require(object["distribution"] as? [[String: Any]])
        #expect(distribution.map { $0["p"] as? Double } == [0.625, 0.375])
        let responses = try await tool("results", "multiview_response").json()
        #expect(responses.map { $0["response"] as? String } == ["mug", "cup"])
        #expect(responses.map { $0["sample"] as? Int } == [1, 2])
        let result = try await tool("results", "result", "--batch", "b").json()
        #expect(Set(result.map { $0["task"] as? String }) == ["caption", "vqa", "detect", "multiview"])
        #expect((result.first?["timings"] as? [String: Double]) == ["fetch": 0.5])
    }

    @Test func csvCanBeReadAgain() async throws {
        let (_, tool) = try await results()
        let run = try await tool("results", "caption", "--batch", "b", "--format", "csv")
        var reader = CSVReader(ByteReader(run.output))
        let header = try #require(try reader.next()).fields
        let row = Dictionary(uniqueKeysWithValues: zip(header, try #require(try reader.next()).fields))
        #expect(try reader.next() == nil)
        #expect(header.first == "key")
        #expect(row["key"] == "<i>\"c,1\"")
        #expect(row["caption"] == "a \"red\", cube\n")
        #expect(row["samples"] == "[\"a \\\"red\\\", cube\\n\"]")
        let boxes = try await tool("results", "detection", "--format", "csv").output
        #expect(boxes.contains("d,1,cat,0.75,0.125,0.25,0.5,1,"))
        let nothing = try await tool("results", "answer", "--since", "2100-01-01", "--format", "csv").output
        #expect(nothing.hasPrefix("key,question,answer,"))
    }

    @Test func limitsAndTimes() async throws {
        let (_, tool) = try await results()
        #expect(try await tool("results", "result", "--limit", "2").json().count == 2)
        #expect(try await tool("results", "result", "--since", "2000-01-01").json().count == 5)
        #expect(try await tool("results", "result", "--since", "tomorrow").json().isEmpty)
        let bad = try await tool("results", "result", "--since", "whenever")
        #expect(bad.status == 1)
        #expect(bad.errors.contains("invalid input syntax for type timestamp"))
    }

    @Test func filesAreWritten() async throws {
        let (_, tool) = try await results()
        let folder = try TemporaryFolder()
        let run = try await tool("results", "answer", "--output", folder.file("out.jsonl"))
        #expect(run.status == 0)
        #expect(run.output == "")
        #expect(run.errors == "1 rows written.\n")
        #expect(try folder.read("out.jsonl").contains("\"answer\":\"because\""))
        let bad = try await tool("results", "answer", "--output", "/nonexistent/out")
        #expect(bad.status == 1)
        #expect(bad.errors == "glossctl: /nonexistent/out cannot be written: No such file or directory\n")
    }

    @Test func aJobThatIsDoneShowsItsResult() async throws {
        let (_, tool) = try await results()
        let job = try #require(try await tool("jobs", "--key", "v", "--json").json().first?["job_id"] as? Int)
        let json = try #require(try await tool("job", "\(job)", "--json").json().first)
        #expect((json["result"] as? [String: Any])?["text"] as? String == "because")
    }

    // MARK: Report

    @Test func theReportShowsEverythingAndTrustsNothing() async throws {
        let (_, tool) = try await results()
        let folder = try TemporaryFolder()
        let run = try await tool("report", "--batch", "b", "--output", folder.file("r.html"))
        #expect(run.status == 0, "\(run.errors)")
        let page = try folder.read("r.html")
        #expect(page.components(separatedBy: "<article").count == 3)
        for shown in [
            "a &quot;red&quot;, cube", "because", "why?", "60.7%", ">mug<", "62.5%", "&lt;gone&gt;", "&lt;i&gt;",
        ] {
            #expect(page.contains(shown), "\(shown)")
        }
        #expect(page.contains("x=\"25.00%\" y=\"12.50%\" width=\"75.00%\" height=\"37.50%\""))
        #expect(!page.contains("<i>\"c") && !page.contains("<gone>"))
        #expect(page.contains("src=\"file://\(Tree.image("rgb.png"))\""))
    }

    /// Masks and follow-up questions come from views of their own.
    @Test func theReportHasMasksAndFollowUps() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.enqueue_segment('https://a.invalid/1.jpg', array['cat'], key => 's', batch => 'b'),
                   gloss.enqueue_multiview('m', array['https://a.invalid/1.jpg'], array['what?'], 1, batch => 'b',
                       follow_ups => array['what colour is the {answer}?', 'why?']),
                   gloss.enqueue_ocr('https://a.invalid/2.jpg', key => 'o', batch => 'b'),
                   gloss.enqueue_question('https://a.invalid/2.jpg', 'blue', key => 'q', batch => 'b'),
                   gloss.enqueue_choice('https://a.invalid/2.jpg', 'is it?', array['yes', 'no'], key => 'c', batch => 'b')
            """)
        let worker = Worker(database)
        let view = ViewResponses(view: 0, responses: [[Worker.text("mug")]], images: [Samples.image()])
        func stage(_ number: Int, _ prompt: String, _ answers: [String]) -> StageResult {
            var view = view
            (view.stage, view.answer) = (number, number > 1 ? "mug" : nil)
            let shares = answers.map { AggregatedAnswer(answer: $0, probability: 1 / Double(answers.count)) }
            return StageResult(prompts: ["answer en \(prompt)"], views: [view], distribution: shares)
        }
        for job in try await worker.claim() {
            switch job.spec.task {
            case .segment:
                var cat = Finding(label: "cat", score: 0.75, box: Box(y1: 0, x1: 0, y2: 1, x2: 1))
                let inside = Array(repeating: true, count: 480 * 640)
                cat.mask = RunLengthMask(height: 480, width: 640, rows: 0..<480, columns: 0..<640, pixels: inside)
                cat.codes = Array(0..<16)
                try await worker.complete(job, [Worker.text("<loc0001> cat")], findings: [cat])
            case .multiview:
                let stages = [
                    stage(1, "what?", ["mug"]), stage(2, "what colour is the mug?", ["red", "blue"]),
                    stage(3, "why?", []),
                ]
                try await worker.complete(job, AnnotationResult(stages: stages, score: 1))
            default: try await worker.complete(job, [Worker.text("\(job.spec.task) says")])
            }
        }
        let folder = try TemporaryFolder()
        let run = try await Tool(database, as: .reader)("report", "--batch", "b", "--output", folder.file("r.html"))
        #expect(run.status == 0, "\(run.errors)")
        let page = try folder.read("r.html")
        for shown in [
            "scale(6.2500 6.2500)\" d=\"M0 0h160v160h-160z\"", "<h3>what colour is the mug?</h3>", ">red<", ">50.0%<",
            "<h3>why?</h3>", "no answer", "ocr says", "question says", "choice says",
        ] {
            #expect(page.contains(shown), "\(shown)")
        }
    }

    /// Reports on what is said to be annotated, with the images embedded as far as these options let them.
    private func embedded(_ options: [String], digest: String? = nil, from url: String? = nil) async throws
        -> (page: String, answer: [String: Any])
    {
        let (database, tool) = try await results()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: Tree.image("rgb.png")))
        let digest = digest ?? SHA256Digest.hex([UInt8](bytes))
        try await database.query(
            "update gloss.annotation set image_sha256 = array[decode('\(digest)', 'hex')] where cardinality(final_urls) = 1"
        )
        if let url { try await database.query("update gloss.annotation set final_urls = array['\(url)']") }
        let folder = try TemporaryFolder()
        let line = ["report", "--batch", "b", "--embed", "--json", "--output", folder.file("r.html")] + options
        let run = try await Tool.run(Tool.path, line + ["--database", tool.database ?? ""])
        #expect(run.status == 0, "\(run.errors)")
        return (try folder.read("r.html"), try #require(try run.json().first))
    }

    private func image() throws -> String {
        try Data(contentsOf: URL(fileURLWithPath: Tree.image("rgb.png"))).base64EncodedString()
    }

    @Test func theReportCarriesItsImages() async throws {
        let root = URL(fileURLWithPath: Tree.image("rgb.png")).deletingLastPathComponent().path
        let (page, answer) = try await embedded(["--allow-files", root])
        #expect(answer["cards"] as? Int == 2)
        #expect(answer["results"] as? Int == 4)
        #expect(answer["failures"] as? Int == 1)
        #expect(answer["not_embedded"] as? Int == 1 && answer["changed"] as? Int == 0)
        #expect(page.contains("src=\"data:image/png;base64,\(try image())\""))
    }

    /// What producers write is fetched no further than by a daemon.
    @Test func nothingPrivateIsEmbeddedUnlessAllowed() async throws {
        let (page, answer) = try await embedded([])
        #expect(answer["not_embedded"] as? Int == 2)
        #expect(!page.contains("base64,"))
        let server = try LoopbackServer(["/a.png": { $0.send("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") }])
        let refused = try await embedded([], from: server.url("/a.png"))
        #expect(refused.answer["not_embedded"] as? Int == 2)
        #expect(server.requests.isEmpty, "a private address was asked")
        let allowed = try await embedded(
            ["--allow-network", "127.0.0.0/8", "--allow-port", "\(server.port)"], from: server.url("/a.png"))
        #expect(allowed.answer["not_embedded"] as? Int == 2)
        #expect(!server.requests.isEmpty, "the final URL is asked")
    }

    @Test func aFileThatChangedIsNotEmbedded() async throws {
        let root = URL(fileURLWithPath: Tree.image("rgb.png")).deletingLastPathComponent().path
        let (page, answer) = try await embedded(["--allow-files", root], digest: String(repeating: "0", count: 64))
        #expect(answer["not_embedded"] as? Int == 1 && answer["changed"] as? Int == 1)
        #expect(!page.contains("base64,"))
    }

    @Test(arguments: [
        ["--allow-network", "10.0.0.0/8"], ["--embed", "--allow-network", "ten"], ["--embed", "--allow-port", "0"],
        ["--embed", "--allow-files", "images"],
    ])
    func whatMayBeEmbeddedIsSaidClearly(options: [String]) async throws {
        let run = try await Tool.run(Tool.path, ["report", "--output", "/dev/null"] + options)
        #expect(run.status == 64, "\(run.errors)")
    }

    @Test func aReportOfNoBatchIsRefused() async throws {
        let (_, tool) = try await results()
        let run = try await tool("report", "--batch", "nope", "--output", "/dev/null")
        #expect(run.status == 1)
        #expect(run.errors == "glossctl: there is no batch \"nope\"\n")
    }
}
