import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

/// Results of a real daemon with the shipped model, and where they came from: a web server whose one photo can be changed.
struct ReproduceWorld {
    private static let root = GlossdProcess.fixtures.deletingLastPathComponent().deletingLastPathComponent()
    static let model = root.appending(path: "models/gloss-shapes")
    static let decoder = model.appending(path: "mask-decoder.safetensors").path

    /// What the web server gives as /photo.png; nothing: it is gone.
    final class Photo: Sendable {
        private let content = Mutex(ReproduceWorld.square(redPixel: false))

        var bytes: [UInt8] {
            get { content.withLock { $0 } }
            set { content.withLock { $0 = newValue } }
        }
    }

    let database: TestDatabase
    let photo = Photo()
    let server: LoopbackServer
    /// The daemon's configuration.
    let config: String
    /// What may be fetched.
    let fetching: [String]
    /// The model and the mask decoder as well.
    let given: [String]

    /// Enqueues jobs of every kind, and has a daemon run them.
    init() async throws {
        database = try await PrivatePostgres.shared.makeDatabase()
        var scripts: [String: LoopbackServer.Script] = [
            "/moved.jpg": { $0.redirect(to: "/scene.jpg") },
            "/photo.png": { [photo] in $0.answer(photo.bytes.isEmpty ? 404 : 200, photo.bytes) },
        ]
        for (path, file) in [
            "/scene.jpg": "scene-00.jpg", "/mask.webp": "scene-02.webp", "/view-0.jpg": "objects/obj-0/view-0.jpg",
            "/view-2.jpg": "objects/obj-0/view-2.jpg",
        ] {
            let bytes = Array(try Data(contentsOf: Self.root.appending(path: "demo/images/\(file)")))
            scripts[path] = { $0.answer(200, bytes) }
        }
        server = try LoopbackServer(scripts)
        config = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID()).yaml").path
        fetching = ["--allow-network", "127.0.0.0/8", "--allow-port", "\(server.port)"]
        given = ["--model", Self.model.path, "--mask-decoder", Self.decoder] + fetching
        try writeConfiguration()
        try await enqueue()
        try await runDaemon()
    }

    private func writeConfiguration() throws {
        try """
        model: \(Self.model.path)
        mask_decoder: \(Self.decoder)
        fetch:
          networks: [127.0.0.0/8]
          ports: [\(server.port)]
          data_urls: true
        """.write(toFile: config, atomically: true, encoding: .utf8)
    }

    /// A blue square, with one red pixel or without.
    static func square(redPixel: Bool) -> [UInt8] {
        let blue = (0..<24).flatMap { _ in [30, 60, 220] as [UInt8] }
        var rows = Array(repeating: [UInt8](repeating: 255, count: 3 * 64), count: 64)
        for row in 20..<44 { rows[row].replaceSubrange(60..<132, with: blue) }
        if redPixel { rows[5].replaceSubrange(15..<18, with: [255, 0, 0]) }
        return PNGWriter(width: 64, height: 64, rows: rows).bytes
    }

    /// Everything about how a job is asked: samples, beams, choices, boxes, masks, several images, views, and a question that
    /// follows from an answer.
    private func enqueue() async throws {
        let scene = "'\(server.url("/scene.jpg"))'"
        let views = "array['\(server.url("/view-0.jpg"))', '\(server.url("/view-2.jpg"))']"
        let embedded = "data:image/png;base64,\(Data(Self.square(redPixel: true)).base64EncodedString())"
        for call in [
            "caption('\(server.url("/photo.png"))', key => 'photo', token_scores => true",
            "caption('\(server.url("/moved.jpg"))', key => 'beams', beams => 3",
            "caption(\(scene), key => 'drawn', draw_box => '{0.1,0.2,0.9,0.8}', background => '#00ff00'",
            "vqa(\(scene), 'how many objects are there?', key => 'samples', samples => 4, seed => 3, top_p => 0.9",
            "vqa(urls => \(views), question => 'what is this?', key => 'two'",
            "vqa('\(embedded)', 'what colour is the square?', key => 'data'",
            "choice(\(scene), 'is there a star?', array['yes', 'no'], key => 'choice'",
            "detect(\(scene), array['cube', 'circle', 'star'], key => 'boxes'",
            "segment('\(server.url("/mask.webp"))', array['cone'], key => 'masks'",
            """
            multiview('object', \(views), questions => array['What is this?', 'What type of object is this?'],
                follow_ups => array['what colour is the {answer}?'], samples => 3, seed => 1
            """,
        ] { try await database.query("select gloss.enqueue_\(call), batch => 'b')") }
    }

    private func runDaemon() async throws {
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_MODEL"] = Self.model.path
        settings["GLOSS_MASK_DECODER"] = Self.decoder
        settings["GLOSS_FETCH_DATA_URLS"] = "true"
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'b'", in: database, [daemon])
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        let count = try await database.query("select count(*) from gloss.result").scalar
        #expect(count == "10", "\(daemon.output)")
    }

    /// Runs `glossctl reproduce`.
    func reproduce(_ arguments: [String], as user: TestDatabase.User = .admin) async throws -> GlossctlRun {
        try await GlossctlRun(["reproduce", "--database", database.conninfo(as: user)] + arguments)
    }

    /// The number of a job.
    func job(_ key: String) async throws -> String {
        try #require(try await database.query("select id from gloss.job where key = $1", [SQLValue(key)]).scalar)
    }

    /// What `--json` said of each job, by its key.
    func rows(_ run: GlossctlRun) async throws -> [String: [String: Any]] {
        let keys = try await database.query("select id, key from gloss.job").rows
        let names = Dictionary(uniqueKeysWithValues: keys.map { ($0[0] ?? "", $0[1] ?? "") })
        return Dictionary(uniqueKeysWithValues: try run.json().map { (names["\($0["job"] ?? "")"] ?? "", $0) })
    }

    /// The outcome of each job, by its key.
    func outcomes(_ run: GlossctlRun) async throws -> [String: String] {
        try await rows(run).mapValues { $0["outcome"] as? String ?? "" }
    }

    /// Of all that is stored of jobs and results.
    func queueDigest() async throws -> String? {
        try await database.query(
            """
            select md5(string_agg(x::text, ' ' order by x::text)) from (
                select to_jsonb(a) as x from gloss.annotation a union all select to_jsonb(j) from gloss.job j
                union all select to_jsonb(f) from gloss.finding f union all select to_jsonb(s) from gloss.annotation_stage s) y
            """
        ).scalar
    }
}
