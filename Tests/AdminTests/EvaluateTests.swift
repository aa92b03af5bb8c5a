import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

@Suite struct EvaluateTests {
    /// Answers to five questions and boxes of two images by the model `m`; one job is dead, one pending.
    private func results() async throws -> (database: TestDatabase, tool: Tool) {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let questions = (1...6).map {
            "gloss.enqueue_vqa('https://a.invalid/\($0)', 'why?', key => 'q\($0)', batch => 'b')"
        }
        try await database.query(
            """
            select \(questions.joined(separator: ", ")), gloss.enqueue_vqa('https://a.invalid/7', 'why?', batch => 'b'),
                gloss.enqueue_segment('https://a.invalid/8', array['cat'], key => 'one', batch => 'b'),
                gloss.enqueue_segment('https://a.invalid/9', array['cat'], key => 'two.jpg', batch => 'b')
            """)
        let worker = Worker(database)
        let words = ["q1": "yes", "q2": "no", "q3": "two", "q4": "", "q5": "Blue"]
        for job in try await worker.claim() {
            switch job.key {
            case "q6": try await worker.fail(job, code: "http_404", reason: "gone")
            case "one", "two.jpg":
                var cat = Finding(label: "Cat", score: 0.75, box: Box(y1: 0, x1: 0, y2: 0.5, x2: 0.5))
                cat.mask = RunLengthMask(
                    height: 480, width: 640, rows: 0..<240, columns: 0..<320,
                    pixels: Array(repeating: true, count: 240 * 320))
                let dog = Finding(label: "wolf", score: 0.5, box: Box(y1: 0.5, x1: 0.5, y2: 1, x2: 1))
                try await worker.complete(
                    job, [Worker.text("<loc0000> cat")], findings: job.key == "one" ? [cat, dog] : [])
            default:
                var response = Worker.text(words[job.key ?? ""] ?? "?")
                if job.key == "q3" { response.finishReason = .length }
                try await worker.complete(job, [response])
            }
        }
        try await database.query("select gloss.enqueue_vqa('https://a.invalid/10', 'why?', key => 'q9', batch => 'b')")
        return (database, Tool(database))
    }

    private let labels = """
        {"key": "q1", "answers": ["yes", "no"], "kind": "y"}
        {"key": "q2", "answer": "yes", "kind": "y"}
        {"key": "q3", "answers": ["two"], "kind": "n"}
        {"key": "q5", "answers": ["blue"], "kind": "c"}
        {"key": "q6", "answers": ["x"], "kind": "c"}
        {"key": "q9", "answers": ["x"], "kind": "c"}
        {"key": "never", "answers": ["x"], "kind": "c"}
        """

    private func figure(_ report: [String: Any], _ name: String) -> [String: Any]? {
        (report["figures"] as? [[String: Any]])?.first { $0["name"] as? String == name }
    }

    private func gaps(_ report: [String: Any]) -> [String: Int] {
        let gaps = report["not_scored"] as? [[String: Any]] ?? []
        return Dictionary(
            uniqueKeysWithValues: gaps.compactMap { gap in
                (gap["reason"] as? String).flatMap { reason in (gap["count"] as? Int).map { (reason, $0) } }
            })
    }

    @Test func whatWasNotScoredComesFirst() async throws {
        let (database, tool) = try await results()
        let folder = try TemporaryFolder()
        let file = try folder.write("labels.jsonl", labels)
        let run = try await tool("evaluate", "exact", "--batch", "b", "--task", "vqa", "--labels", file)
        #expect(run.status == 0, "\(run.errors)")
        let lines = run.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        #expect(lines.first == "Not scored, or with a reserve")
        #expect(run.output.contains("labels without a result  "))
        #expect(run.output.contains("pending 1, dead 1, no such job 1: they count as wrong (--missing zero)"))
        #expect(run.output.contains("exact, m aaaaaaaaaaaa"))
        #expect(run.output.contains("Kept as number 1 in gloss.evaluation."))
        let kept = try await database.query(
            """
            select metric, variant, labels_sha256 = encode(sha256(convert_to($$\(labels)$$, 'UTF8')), 'hex'), model, n,
                figures #>> '{0,name}', round((figures #>> '{0,value}')::numeric, 6), selection ->> 'batch'
            from gloss.evaluation
            """)
        #expect(kept.rows == [["exact", "exact", "t", "m", "7", "accuracy", "0.285714", "b"]])
        let tables = try await database.query(
            """
            select f ->> 'name', f ->> 'count', f #>> '{bins,0,count}', f ->> 'labels', f ->> 'answers', f ->> 'counts'
            from gloss.evaluation, jsonb_array_elements(figures) with ordinality t (f, place)
            where f ? 'bins' or f ? 'counts' order by place
            """)
        #expect(tables.rows.map { $0[0] } == ["calibration", "confusion"])
        #expect(tables.rows[0][2] != nil && tables.rows[1][1] == "7")
        #expect(tables.rows[1][3] == #"["x", "yes", "blue", "two"]"#)
        #expect(tables.rows[1][4] == #"["yes", "two", "Blue", "no"]"#)
        #expect(
            tables.rows[1][5]
                == "[[0, 0, 0, 0, 0, 3], [1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]"
        )

