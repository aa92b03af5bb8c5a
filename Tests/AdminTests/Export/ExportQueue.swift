import Annotation
import Foundation
import Images
import Queue
import TestSupport
import Testing

@testable import Admin

/// A queue with results of every kind that is exported: read by all tests of exports, changed by none.
struct ExportQueue {
    static let shared = Task { try await ExportQueue() }

    /// A label with what each format has to escape.
    static let hardLabel = "\"a\", <b> & 🐈"
    static let hardCaption = "a \"red\", <cube>; it's 🧊\nhere"
    /// A ring and a pixel, 6 × 5.
    static let ring = mask([".XXX..", ".X.X..", ".XXX.X", "......", "......"])

    let database: TestDatabase

    private init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.enqueue_detect('\(Self.url("rgb.png"))', array['cat', 'dog'], key => 'd,1', batch => 'b'),
                   gloss.enqueue_detect('\(Self.url("exif6.jpg"))', array['cat'], key => 'exif6.jpg', batch => 'b'),
                   gloss.enqueue_detect('\(Self.url("grey.png"))', array['cat'], key => 'd3', batch => 'b'),
                   gloss.enqueue_segment('\(Self.url("palette.png"))', array['ring'], key => 's', batch => 'b'),
                   gloss.enqueue_caption('\(Self.url("rgb.png"))', key => 'c1', batch => 'b'),
                   gloss.enqueue_caption('\(Self.url("grey.png"))', key => 'c2', batch => 'b'),
                   gloss.enqueue_multiview('obj;1', array['https://a.invalid/1.jpg'], array['what?'], 2, batch => 'b'),
                   gloss.enqueue_detect('https://a.invalid/gone.jpg', array['cat'], key => 'gone', batch => 'b')
            """)
        let worker = Worker(database)
        for job in try await worker.claim().sorted(by: { $0.id.rawValue < $1.id.rawValue }) {
            let images = try job.spec.imageURLs.map(Self.image)
            guard let result = Self.result(of: job) else {
                try await worker.fail(job, code: "http_404", reason: "gone")
                continue
            }
            try await worker.complete(job, result, images: images)
        }
        try await database.query(
            "select gloss.enqueue_detect('https://a.invalid/later.jpg', array['cat'], key => 'later', batch => 'b')")
    }

    private static func result(of job: ClaimedJob) -> AnnotationResult? {
        func found(_ findings: Finding...) -> AnnotationResult {
            Samples.result([Worker.text("…")], prompts: job.spec.prompts, findings: findings)
        }
        switch job.key {
        case "d,1":
            return found(
                Finding(label: "cat", score: 0.75, box: Box(y1: 0.125, x1: 0.25, y2: 0.5, x2: 1)),
                Finding(label: hardLabel, score: 0.5, box: Box(y1: 0, x1: 0, y2: 0.25, x2: 0.5)),
                Finding(label: "cat", score: 0.125, box: Box(y1: 0.5, x1: 0.5, y2: 0.5, x2: 0.75)))
        case "exif6.jpg":
            return found(Finding(label: "cat", score: 0.25, box: Box(y1: 0.1, x1: 0.2, y2: 0.6, x2: 0.9)))
        case "d3": return found()
        case "s":
            var ring = Finding(label: "ring", score: 1, box: Box(y1: 0, x1: 1.0 / 6, y2: 0.6, x2: 1))
            (ring.mask, ring.codes) = (Self.ring, Array(0..<16))
            return found(ring)
        case "c1": return Samples.result([Worker.text(hardCaption)], prompts: job.spec.prompts)
        case "c2": return Samples.result([Worker.text("grey")], prompts: job.spec.prompts)
        case "obj;1":
            let view = ViewResponses(
                view: 0, responses: [[Worker.text("mug"), Worker.text("a \"cup\"; blue")]],
                images: [Samples.image("https://a.invalid/1.jpg")])
            let shares = [
                AggregatedAnswer(answer: "mug", probability: 0.625),
                AggregatedAnswer(answer: "a \"cup\"; blue", probability: 0.375),
            ]
            return Samples.result(shares, prompts: job.spec.prompts, views: [view])
        default: return nil
        }
    }

    /// The URL of a test image.
    static func url(_ name: String) -> String { "file://" + Tree.image(name) }

    /// The digest of a test image's file.
    static func digest(_ name: String) throws -> String {
        SHA256Digest.hex([UInt8](try Data(contentsOf: URL(fileURLWithPath: Tree.image(name)))))
    }

    /// What the queue is told of an image. The sizes are not the files' own.
    private static func image(_ url: String) throws -> SourceImage {
        guard url.hasPrefix("file:") else { return Samples.image(url) }
        let name = (url as NSString).lastPathComponent
        let (width, height) =
            ["rgb.png": (640, 480), "exif6.jpg": (30, 40), "grey.png": (8, 8), "palette.png": (6, 5)][name] ?? (1, 1)
        let info = ImageInfo(
            sha256: try digest(name), width: width, height: height, orientation: name == "exif6.jpg" ? 6 : 1,
            format: name.hasSuffix("jpg") ? "jpeg" : "png", byteCount: 100)
        return SourceImage(info: info, finalURL: url)
    }

    /// A mask of rows in which X is inside.
    static func mask(_ rows: [String]) -> RunLengthMask {
        RunLengthMask(
            height: rows.count, width: rows[0].count, rows: 0..<rows.count, columns: 0..<rows[0].count,
            pixels: rows.joined().map { $0 == "X" })
    }

    /// Exports to a folder of its own as somebody who may read.
    func export(_ words: String..., to folder: TemporaryFolder, name: String = "out") async throws -> Tool.Run {
        let database = database.conninfo(as: .reader)
        return try await Tool.run(
            Tool.path, ["export"] + words + ["--output", folder.file(name), "--database", database])
    }

    /// The options that let the test images be read.
    static let files = ["--allow-files", Tree.root.appendingPathComponent("Tests/Fixtures/images").path]
}
