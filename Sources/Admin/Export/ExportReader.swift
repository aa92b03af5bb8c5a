import Foundation
import Queue
import Storage

/// Reads images with what was found in them, one after the other, by their numbers. Two cursors of one snapshot run side
/// by side: the jobs of each image, and the findings. So memory does not grow with the results.
struct ExportReader {
    private static let pieceSize = 4000
    /// With URLs of up to a mebibyte in them.
    private static let pieceSizeWithSources = 32

    private var jobs: Rows
    /// Nil where jobs alone are read.
    private var findings: Rows?

    /// - Parameters:
    ///   - first: the image that comes before the others; nil: by their numbers.
    ///   - withSources: whether URLs are read that hold their image, to fetch it.
    ///   - withTexts: whether answers and prompts are read.
    init(
        _ snapshot: Snapshot, _ selection: ExportSelection, first: Int? = nil, withSources: Bool, withTexts: Bool
    ) async throws {
        let parameters = selection.parameters + [SQLValue(first ?? 0)]
        let jobs = try await snapshot.cursor(
            "job",
            """
            select i.id, encode(i.sha256, 'hex'), i.width, i.height, i.orientation, i.format, i.byte_count, a.job_id,
                   a.task, j.key, case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[u.n:u.n]))[1]
                                       else j.image_urls[u.n] end,
                   a.final_urls[u.n], \(withSources ? "j.image_urls[u.n]" : "null::text"), e.model,
                   \(withTexts ? "a.prompts[1], coalesce(a.answers[1], a.texts[1])" : "null::text, null::text"), a.score
            from \(ExportSelection.results) cross join lateral unnest(a.image_sha256) with ordinality u (sha256, n)
            join gloss.image i on i.sha256 = u.sha256
            where \(selection.areChosen)
            order by i.id <> $5::bigint, i.id, a.job_id, u.n
            """, parameters)
        self.jobs = Rows(jobs, withSources ? Self.pieceSizeWithSources : Self.pieceSize)
        guard selection.view == .found else { return }
        findings = try await selection.explained {
            Rows(
                try await snapshot.cursor(
                    "finding",
                    """
                    select image_id, job_id, label, score, y1, x1, y2, x2, mask, note, model from \(selection.rows) f
                    where image_id is not null order by image_id <> $5::bigint, image_id, job_id, image, n
                    """, parameters), Self.pieceSize)
        }
    }

    /// The next image; nil at the end.
    mutating func next(_ selection: ExportSelection) async throws -> ExportedImage? {
        guard let row = try await jobs.next(), let id = row[0], var image = Self.image(row) else { return nil }
        while let more = try await jobs.peek(), more[0] == id {
            // The frames of a video repeat an image.
            if more[7] != row[7], let job = Self.job(more), job.id != image.jobs.last?.id { image.jobs.append(job) }
            _ = try await jobs.next()
        }
        while let finding = try await selection.explained({ try await findings?.peek() }), finding[0] == id {
            if let one = Self.finding(finding) { image.findings.append(one) }
            _ = try await findings?.next()
        }
        return image
    }

    private static func image(_ row: [String?]) -> ExportedImage? {
        guard let id = int(row[0]), let sha256 = row[1], let width = int(row[2]), let height = int(row[3]),
            let orientation = int(row[4]), let format = row[5], let bytes = int(row[6]), let job = job(row)
        else { return nil }
        return ExportedImage(
            id: id, sha256: sha256, width: width, height: height, orientation: EXIFOrientation(orientation),
            format: format, byteCount: bytes, jobs: [job])
    }

    private static func job(_ row: [String?]) -> ExportedJob? {
        guard let id = int(row[7]), let task = row[8], let model = row[13] else { return nil }
        return ExportedJob(
            id: id, task: task, key: row[9], url: row[10] ?? "", finalURL: row[11] ?? "", source: row[12],
            model: model, prompt: row[14] ?? "", text: row[15] ?? "", score: row[16])
    }

    private static func finding(_ row: [String?]) -> ExportedFinding? {
        guard let job = int(row[1]), let label = row[2], let score = row[3], let model = row[10] else { return nil }
        var finding = ExportedFinding(
            job: job, label: label, score: score, mask: row[8], note: row[9], model: model)
        if let y1 = real(row[4]), let x1 = real(row[5]), let y2 = real(row[6]), let x2 = real(row[7]) {
            finding.box = (y1, x1, y2, x2)
        }
        return finding
    }

    private static func int(_ text: String?) -> Int? { text.flatMap { Int($0) } }
    private static func real(_ text: String?) -> Double? { text.flatMap { Double($0) } }

    /// The rows of a cursor, one by one.
    private struct Rows {
        private let cursor: Snapshot.Cursor
        private let pieceSize: Int
        private var piece: [[String?]] = []
        private var place = 0
        private var isAtEnd = false

        init(_ cursor: Snapshot.Cursor, _ pieceSize: Int) { (self.cursor, self.pieceSize) = (cursor, pieceSize) }

        mutating func peek() async throws -> [String?]? {
            if place == piece.count && !isAtEnd {
                piece = try await cursor.next(pieceSize)
                place = 0
                isAtEnd = piece.count < pieceSize
            }
            return place < piece.count ? piece[place] : nil
        }

        mutating func next() async throws -> [String?]? {
            guard let row = try await peek() else { return nil }
            place += 1
            return row
        }
    }
}
