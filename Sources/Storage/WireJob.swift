import Queue

/// A claimed job as `gloss.claim` gives it.
struct WireJob: Decodable {
    var job: Int64
    var fence: Int64
    var key: String?
    var batch: String?
    var attempt: Int
    var max_attempts: Int
    var rescues: Int
    var task: AnnotationTask
    var image_urls: [String]
    var model: String?
    var spec: WireSpec
    var done_views: [ViewResponses]?

    var claimed: ClaimedJob {
        ClaimedJob(
            lease: Lease(job: JobID(rawValue: job), fence: fence), key: key, batch: batch, attempt: attempt,
            maxAttempts: max_attempts, rescueCount: rescues,
            spec: spec.jobSpec(task: task, imageURLs: image_urls, model: model), doneViews: done_views ?? [])
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
    var style: PromptStyle
    var language: String
    var texts: [String]
    var settings: DecodeSettings
    var score: ResponseScore
    /// Six hexadecimal digits behind a number sign.
    var background: String?

    func jobSpec(task: AnnotationTask, imageURLs: [String], model: String?) -> JobSpec {
        JobSpec(
            task: task, imageURLs: imageURLs, style: style, language: language, texts: texts, settings: settings,
            score: score, model: model, background: background.flatMap { UInt32($0.dropFirst(), radix: 16) })
    }
}
