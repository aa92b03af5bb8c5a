import Annotation
import Foundation
import Storage

/// A row of `gloss.result`, as far as a card shows it.
package struct ResultRow: Decodable, Sendable {
    package var job_id: Int64
    package var task: String
    package var key: String?
    package var batch: String?
    package var text: String
    package var sum_logprob: Double?
    package var norm_logprob: Double?
    package var finish_reason: String
    package var texts: [String]
    package var answers: [String]?
    package var probabilities: [Double]?
    package var image_urls: [String]
    /// Of each image's file, hexadecimal; nil: they were not asked for.
    package var image_sha256: [String]?
    /// Of each image, pixels, as shown upright; nil: not known.
    package var widths, heights: [Int?]?
    package var prompts: [String]
    package var model: String
    package var settings: Settings
    package var score: Double?
    /// The box that was drawn into the image: y1, x1, y2, x2 in fractions.
    package var draw_box: [Double]?
    /// What was found, in the model's order.
    package var findings: [FoundRow] = []
    /// The follow-up questions of an object, in order.
    package var followUps: [FollowUpRow] = []

    /// What a card says of the decode settings.
    package struct Settings: Decodable, Sendable {
        package var samples: Int?
    }

    enum CodingKeys: CodingKey {
        case job_id, task, key, batch, text, sum_logprob, norm_logprob, finish_reason, texts, answers, probabilities
        case image_urls, image_sha256, widths, heights, prompts, model, settings, score, draw_box
    }

    /// Reads the JSON object of a row.
    package init(json: String) throws(StorageError) { self = try read(json, of: "gloss.result") }

    /// A box with what it shows; coordinates are fractions of the image, 0...1.
    package struct LabelledBox: Equatable, Sendable {
        package var label: String
        package var score: Double
        package var y1: Double, x1: Double, y2: Double, x2: Double
        /// Its pixels.
        package var mask: RunLengthMask?
    }

    /// The task; nil: a newer version's.
    package var definition: (any AnnotationTask)? { TaskName(rawValue: task)?.definition }

    /// How the row is shown; that of a task unknown here as a text.
    package var presentation: Presentation { definition?.presentation ?? .text }

    /// Whether its images are views of one object, which has a card of its own.
    package var isObject: Bool { presentation == .distribution }

    /// The boxes that were found, the surest first.
    package var boxes: [LabelledBox] {
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
    package static func question(_ prompt: String) -> String {
        let words = prompt.split(separator: " ", maxSplits: 2)
        return words.count == 3 && words[0] == "answer" ? String(words[2]) : prompt
    }

    /// Everything a person may look for.
    package var searchText: String {
        let further = followUps.flatMap { $0.prompts + $0.shares.map(\.answer) }
        return ([key ?? ""] + texts + findings.map(\.label) + (answers ?? []) + prompts + further)
            .joined(separator: " ").lowercased()
    }
}

/// A row of `gloss.found`; coordinates are fractions of the image.
package struct FoundRow: Decodable, Equatable, Sendable {
    package var job_id: Int64
    package var n: Int
    /// Which of the images, from 1; nil: the first one.
    package var image: Int?
    package var label: String
    package var score: Double
    package var y1, x1, y2, x2: Double?
    /// COCO's run lengths, of the image's size.
    package var mask: String?
    package var width, height: Int?
    /// What makes it doubtful.
    package var note: String?

    /// Reads the JSON object of a row.
    package init(json: String) throws(StorageError) { self = try read(json, of: "gloss.found") }

    /// The mask with its size.
    var runLengths: RunLengthMask? {
        guard let mask, let width, let height else { return nil }
        return RunLengthMask(height: height, width: width, counts: mask)
    }
}

/// A row of `gloss.multiview_stage`.
package struct FollowUpRow: Decodable, Equatable, Sendable {
    /// An answer with its probability.
    package struct Share: Decodable, Equatable, Sendable {
        package var answer: String
        package var p: Double
    }

    package var job_id: Int64
    /// From 1; the first one is the result's own.
    package var stage: Int
    /// The questions, with the answer that they name.
    package var prompts: [String]
    /// Nil: there was no answer.
    package var distribution: [Share]?

    /// The likeliest first.
    package var shares: [Share] { distribution ?? [] }

    /// Reads the JSON object of a row.
    package init(json: String) throws(StorageError) { self = try read(json, of: "gloss.multiview_stage") }
}

private func read<Row: Decodable>(_ json: String, of view: String) throws(StorageError) -> Row {
    do {
        return try JSONDecoder().decode(Row.self, from: Data(json.utf8))
    } catch {
        throw StorageError(
            code: .unexpectedAnswer, context: "results",
            message: "\(view) has a row that this version does not understand: \(error)")
    }
}

/// What is shown in one card: all that is known of the same images, or one object.
package struct ResultCard: Sendable {
    /// The rows, in the order of their jobs.
    package var rows: [ResultRow]

    package init(rows: [ResultRow]) { self.rows = rows }

    package var imageURLs: [String] { rows[0].image_urls }
    package var isObject: Bool { rows[0].isObject }

    func rows(shownAs presentation: Presentation) -> [ResultRow] { rows.filter { $0.presentation == presentation } }

    /// Groups rows by their images; objects stand alone. Cards of images come first, and each kind is in the order of
    /// its first job.
    package static func group(_ rows: [ResultRow]) -> [ResultCard] {
        var (cards, places) = ([ResultCard](), [[String]: Int]())
        for row in rows.sorted(by: { $0.job_id < $1.job_id }) {
            if !row.isObject, let place = places[row.image_urls] {
                cards[place].rows.append(row)
            } else {
                if !row.isObject { places[row.image_urls] = cards.count }
                cards.append(ResultCard(rows: [row]))
            }
        }
        return cards.filter { !$0.isObject } + cards.filter(\.isObject)
    }
}
