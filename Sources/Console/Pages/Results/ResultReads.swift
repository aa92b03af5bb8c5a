/// Results with all that their cards show.
enum ResultReads {
    /// - Parameter jobs: in the order in which they come back; those without a result are left out.
    static func rows(_ reader: Reader, _ jobs: [Int64], isShown: Bool = true) async throws -> [ResultRow] {
        guard !jobs.isEmpty else { return [] }
        let results = try await reader.rows(
            ResultRow.self, "select * from gloss.result where job_id = any (\(jobs)::bigint[])", isShown: isShown)
        var places = Dictionary(results.map { ($0.job_id, $0) }) { first, _ in first }
        let found = try await reader.rows(
            FoundRow.self, "select * from gloss.found where job_id = any (\(jobs)::bigint[]) order by job_id, n",
            isShown: false)
        for row in found { places[row.job_id]?.findings.append(row) }
        if results.contains(where: \.isObject) {
            let stages = try await reader.rows(
                FollowUpRow.self,
                """
                select * from gloss.multiview_stage where job_id = any (\(jobs)::bigint[]) and stage > 1
                order by job_id, stage
                """, isShown: false)
            for row in stages { places[row.job_id]?.followUps.append(row) }
        }
        return jobs.compactMap { places[$0] }
    }

    /// Where the console has pictures and pages of jobs.
    static func places(_ size: PictureSize, links: Bool = true) -> CardHTML.Places {
        CardHTML.Places(
            picture: { row, index in picture(row, index, size) }, job: { links ? "/job/\($0.job_id)" : nil })
    }

    static func picture(_ row: ResultRow, _ index: Int, _ size: PictureSize) -> String {
        var query = URLQuery().setting("w", "\(size.rawValue)")
        if let digests = row.image_sha256, digests.indices.contains(index) {
            query = query.setting("v", WantedPicture.version(of: digests[index]))
        }
        return query.address("/picture/\(row.job_id)/\(index + 1)")
    }

    /// One of its pictures.
    static func image(_ row: ResultRow, _ index: Int, _ size: PictureSize, alternative: String) -> HTML {
        // The size keeps its room until the picture is there.
        var room: HTML = ""
        if let widths = row.widths, let heights = row.heights, widths.indices.contains(index),
            heights.indices.contains(index), let width = widths[index], let height = heights[index]
        {
            room = " width=\"\(width)\" height=\"\(height)\""
        }
        return """
            <img loading="lazy" decoding="async" src="\(picture(row, index, size))"\(room) \
            alt="\(alternative.isEmpty ? "no text" : alternative)">
            """
    }

    /// Cards, one a result.
    static func grid(_ rows: [ResultRow], isWide: Bool = false) -> HTML {
        let places = places(.card)
        let cards = rows.map { CardHTML(card: ResultCard(rows: [$0]), places: places, isSearchable: false).html }
        return "<h2 class=\"away\">Cards</h2><div class=\"grid\(isWide ? " wide" : "")\">\(cards)</div>"
    }
}
