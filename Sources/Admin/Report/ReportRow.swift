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
    /// The box that was drawn into the image: y1, x1, y2, x2 in fractions.
    var draw_box: [Double]?
    /// What was found, in the model's order.
    var findings: [FoundRow] = []
    /// The follow-up questions of an object, in order.
    var followUps: [FollowUpRow] = []

    /// What the report says of the decode settings.
    struct Settings: Decodable {
        var samples: Int?
    }

    enum CodingKeys: CodingKey {
        case job_id, task, key, text, sum_logprob, norm_logprob, finish_reason, texts, answers, probabilities
        case image_urls, prompts, model, settings, draw_box
    }

    /// Reads the JSON object of a row.
    init(json: String) throws(CommandError) { self = try read(json, of: "gloss.result") }

    /// A box with what it shows; coordinates are fractions of the image, 0...1.
    struct LabelledBox: Equatable {
        var label: String
        var score: Double
        var y1: Double, x1: Double, y2: Double, x2: Double
        /// Its pixels.
        var mask: RunLengthMask?
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
                label: found.label, score: found.score, y1: edge[0], x1: edge[1], y2: edge[2], x2: edge[3],
                mask: found.runLengths)
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
        let further = followUps.flatMap { $0.prompts + $0.shares.map(\.answer) }
        return ([key ?? ""] + texts + findings.map(\.label) + (answers ?? []) + prompts + further)
            .joined(separator: " ").lowercased()
    }
}

/// A row of `gloss.found`; coordinates are fractions of the image.
struct FoundRow: Decodable, Equatable {
    var job_id: Int64
    var n: Int
    var label: String
    var score: Double
    var y1, x1, y2, x2: Double?
    /// COCO's run lengths, of the image's size.
    var mask: String?
    var width, height: Int?

    /// Reads the JSON object of a row.
    init(json: String) throws(CommandError) { self = try read(json, of: "gloss.found") }

    /// The mask with its size.
    var runLengths: RunLengthMask? {
        guard let mask, let width, let height else { return nil }
        return RunLengthMask(height: height, width: width, counts: mask)
    }
}

/// A row of `gloss.multiview_stage`.
struct FollowUpRow: Decodable, Equatable {
    /// An answer with its probability.
    struct Share: Decodable, Equatable {
        var answer: String
        var p: Double
    }

    var job_id: Int64
    /// From 1; the first one is the result's own.
    var stage: Int
    /// The questions, with the answer that they name.
    var prompts: [String]
    /// Nil: there was no answer.
    var distribution: [Share]?

    /// The likeliest first.
    var shares: [Share] { distribution ?? [] }

    /// Reads the JSON object of a row.
    init(json: String) throws(CommandError) { self = try read(json, of: "gloss.multiview_stage") }
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
