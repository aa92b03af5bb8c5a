import Annotation
import Queue

/// A row of `gloss.claim`.
struct WireJob: Decodable {
    var job: Int64
    var fence: Int64
    var task: TaskName
    var key: String?
    var batch: String?
    var attempt: Int
    var max_attempts: Int
    var rescues: Int
    var priority: Int
    var image_urls: [String]
    var model: String?
    var spec: WireSpec
    var checkpoints: [ViewResponses]?

    /// - Throws: `UnknownStyle`, which only a newer version can read.
    func claimed() throws -> ClaimedJob {
        ClaimedJob(
            lease: Lease(job: JobID(rawValue: job), fence: fence), key: key, batch: batch, priority: priority,
            attempt: attempt, maxAttempts: max_attempts, rescueCount: rescues,
            spec: try spec.jobSpec(task: task, imageURLs: image_urls, model: model), checkpoints: checkpoints ?? [])
    }
}

/// What a report needs of a job that cannot be read whole.
struct WireLease: Decodable {
    var job: Int64
    var fence: Int64
    var attempt: Int

    func unreadable(_ why: String) -> JobReport {
        let reason = "glossd \(glossVersion) cannot read the job: \(why)"
        return JobReport(
            lease: Lease(job: JobID(rawValue: job), fence: fence), attempt: attempt,
            outcome: .failed(Failure(code: "unreadable", reason: reason, disposition: .retry(after: nil))))
    }
}

/// `gloss.job.spec`: the part of a job's spec that only the daemon reads.
struct WireSpec: Codable {
    var style: String
    var language: String
    var texts: [String]
    /// Absent: none, as the next two.
    var options: [String]?
    var follow_ups: [String]?
    var ignore: [String]?
    var settings: DecodeSettings
    var score: ResponseScore
    /// Six hexadecimal digits behind a number sign.
    var background: String?
    /// Absent: none.
    var draw_box: WireBox?

    func jobSpec(task: TaskName, imageURLs: [String], model: String?) throws(UnknownStyle) -> JobSpec {
        guard task.definition.styles.contains(where: { $0.name == style }) else {
            throw UnknownStyle(task: task, style: style)
        }
        return JobSpec(
            task: task, imageURLs: imageURLs, style: style, language: language, texts: texts, options: options ?? [],
            followUps: follow_ups ?? [], ignored: ignore ?? [], settings: settings, score: score, model: model,
            background: background.flatMap { UInt32($0.dropFirst(), radix: 16) }, drawnBox: draw_box?.box)
    }
}

/// A box as an array: y1, x1, y2, x2.
struct WireBox: Codable {
    let box: Box

    init(_ box: Box) { self.box = box }

    init(from decoder: any Decoder) throws {
        let edges = try decoder.singleValueContainer().decode([Float].self)
        guard edges.count == 4 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a box has 4 numbers, not \(edges.count)"))
        }
        box = Box(y1: edges[0], x1: edges[1], y2: edges[2], x2: edges[3])
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode([box.y1, box.x1, box.y2, box.x2])
    }
}

/// A style that the task does not have in this version.
struct UnknownStyle: Error, CustomStringConvertible {
    var task: TaskName
    var style: String

    var description: String { "this version knows no style \"\(style)\" of \(task)" }
}
