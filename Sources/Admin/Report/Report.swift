import ArgumentParser
import Console
import Foundation
import Queue
import Storage
import Synchronization

/// `glossctl report`
struct Report: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes an HTML page of results, with the images, boxes, masks, answers and their probabilities.",
        discussion: """
            All that is known of an image stands in one card; each multiview object has a card with its views, the \
            distribution of its answers, and that of each follow-up question. The page is one file. It shows the images from their own URLs, or, with \
            --embed, carries them: those that may be fetched under the daemon's policy (public addresses, ports 80 and 443) \
            and are still the files that were annotated, by their SHA-256. Others keep their URLs.

            EXAMPLES
              glossctl report --batch photos --output photos.html
              glossctl report --batch photos --embed --output photos.html
              glossctl report --batch photos --embed --allow-network 10.1.0.0/16 --output photos.html

            \(ExitStatus.help)
            """)

    /// Cards whose images are fetched together and then forgotten.
    private static let embeddedTogether = 32
    private static let mostFailures = 500

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Option(help: "Only results of this batch; all by default.")
    var batch: String?
    @Option(help: "The page's title; the batch by default.")
    var title: String?
    @Option(help: "The most results.")
    var limit: Int?
    @OptionGroup var embedding: EmbedOptions
    @Option(help: "The file to write.", completion: .file(extensions: ["html"]))
    var output: String

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        if let batch { try await administration.batch(named: batch) }
        let embedder = embedding.embed ? try ImageEmbedder(embedding.fetching.policy) : nil
        let cards = ResultCard.group(try await rows(administration, embedder))
        let page = PageHTML(
            title: title ?? batch ?? "All results", cards: cards,
            losses: try await administration.losses(ofBatch: batch),
            dead: try await administration.jobs(JobFilter(state: "dead", batch: batch), limit: Self.mostFailures),
            leftCount: try await left(administration))
        let embedded = try await write(page, to: try OutputFile(output), embedder)
        try say(page, embedded, embedder?.problem)
    }

    private func rows(_ administration: Administration, _ embedder: ImageEmbedder?) async throws -> [ResultRow] {
        let rows = Mutex<[ResultRow]>([])
        try await administration.exportJSON(.result, batch: batch, limit: limit) { json in
            let row = try ResultRow(json: json)
            try embedder?.learn(from: json)
            rows.withLock { $0.append(row) }
        }
        return try await withDetails(rows.withLock { $0 }, administration)
    }

    /// The rows with what they found, and with their further stages.
    private func withDetails(_ rows: [ResultRow], _ administration: Administration) async throws -> [ResultRow] {
        let places = Mutex(Dictionary(uniqueKeysWithValues: rows.map { ($0.job_id, $0) }))
        try await administration.exportJSON(.found, batch: batch) { json in
            let row = try FoundRow(json: json)
            places.withLock { $0[row.job_id]?.findings.append(row) }
        }
        if rows.contains(where: \.isObject) {
            try await administration.exportJSON(.multiviewStage, batch: batch) { json in
                let row = try FollowUpRow(json: json)
                if row.stage > 1 { places.withLock { $0[row.job_id]?.followUps.append(row) } }
            }
        }
        return places.withLock { places in
            rows.compactMap { row in
                var row = places[row.job_id]
                row?.findings.sort { $0.n < $1.n }
                row?.followUps.sort { $0.stage < $1.stage }
                return row
            }
        }
    }

    private func left(_ administration: Administration) async throws -> Int {
        try await GroupCounts(batch.map(JobSelection.batch) ?? .everything, administration).left
    }

    /// - Returns: what became of the images; none of them is kept.
    private func write(
        _ page: PageHTML, to file: OutputFile, _ embedder: ImageEmbedder?
    ) async throws -> ImageEmbedder.Embedded {
        let bar = ProgressBar("report")
        defer { bar.finish() }
        var all = ImageEmbedder.Embedded()
        try file.write(page.head.description)
        for start in stride(from: 0, to: page.cards.count, by: Self.embeddedTogether) {
            let part = page.cards[start..<min(start + Self.embeddedTogether, page.cards.count)]
            let urls = Set(part.flatMap(\.imageURLs))
            let embedded = await embedder?.embed(urls) ?? ImageEmbedder.Embedded()
            all.missingCount += embedded.missingCount
            all.changedCount += embedded.changedCount
            let images = embedded.images
            let places = CardHTML.Places(picture: { row, index in
                images[row.image_urls[index]] ?? row.image_urls[index]
            })
            for index in part.indices {
                try file.write(page.opening(before: index).description)
                try file.write(CardHTML(card: part[index], places: places).html.description)
            }
            bar.show(Double(part.endIndex) / Double(page.cards.count), count: part.endIndex)
        }
        try file.write(page.tail.description)
        try file.close()
        return all
    }

    private func say(_ page: PageHTML, _ embedded: ImageEmbedder.Embedded, _ problem: String?) throws {
        struct Answer: Encodable {
            var output: String
            var cards: Int
            var results: Int
            var failures: Int
            var not_embedded: Int
            var changed: Int
        }
        let results = page.cards.reduce(0) { $0 + $1.rows.count }
        if format.json {
            try JSONText.say(
                Answer(
                    output: output, cards: page.cards.count, results: results, failures: page.deadCount,
                    not_embedded: embedded.missingCount, changed: embedded.changedCount))
        } else {
            Console.note("\(output): \(results) results in \(page.cards.count) cards.")
            if embedded.missingCount > 0 {
                let example = problem.map { ", such as: \($0)" } ?? ""
                Console.note("\(embedded.missingCount) images keep their URLs, since they cannot be fetched\(example).")
            }
            if embedded.changedCount > 0 {
                Console.note("\(embedded.changedCount) images keep their URLs, since their files have changed.")
            }
        }
    }
}
