import Foundation
import Queue
import Storage

/// Reads images with what was found in them, one after the other, by their numbers. A row is a finding, or a job that found
/// nothing; they come through a cursor, so that memory does not grow with the results.
struct ExportReader {
    private static let pieceSize = 4000
    /// With URLs of up to a mebibyte in them.
    private static let pieceSizeWithSources = 32

    private var rows: Rows

    /// - Parameters:
    ///   - first: the image that comes before the others; nil: by their numbers.
    ///   - withSources: whether URLs are read that hold their image, to fetch it.
    ///   - withTexts: whether answers and prompts are read.
    init(
        _ snapshot: Snapshot, _ selection: ExportSelection, first: Int? = nil, withSources: Bool, withTexts: Bool
    ) async throws {
        let sources = withSources ? "a.final_urls[u.n], j.image_urls[u.n]" : "null::text, null::text"
        let texts =
            withTexts
            ? "a.prompts[1], \(selection.text), a.score" : "null::text, null::text, null::real"
        let order = (first == nil ? "" : "i.id <> $5::bigint, ") + "i.id, a.job_id, u.n"
        let hasFindings = selection.view == .found
        let cursor = try await snapshot.cursor(
            "image",
            """
            select i.id, encode(i.sha256, 'hex'), i.width, i.height, i.orientation, i.format, i.byte_count, a.job_id,
                   a.task, j.key, case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[u.n:u.n]))[1]
                                       else j.image_urls[u.n] end,
                   \(sources), e.model, \(texts)
                   \(hasFindings ? ", f.label, f.score, f.y1, f.x1, f.y2, f.x2, f.mask, f.note" : "")
            from \(ExportSelection.results) cross join lateral unnest(a.image_sha256) with ordinality u (sha256, n)
            join gloss.image i on i.sha256 = u.sha256
            \(hasFindings
                ? "left join \(selection.findings) f on f.job_id = a.job_id and f.fence = a.fence and f.image = u.n" : "")
            where \(selection.areChosen)
            order by \(order)\(hasFindings ? ", f.n" : "")
            """, selection.parameters + (first.map { [SQLValue($0)] } ?? []))
        rows = Rows(cursor, withSources ? Self.pieceSizeWithSources : Self.pieceSize)
    }

    /// The next image; nil at the end.
    mutating func next(_ selection: ExportSelection) async throws -> ExportedImage? {
        guard let first = try await selection.explained({ try await rows.peek() }), let id = first[0],
            var image = Self.image(first)
        else { return nil }
        while let row = try await selection.explained({ try await rows.peek() }), row[0] == id {
            // The frames of a video repeat an image.
            if row[7] != first[7], let job = Self.job(row), job.id != image.jobs.last?.id { image.jobs.append(job) }
            if row.count > 17, let finding = Self.finding(row) { image.findings.append(finding) }
            rows.take()
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
        guard let job = int(row[7]), let model = row[13], let label = row[17], let score = row[18] else { return nil }
        var finding = ExportedFinding(
            job: job, label: label, score: score, mask: row[23], note: row[24], model: model)
        if let y1 = real(row[19]), let x1 = real(row[20]), let y2 = real(row[21]), let x2 = real(row[22]) {
            finding.box = (y1, x1, y2, x2)
        }
        return finding
    }

    private static func int(_ text: String?) -> Int? { text.flatMap { Int($0) } }
    private static func real(_ text: String?) -> Double? { text.flatMap { Double($0) } }

    /// The rows of a cursor, one by one. While one piece is worked on, the next one is on its way.
    private struct Rows {
        private let cursor: Snapshot.Cursor
        private let pieceSize: Int
        private var piece: [[String?]] = []
        private var place = 0
        private var coming: Task<[[String?]], any Error>?

        init(_ cursor: Snapshot.Cursor, _ pieceSize: Int) {
            (self.cursor, self.pieceSize) = (cursor, pieceSize)
            fetch()
        }

        private mutating func fetch() {
            let (cursor, pieceSize) = (cursor, pieceSize)
            coming = Task { try await cursor.next(pieceSize) }
        }

        mutating func peek() async throws -> [String?]? {
            if place == piece.count, let coming {
                piece = try await coming.value
                place = 0
                if piece.count == pieceSize { fetch() } else { self.coming = nil }
            }
            return place < piece.count ? piece[place] : nil
        }

        /// Goes on to the next one.
        mutating func take() { place += 1 }
    }
}