        let json = try #require(
            try await tool(
                "evaluate", "exact-lower", "--batch", "b", "--task", "vqa", "--labels", file, "--json", "--group",
                "kind",
                "--no-keep", "--per-item", folder.file("items.jsonl")
            ).json().first)
        #expect(
            gaps(json) == [
                "labels without a result": 3, "results without a label": 1, "results without a key": 1, "truncated": 1,
            ])
        let headline = try #require(figure(json, "accuracy"))
        #expect(headline["value"] as? Double == 3.0 / 7 && headline["count"] as? Int == 7)
        #expect((headline["low"] as? Double ?? 1) < 3.0 / 7 && (headline["high"] as? Double ?? 0) > 3.0 / 7)
        let groups = try #require(json["groups"] as? [[String: Any]])
        #expect(groups.map { $0["group"] as? String } == ["c", "n", "y"])
        #expect(groups.map { figure($0, "accuracy")?["value"] as? Double } == [0.25, 1, 0.5])
        let items = try folder.read("items.jsonl").split(separator: "\n")
        #expect(items.count == 7)
        #expect(items[3].contains("\"prediction\":\"Blue\"") && items[3].contains("\"score\":1"))
        #expect(items[6].contains("\"key\":\"never\"") && items[6].contains("\"prediction\":null"))
        #expect(json["evaluation"] == nil)
        #expect(try await database.query("select count(*) from gloss.evaluation").scalar == "1")
    }

    @Test func missingResultsAreWhatYouSay() async throws {
        let (_, tool) = try await results()
        let sql = "select 'q' || n as key, array['yes'] as answers from generate_series(1, 6) n where n <> 4; "
        let skip = try await tool("evaluate", "exact", "--sql", sql, "--missing", "skip", "--task", "vqa", "--json")
        #expect(skip.status == 0, "\(skip.errors)")
        #expect(figure(try #require(try skip.json().first), "accuracy")?["value"] as? Double == 0.25)
        let error = try await tool("evaluate", "exact", "--sql", sql, "--missing", "error", "--task", "vqa")
        #expect(error.status == 1 && error.errors.contains("1 label has no result (dead 1)") && error.output == "")
        let strange = try await tool("evaluate", "exact", "--sql", "select 'x' as key, 'y' as answer", "--task", "vqa")
        #expect(strange.status == 1)
        #expect(strange.errors.contains("no result has the key of a label: results have keys such as \"q"))
        let reader = Tool(try await results().database, as: .reader)
        let kept = try await reader("evaluate", "exact", "--sql", sql, "--task", "vqa")
        #expect(
            kept.status == 0 && kept.errors.contains("Not kept in gloss.evaluation: that takes the role gloss_admin."))
    }

    /// The same keys by two models: one is chosen, or both are compared on the same draws.
    @Test func modelsAreCompared() async throws {
        let (database, tool) = try await results()
        try await database.session().script(
            """
            insert into gloss.engine (model, digest, version) values ('other', repeat('c', 64), '0.1.0');
            insert into gloss.kind (task, model) values ('vqa', 'other');
            insert into gloss.job (kind, prefills, tokens, bytes, images, priority, max_attempts, key, image_urls, spec)
            select (select id from gloss.kind where model = 'other'), 1, 1, 1, 1, 0, 1, 'q' || n, '{https://a.invalid/1}', '{}'
            from generate_series(1, 5) n;
            insert into gloss.annotation (job_id, fence, worker, engine, attempts, rescues, not_understood, findings, views,
                questions, samples, task, finish, texts, sums, norms, tokens, prompts, image_sha256, final_urls, timings)
            select j.id, 1, 1, (select id from gloss.engine where model = 'other'), 0, 0, 0, 0, 1, 1, 1, 'vqa', 'e',
                array['yes'], '{-1}', '{-1}', '{1}', '{p}', '{}', '{}', '{}'
            from gloss.job j join gloss.kind k on k.id = j.kind where k.model = 'other'
            """)
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "labels.csv", "key,answers\nq1,yes\nq2,yes\nq3,two\nq5,\"[\"\"Blue\"\", \"\"blue\"\"]\"\n")
        let both = try await tool("evaluate", "exact", "--labels", file, "--task", "vqa")
        #expect(both.status == 1 && both.errors.contains("has two results, of vqa by m and vqa by other: choose one"))
        let one = try await tool("evaluate", "exact", "--labels", file, "--task", "vqa", "--model", "cccccc", "--json")
        #expect(figure(try #require(try one.json().first), "accuracy")?["value"] as? Double == 0.5)
        let json = try #require(
            try await tool(
                "evaluate", "exact", "--labels", file, "--task", "vqa", "--against", "other", "--json", "--per-item",
                folder.file("items")
            ).json().first)
        let headline = try #require(figure(json, "accuracy"))
        #expect(headline["value"] as? Double == 0.75 && headline["against"] as? Double == 0.5)
        #expect(headline["difference"] as? Double == 0.25)
        #expect(headline["difference_low"] as? Double == -0.5 && headline["difference_high"] as? Double == 1)
        #expect((json["better"] as? Int, json["worse"] as? Int, json["same"] as? Int) == (2, 1, 1))
        #expect(
            try folder.read("items").contains(
                "\"against\":{\"finish_reason\":\"eos\",\"prediction\":\"yes\",\"score\":1}"))
        let nobody = try await tool("evaluate", "exact", "--labels", file, "--against", "nobody")
        #expect(
            nobody.errors.contains("no result is of a model \"nobody\": there are results of m (aaaaaaaaaaaa), other"))
    }

    @Test func vqaAndCaptionFilesAreRead() async throws {
        let (_, tool) = try await results()
        let folder = try TemporaryFolder()
        let vqa = try folder.write(
            "vqa.json",
            """
            {"annotations": [{"question_id": "q1", "image_id": 5, "answer_type": "yes/no", "question_type": "is",
              "answers": [{"answer": "yes", "answer_id": 1}, {"answer": "yes", "answer_id": 2}]}]}
            """)
        let run = try await tool("evaluate", "vqa", "--labels", vqa, "--task", "vqa", "--json")
        #expect(run.status == 0, "\(run.errors)")
        let json = try #require(try run.json().first)
        #expect(json["metric"] as? String == "vqa" && json["variant"] as? String == "vqa-v2")
        #expect((json["notes"] as? [String])?.first?.contains("fewer than 4 people") == true)
        // The keys of COCO's captions are its files' names, with and without ending.
        let captions = try folder.write(
            "captions.json",
            """
            {"images": [{"id": 9, "file_name": "q1.jpg"}, {"id": 4, "file_name": "q2.jpg"}],
             "annotations": [{"id": 1, "image_id": 9, "caption": "yes"}, {"id": 2, "image_id": 4, "caption": "yes"},
                             {"id": 3, "image_id": 4, "caption": "no"}]}
            """)
        let exact = try await tool("evaluate", "exact", "--labels", captions, "--task", "vqa", "--json")
        #expect(figure(try #require(try exact.json().first), "accuracy")?["value"] as? Double == 1, "\(exact.errors)")
    }

    // MARK: Files that are no good

    @Test(arguments: [
        ("", "labels.jsonl is empty: it has no lines"),
        ("\n\n", "labels.jsonl is empty: it has no lines"),
        ("{\"key\": \"a\", \"answers\": [\"x\"]}\n{\"key\": \"b\"}", "labels.jsonl, line 2: no \"answers\""),
        ("{\"answers\": [\"x\"]}", "labels.jsonl, line 1: no \"key\"; it has \"answers\""),
        ("{\"key\": [1], \"answers\": [\"x\"]}", "line 1: \"key\" must be a text, not an array"),
        (
            "{\"key\": \"a\", \"answers\": [null]}",
            "line 1: \"answers\" must be a text or an array of texts; it has null"
        ),
        ("{\"key\": \"a\", \"answers\": []}", "line 1: \"answers\" is empty"),
        (
            "{\"key\": \"a\", \"answer\": 1}\n\n{\"key\": \"a\", \"answer\": 2}",
            "line 3: the key \"a\" is that of line 1 already"
        ),
        (
            "{\"key\": \"a\", \"answer\": 1}\n{\"key\": \"b\", \"answer\": 0x1}",
            "line 2: not JSON: an object is not closed"
        ),
        ("{\"key\": \"a\", \"answer\": 1}\n[1]", "line 2: not a JSON object"),
        ("{\"key\": \"a\", \"key\": \"b\", \"answer\": 1}", "line 1: not JSON: the name \"key\" is there twice"),
        ("{\"questions\": [{\"question_id\": 1}]}", "it has questions: their answers are in VQA's annotations"),
        ("[{\"key\": \"a\",\n\"answer\": \"x\"},\n{\"key\": \"b\"}]", "labels.jsonl, line 3: no \"answers\""),
    ])
    func wrongLabelsAreNamed(text: String, reason: String) async throws {
        let folder = try TemporaryFolder()
        let results = try folder.write("results.jsonl", "{\"key\": \"a\", \"text\": \"x\"}\n")
        let file = try folder.write("labels.jsonl", text)
        let items = folder.file("items.jsonl")
        let run = try await Tool()("evaluate", "exact", "--results", results, "--labels", file, "--per-item", items)
        #expect(run.status == 65 && run.output == "", "\(run.output)")
        #expect(run.errors.contains(reason), "\(run.errors)")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().filter { $0.hasPrefix("items") }
                == [])
    }

    @Test func whatIsNotUTF8IsNamed() async throws {
        let folder = try TemporaryFolder()
        let results = try folder.write("results.jsonl", "{\"key\": \"a\", \"text\": \"x\"}\n")
        for (name, start, end) in [
            ("l.jsonl", "{\"key\": \"a\", \"answer\": \"", "\"}"), ("l.csv", "key,answer\na,", ""),
        ] {
            let path = folder.file(name)
            try (Data(start.utf8) + Data([0xFF]) + Data(end.utf8)).write(to: URL(fileURLWithPath: path))
            let run = try await Tool()("evaluate", "exact", "--results", results, "--labels", path)
            #expect(run.status == 65 && run.errors.contains("not UTF-8"), "\(run.errors)")
            #expect(run.errors.contains(name == "l.csv" ? "line 2" : "line 1"), "\(run.errors)")
        }
    }

    @Test(arguments: [
        ["exact", "--labels", "x", "--sql", "y"], ["coco", "--labels", "x"], ["nonsense", "--labels", "x"],
        ["exact", "--labels", "x", "--results", "y", "--batch", "b"], ["exact"], ["coco", "--gt", "x", "--group", "y"],
    ])
    func wrongLinesAreRefused(line: [String]) async throws {
        #expect(try await Tool.run(Tool.path, ["evaluate"] + line).status == 64)
    }

    // MARK: Images

    private func truth(_ folder: TemporaryFolder, category: String = "cat", annotations: String? = nil) throws -> String
    {
        let annotations =
            annotations ?? """
                {"id": 1, "image_id": 10, "category_id": 3, "bbox": [0, 0, 320, 240], "area": 76800, "iscrowd": 0,
                 "segmentation": [[0, 0, 320, 0, 320, 240, 0, 240]]},
                {"id": 2, "image_id": 20, "category_id": 3, "bbox": [0, 0, 64, 48], "area": 3072, "iscrowd": 0,
                 "segmentation": [[0, 0, 64, 0, 64, 48, 0, 48]]}
                """
        return try folder.write(
            "gt.json",
            """
            {"images": [{"id": 10, "file_name": "a/one.png", "width": 640, "height": 480},
                        {"id": 20, "file_name": "two.jpg", "width": 640, "height": 480}],
             "categories": [{"id": 3, "name": "\(category)"}], "annotations": [\(annotations)]}
            """)
    }

    @Test(arguments: ["coco", "coco-masks"])
    func boxesAndMasksOfTheQueue(metric: String) async throws {
        let (_, tool) = try await results()
        let folder = try TemporaryFolder()
        let gt = try truth(folder)
        let run = try await tool(
            "evaluate", metric, "--batch", "b", "--task", "segment", "--gt", gt, "--json", "--per-item",
            folder.file("items"))
        #expect(run.status == 0, "\(run.errors)")
        let json = try #require(try run.json().first)
        // One of two is found: precision 1 up to the recall .5, which is 51 of 101 points.
        #expect(abs((figure(json, "AP")?["value"] as? Double ?? 0) - 51.0 / 101) < 1e-12)
        #expect(figure(json, "AR100")?["value"] as? Double == 0.5)
        #expect(figure(json, "precision .5")?["value"] as? Double == 1)
        #expect(gaps(json) == ["labels outside the categories": 1])
        let items = try folder.read("items").split(separator: "\n")
        #expect(
            items.count == 2 && items[0].contains("\"truth\":1") && items[1].contains("\"missed\":true"), "\(items)")
        let map = try folder.write("map.csv", "label,category\nwolf,cat\n")
        let mapped = try await tool("evaluate", metric, "--task", "segment", "--gt", gt, "--json", "--map", map)
        let report = try #require(try mapped.json().first)
        #expect(gaps(report) == (metric == "coco" ? [:] : ["detections without a mask": 1]), "\(mapped.errors)")
        #expect(figure(report, "precision .5")?["value"] as? Double == (metric == "coco" ? 0.5 : 1))
    }

    @Test func wrongGroundTruthsAreNamed() async throws {
        let folder = try TemporaryFolder()
        let results = try folder.write("results.json", "[]")
        func reason(_ annotations: String) async throws -> String {
            let gt = try truth(folder, annotations: annotations)
            let run = try await Tool()("evaluate", "coco", "--gt", gt, "--results", results)
            #expect(run.status == 65, "\(run.output)")
            return run.errors
        }
        let box = "\"bbox\": [0, 0, 1, 1]"
        #expect(
            try await reason("{\"id\": 1, \"image_id\": 11, \"category_id\": 3, \"area\": 1, \(box)}").contains(
                "gt.json, line 3: annotation 1 is of image 11, which is not in \"images\""))
        #expect(
            try await reason("{\"id\": 1, \"image_id\": 10, \"category_id\": 4, \"area\": 1, \(box)}").contains(
                "category 4, which is not"))
        #expect(
            try await reason("{\"id\": 1, \"image_id\": 10, \"category_id\": 3, \(box)}").contains(
                "annotation 1 has no area"))
        #expect(
            try await reason("{\"id\": \"1\", \"image_id\": 10, \"category_id\": 3, \(box)}").contains(
                "id must be a whole number, not a text"))
        #expect(
            try await reason("{\"id\": 1, \"image_id\": 10, \"category_id\": 3, \"area\": 1, \"bbox\": [1, 2]}")
                .contains("no bbox of four numbers"))
        let twice = "{\"id\": 1, \"image_id\": 10, \"category_id\": 3, \"area\": 1, \(box)}"
        #expect(
            try await reason("\(twice),\n\(twice)").contains("gt.json, line 4: the annotation's id 1 is there twice"))
    }

    /// Cases of reference/check_coco.py: the numbers are pycocotools'.
    @Test func theNumbersArePycocotools() async throws {
        let fixture = Tree.root.appendingPathComponent("Tests/Fixtures/coco.jsonl")
        for line in try String(contentsOf: fixture, encoding: .utf8).split(separator: "\n") {
            let example = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let folder = try TemporaryFolder()
            for name in ["gt", "results"] {
                let data = try JSONSerialization.data(withJSONObject: try #require(example[name]))
                try data.write(to: URL(fileURLWithPath: folder.file("\(name).json")))
            }
            let run = try await Tool()(
                "evaluate", example["masks"] as? Bool == true ? "coco-masks" : "coco", "--gt", folder.file("gt.json"),
                "--results",
                folder.file("results.json"), "--bootstrap", "20", "--json")
            let figures = try #require(try run.json().first?["figures"] as? [[String: Any]], "\(run.errors)")
            let wanted = try #require(example["stats"] as? [Double])
            for (figure, value) in zip(figures, wanted) {
                #expect(abs((figure["value"] as? Double ?? -1) - value) < 1e-12, "\(figure) \(value)")
            }
        }
    }

    @Test func referringExpressions() async throws {
        let (_, tool) = try await results()
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "labels.jsonl",
            """
            {"key": "one", "box": [0, 0, 0.5, 0.5], "mask": {"size": [480, 640], "counts": [0, 153600, 153600]}}
            {"key": "two.jpg", "bbox": [0, 0, 10, 10], "width": 640, "height": 480}
            """)
        let run = try await tool("evaluate", "refcoco", "--labels", file, "--task", "segment", "--json")
        let json = try #require(try run.json().first, "\(run.errors)")
        #expect(figure(json, "mIoU")?["value"] as? Double == 0.5)
        #expect(figure(json, "box accuracy .75")?["value"] as? Double == 0.5)
        #expect(gaps(json)["without a box"] == 1)
    }
}
