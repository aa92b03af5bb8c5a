import Annotation
import Foundation
import Queue
import TestSupport
import Testing

@testable import Admin

/// What is chosen, what is refused, and what remains when something goes wrong.
@Suite struct ExportOptionTests {
    private let folder: TemporaryFolder
    private let queue: ExportQueue

    init() async throws {
        folder = try TemporaryFolder()
        queue = try await ExportQueue.shared.value
    }

    private var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
    }

    @Test(arguments: [
        ["coco", "--gt", "gt.json"], ["coco", "--task", "caption"], ["yolo", "--split", "a/b"],
        ["webdataset", "--images", "link"], ["jsonl", "--allow-files", "/"], ["voc"],
    ])
    func wrongFlagsAreSaidClearly(words: [String]) async throws {
        let run = try await Tool.run(Tool.path, ["export"] + words)
        #expect(run.status == 64, "\(run.errors)")
    }

    @Test func aConditionThatIsNoGoodIsExplained() async throws {
        for (condition, words) in [
            ("scor > .3", "column \"scor\" does not exist"), ("score >", "syntax error"),
            ("score / 0 > 1", "division by zero"), ("true; select 1", "without a semicolon"),
            ("true) or (true", "a parenthesis is closed that was not opened"),
            ("label = 'a", "a quote ' is not closed"),
        ] {
            let run = try await queue.export("coco", "--where", condition, to: folder)
            #expect(run.status == 1)
            #expect(run.errors.hasPrefix("glossctl: --where: ") && run.errors.contains(words), "\(run.errors)")
        }
        #expect(try names.isEmpty)
        let run = try await queue.export("coco", "--where", "score", to: folder)
        #expect(run.errors.contains("over the columns of gloss.found: key, task, model, n,"), "\(run.errors)")
    }

    /// Not even somebody who may do everything writes by a condition.
    @Test(arguments: [
        "nextval('gloss.fence') > 0", "set_config('transaction_read_only', 'off', false) = 'off' and score > 0",
        "(select count(*) from gloss.cancel(everything => true)) > 0",
    ])
    func aConditionWritesNothing(condition: String) async throws {
        let words = ["export", "coco", "--where", condition, "--output", folder.file("out")]
        let run = try await Tool.run(
            Tool.path, words + ["--database", queue.database.conninfo(as: .superuser)])
        #expect(run.status == 1, "\(run.output)")
        #expect(run.errors.hasPrefix("glossctl: --where: "), "\(run.errors)")
        #expect(try names.isEmpty)
    }

    @Test func resultsAreChosen() async throws {
        func count(_ words: String...) async throws -> [Int?] {
            let run = try await Tool.run(
                Tool.path,
                [
                    "export", "coco", "--json", "--output", folder.file("out"), "--database",
                    queue.database.conninfo(as: .reader),
                ]
                    + words)
            let counts = try #require(try run.json().first?["counts"] as? [String: Any], "\(run.errors)")
            return [counts["images"] as? Int, counts["objects"] as? Int]
        }
        #expect(try await count("--task", "segment") == [1, 1])
        #expect(try await count("--where", "score > .3 -- and no more") == [4, 3])
        #expect(try await count("--since", "2100-01-01") == [0, 0])
        #expect(try await count("--model", "other") == [0, 0])
        #expect(try await count("--model", String(repeating: "a", count: 64)) == [4, 4])
        let none = try await queue.export("coco", "--batch", "nope", to: folder)
        #expect(none.status == 1 && none.errors == "glossctl: there is no batch \"nope\"\n")
    }

    @Test func categoriesKeepTheirNumbers() async throws {
        func categories() throws -> [String] {
            let manifest = try JSONSerialization.jsonObject(with: Data(folder.read("out/manifest.json").utf8))
            let list = try #require((manifest as? [String: Any])?["categories"] as? [[String: Any]])
            return list.compactMap { $0["name"] as? String }
        }
        _ = try await queue.export("coco", "--task", "segment", to: folder)
        #expect(try categories() == ["ring"])
        _ = try await queue.export("coco", to: folder)
        #expect(try categories() == ["ring", ExportQueue.hardLabel, "cat"])
        let file = try folder.write("names.txt", "dog\ncat\n")
        _ = try await queue.export("coco", "--categories", file, to: folder)
        #expect(try categories() == ["dog", "cat"])
        for (text, words) in [
            ("", "has no line"), ("a\n\nb\n", "line 2: is empty"), ("a\nb\na\n", "line 3: \"a\" is line 1 too"),
        ] {
            let file = try folder.write("names.txt", text)
            let run = try await queue.export("coco", "--categories", file, to: folder)
            #expect(run.status == 65 && run.errors.contains("names.txt") && run.errors.contains(words), "\(run.errors)")
        }
    }

    @Test func theSameQueryGivesTheSameBytes() async throws {
        for name in ["one", "two"] {
            let run = try await queue.export("coco", "--where", "score > .2", to: folder, name: name)
            #expect(run.status == 0, "\(run.errors)")
        }
        for name in ["instances.json", "manifest.json"] {
            #expect(try folder.read("one/\(name)") == folder.read("two/\(name)"))
        }
    }

    @Test func aFolderOfSomebodyElseIsLeftAlone() async throws {
        try FileManager.default.createDirectory(atPath: folder.file("out"), withIntermediateDirectories: false)
        try folder.write("out/letter.txt", "dear")
        let run = try await queue.export("coco", to: folder)
        #expect(run.status == 1 && run.errors.contains("exists and is no export"), "\(run.errors)")
        #expect(try folder.read("out/letter.txt") == "dear" && names == ["out"])
        // Others have a manifest.json, too.
        try folder.write("out/manifest.json", #"{"name": "site", "categories": []}"#)
        for format in ["coco", "jsonl"] {
            let other = try await queue.export(format, to: folder)
            #expect(other.status == 1 && other.errors.contains("exists and is no export"), "\(other.errors)")
        }
        #expect(try folder.read("out/letter.txt") == "dear" && names == ["out"])
        try folder.write("file", "")
        let file = try await queue.export("coco", to: folder, name: "file")
        #expect(file.errors.contains("exists and is no folder"), "\(file.errors)")
    }

    @Test(arguments: [
        ("{", "the file ends too early"), ("[]", "{ is missing"), ("{\"images\": []}", "has no images"),
        ("{\"images\": [{\"file_name\": \"a\"}]}", "an image needs an id"),
        ("{\"images\": [{\"id\": 1}, {\"id\": 1}]}", "two images have the id 1"),
        ("{\"images\": [{\"id\": 1}], \"categories\": [{\"id\": 1}]}", "a category needs an id"),
        (
            "{\"images\": [{\"id\": 1}], \"categories\": [{\"id\": 1, \"name\": \"a\"}, {\"id\": 2, \"name\": \"a\"}]}",
            "one name"
        ),
    ])
    func aGroundTruthThatIsNoGoodIsExplained(text: String, words: String) throws {
        let file = try folder.write("gt.json", text)
        let error = #expect(throws: CommandError.self) { try COCOIdentifiers(file) }
        #expect(error?.status == .badData && error?.message.contains(words) ?? false, "\(error?.message ?? "")")
        #expect(error?.message.hasPrefix(file) ?? false)
    }

    // MARK: Images

    @Test func imagesAreLinkedOrRefused() async throws {
        let (allow, root) = (ExportQueue.files[0], ExportQueue.files[1])
        let run = try await queue.export("imagefolder", "--images", "link", allow, root, to: folder)
        #expect(run.status == 0, "\(run.errors)")
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: folder.file("out/train/rgb.png"))
        #expect(link == Tree.image("rgb.png"))
        // Nothing is allowed by default.
        let none = try await queue.export("imagefolder", to: folder)
        #expect(none.errors.contains("4 images were left out"), "\(none.errors)")
        let refused = try folder.read("out/refused.jsonl").split(separator: "\n")
        #expect(refused.count == 4 && refused[0].contains("\"outcome\":\"missing\",\"reason\":\""))
    }

    @Test func aFileThatChangedIsRefused() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let copy = try folder.write("image.png", "another file")
        try await database.query("select gloss.enqueue_detect('file://\(copy)', array['cat'], key => 'd')")
        let worker = Worker(database)
        for job in try await worker.claim() { try await worker.complete(job, [Worker.text("")]) }
        let words = [
            "export", "yolo", "--images", "copy", "--allow-files", folder.path, "--output", folder.file("out"),
        ]
        let run = try await Tool.run(Tool.path, words + ["--json", "--database", database.conninfo(as: .reader)])
        #expect(run.status == 0, "\(run.errors)")
        let counts = try #require(try run.json().first?["counts"] as? [String: Any])
        #expect(counts["changed_images"] as? Int == 1 && counts["images"] as? Int == 0)
        #expect(try folder.read("out/refused.jsonl").contains("\"outcome\":\"changed\""))
    }

    /// Interrupted while it waits for an image: the earlier export stands, and nothing else does.
    @Test(arguments: [SIGINT, SIGTERM])
    func anInterruptedExportLeavesNothing(signal: Int32) async throws {
        let (asked, gate) = (Gate(), Gate())
        let server = try LoopbackServer([
            "/a.jpg": { exchange in
                asked.open()
                gate.pass()
                exchange.end()
            }
        ])
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query("select gloss.enqueue_detect('\(server.url("/a.jpg"))', array['cat'])")
        let worker = Worker(database)
        for job in try await worker.claim() {
            let images = job.spec.imageURLs.map { Samples.image($0) }
            try await worker.complete(
                job, Samples.result([Worker.text("")], prompts: job.spec.prompts), images: images)
        }
        let words = ["export", "yolo", "--output", folder.file("out"), "--database", database.conninfo(as: .reader)]
        #expect(try await Tool.run(Tool.path, words).status == 0)
        let allow = ["--images", "copy", "--allow-network", "127.0.0.0/8", "--allow-port", "\(server.port)"]
        let child = try ChildProcess(Tool.path, words + allow, environment: ProcessInfo.processInfo.environment)
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                asked.pass()
                continuation.resume()
            }
        }
        #expect(try names.count == 2, "the new export is beside the old one")
        child.signal(signal)
        #expect(await child.wait() == -signal)
        gate.open()
        #expect(try names == ["out"])
        #expect(try folder.read("out/data.yaml").hasPrefix("train: images/train\n"))
    }
}
