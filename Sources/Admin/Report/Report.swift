import ArgumentParser
import Foundation
import Queue
import Storage
import Synchronization

/// `glossctl report`
struct Report: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes an HTML page of results, with the images, boxes, answers and their probabilities.",
        discussion: """
            All that is known of an image stands in one card; each multiview object has a card with its views and the \
            distribution of its answers. The page is one file. It shows the images from their own URLs, or, with \
            --embed, carries them.

            EXAMPLES
              glossctl report --batch photos --output photos.html
              glossctl report --batch photos --embed --output photos.html

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
    @Flag(help: "Put the images' bytes into the page.")
    var embed = false
    @Option(help: "The file to write.", completion: .file(extensions: ["html"]))
    var output: String

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit must not be negative.") }
    }

    func run() async throws {
        let administration = database.administration(statementTimeout: nil)
        if let batch { try await administration.batch(named: batch) }
        let cards = ReportCard.group(try await rows(administration))
        let page = PageHTML(
            title: title ?? batch ?? "All results", cards: cards,
            dead: try await administration.jobs(JobFilter(state: "dead", batch: batch), limit: Self.mostFailures),
            leftCount: try await left(administration))
        let missing = try await write(page, to: try OutputFile(output))
        try say(page, missing: missing)
    }

    private func rows(_ administration: Administration) async throws -> [ReportRow] {
        let rows = Mutex<[ReportRow]>([])
        try await administration.exportJSON(.result, batch: batch, limit: limit) { json in
            let row = try ReportRow(json: json)
            rows.withLock { $0.append(row) }
        }
        return rows.withLock { $0 }
    }

    private func left(_ administration: Administration) async throws -> Int {
        try await GroupCounts(batch.map(JobSelection.batch) ?? .everything, administration).left
    }

    /// - Returns: how many images could not be embedded.
    private func write(_ page: PageHTML, to file: OutputFile) async throws -> Int {
        let embedder = embed ? try ImageEmbedder() : nil
        let bar = ProgressBar("report")
        defer { bar.finish() }
        var missing = 0
        try file.write(page.head)
        for start in stride(from: 0, to: page.cards.count, by: Self.embeddedTogether) {
            let part = page.cards[start..<min(start + Self.embeddedTogether, page.cards.count)]
            let urls = Set(part.flatMap(\.imageURLs))
            let embedded = await embedder?.embed(urls)
            missing += embedded.map { urls.count - $0.count } ?? 0
            for index in part.indices {
                try file.write(page.opening(before: index))
                try file.write(CardHTML(card: part[index], embedded: embedded ?? [:]).html)
            }
            bar.show(Double(part.endIndex) / Double(page.cards.count), count: part.endIndex)
        }
        try file.write(page.tail)
        try file.close()
        return missing
    }

    private func say(_ page: PageHTML, missing: Int) throws {
        struct Answer: Encodable {
            var output: String
            var cards: Int
            var results: Int
            var failures: Int
            var not_embedded: Int
        }
        let results = page.cards.reduce(0) { $0 + $1.rows.count }
        if format.json {
            try JSONText.say(
                Answer(
                    output: output, cards: page.cards.count, results: results, failures: page.dead.count,
                    not_embedded: missing))
        } else {
            let those = missing == 0 ? "" : ", \(missing) images could not be embedded and keep their URLs"
            Console.note("\(output): \(results) results in \(page.cards.count) cards\(those).")
        }
    }
}
