import Annotation
import Foundation

/// A row of `gloss.result`, as far as the report shows it.
struct ReportRow: Decodable {
    var job_id: Int64
    var task: String
    var key: String?
    var text: String
    var sum_logprob: Double?
    var norm_logprob: Double?
    var finish_reason: String
    var texts: [String]
    var answers: [String]?
    var probabilities: [Double]?
    var image_urls: [String]
    var prompts: [String]
    var model: String
    var settings: Settings
    /// What was found, in the model's order.
    var findings: [FoundRow] = []

    /// What the report says of the decode settings.
    struct Settings: Decodable {
        var samples: Int?
    }

    enum CodingKeys: CodingKey {
        case job_id, task, key, text, sum_logprob, norm_logprob, finish_reason, texts, answers, probabilities
        case image_urls, prompts, model, settings
    }

    /// Reads the JSON object of a row.
    init(json: String) throws(CommandError) { self = try read(json, of: "gloss.result") }

    /// A box with what it shows; coordinates are fractions of the image, 0...1.
    struct LabelledBox: Equatable {
        var label: String
        var score: Double
        var y1: Double, x1: Double, y2: Double, x2: Double
    }

    /// The task; nil: a newer version's.
    var definition: (any AnnotationTask)? { TaskName(rawValue: task)?.definition }

    /// How the row is shown; that of a task unknown here as a text.
    var presentation: Presentation { definition?.presentation ?? .text }

    /// Whether its images are views of one object, which has a card of its own.
    var isObject: Bool { presentation == .distribution }

    /// The boxes that were found, the surest first.
    var boxes: [LabelledBox] {
        findings.compactMap { found in
            guard let y1 = found.y1, let x1 = found.x1, let y2 = found.y2, let x2 = found.x2 else { return nil }
            let edge = [y1, x1, y2, x2].map { min(max($0, 0), 1) }
            return LabelledBox(
                label: found.label, score: found.score, y1: edge[0], x1: edge[1], y2: edge[2], x2: edge[3])
        }
        .sorted { $0.score > $1.score }
    }

    /// The question in a prompt such as `answer en what is this?`
    static func question(_ prompt: String) -> String {
        let words = prompt.split(separator: " ", maxSplits: 2)
        return words.count == 3 && words[0] == "answer" ? String(words[2]) : prompt
    }

    /// Everything a person may look for.
    var searchText: String {
        ([key ?? ""] + texts + findings.map(\.label) + (answers ?? []) + prompts).joined(separator: " ")
            .lowercased()
    }
}

/// A row of `gloss.found`; coordinates are fractions of the image.
struct FoundRow: Decodable, Equatable {
    var job_id: Int64
    var n: Int
    var label: String
    var score: Double
    var y1, x1, y2, x2: Double?

    /// Reads the JSON object of a row.
    init(json: String) throws(CommandError) { self = try read(json, of: "gloss.found") }
}

private func read<Row: Decodable>(_ json: String, of view: String) throws(CommandError) -> Row {
    do {
        return try JSONDecoder().decode(Row.self, from: Data(json.utf8))
    } catch {
        throw CommandError(.failed, "\(view) has a row that this version does not understand: \(error)")
    }
}

/// What the report shows in one card: all that is known of the same images, or one object.
struct ReportCard {
    /// The rows, in the order of their jobs.
    var rows: [ReportRow]

    var imageURLs: [String] { rows[0].image_urls }
    var isObject: Bool { rows[0].isObject }

    func rows(shownAs presentation: Presentation) -> [ReportRow] { rows.filter { $0.presentation == presentation } }

    /// Groups rows by their images; objects stand alone. Cards of images come first, and each kind is in the order of
    /// its first job.
    static func group(_ rows: [ReportRow]) -> [ReportCard] {
        var (cards, places) = ([ReportCard](), [[String]: Int]())
        for row in rows.sorted(by: { $0.job_id < $1.job_id }) {
            if !row.isObject, let place = places[row.image_urls] {
                cards[place].rows.append(row)
            } else {
                if !row.isObject { places[row.image_urls] = cards.count }
                cards.append(ReportCard(rows: [row]))
            }
        }
        return cards.filter { !$0.isObject } + cards.filter(\.isObject)
    }
}
