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
    var labels: [String]?
    var box_scores: [Double]?
    var boxes: [Double]?
    var answers: [String]?
    var probabilities: [Double]?
    var image_urls: [String]
    var prompts: [String]
    var model: String
    var settings: Settings

    /// What the report says of the decode settings.
    struct Settings: Decodable {
        var samples: Int?
    }

    /// Reads the JSON object of a row.
    init(json: String) throws(CommandError) {
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(json.utf8))
        } catch {
            throw CommandError(.failed, "gloss.result has a row that this version does not understand: \(error)")
        }
    }

    /// A box with what it shows; coordinates are fractions of the image.
    struct Box: Equatable {
        var label: String
        var score: Double
        var y1: Double, x1: Double, y2: Double, x2: Double
    }

    /// The boxes of a detection, the surest first.
    var found: [Box] {
        let (labels, scores, edges) = (labels ?? [], box_scores ?? [], boxes ?? [])
        guard labels.count == scores.count, edges.count == 4 * labels.count else { return [] }
        let boxes = labels.indices.map { index in
            let edge = edges[(4 * index)..<(4 * index + 4)].map { min(max($0, 0), 1) }
            return Box(
                label: labels[index], score: scores[index], y1: edge[0], x1: edge[1], y2: edge[2], x2: edge[3])
        }
        return boxes.sorted { $0.score > $1.score }
    }

    /// The question in a prompt such as `answer en what is this?`
    static func question(_ prompt: String) -> String {
        let words = prompt.split(separator: " ", maxSplits: 2)
        return words.count == 3 && words[0] == "answer" ? String(words[2]) : prompt
    }

    /// Everything a person may look for.
    var searchText: String {
        ([key ?? ""] + texts + (labels ?? []) + (answers ?? []) + prompts).joined(separator: " ").lowercased()
    }
}

/// What the report shows in one card: all that is known of the same images, or one object.
struct ReportCard {
    /// The rows, in the order of their jobs.
    var rows: [ReportRow]

    var imageURLs: [String] { rows[0].image_urls }
    var isObject: Bool { rows[0].task == "multiview" }

    func rows(of task: String) -> [ReportRow] { rows.filter { $0.task == task } }

    /// Groups rows by their images; objects stand alone. Cards of images come first, and each kind is in the order of
    /// its first job.
    static func group(_ rows: [ReportRow]) -> [ReportCard] {
        var (cards, places) = ([ReportCard](), [[String]: Int]())
        for row in rows.sorted(by: { $0.job_id < $1.job_id }) {
            if row.task != "multiview", let place = places[row.image_urls] {
                cards[place].rows.append(row)
            } else {
                if row.task != "multiview" { places[row.image_urls] = cards.count }
                cards.append(ReportCard(rows: [row]))
            }
        }
        return cards.filter { !$0.isObject } + cards.filter(\.isObject)
    }
}
