import Queue

/// A report as `gloss.record` takes it. The names are those of the columns of `gloss.annotation`.
struct WireReport: Encodable {
    var job: Int64
    var fence: Int64
    var outcome: String
    /// Of a failure or a release.
    var code: String?
    var reason: String?
    /// Of a retry or a release: seconds from now.
    var delay: Double?
    /// Of a failure that is permanent.
    var permanent: Bool?
    /// Of a completion.
    var result: WireResult?

    init(_ report: JobReport, retryPolicy: RetryPolicy, jitter: Double) {
        job = report.lease.job.rawValue
        fence = report.lease.fence
        switch report.outcome {
        case .completed(let record):
            outcome = "completed"
            result = WireResult(record)
        case .failed(let failure):
            outcome = "failed"
            (code, reason) = (failure.code, failure.reason)
            switch failure.disposition {
            case .permanent: permanent = true
            case .retry(let requested):
                permanent = false
                delay =
                    retryPolicy.delay(afterAttempt: report.attempt, requested: requested, jitter: jitter).seconds
            }
        case .released(let why, let after):
            outcome = "released"
            (reason, delay) = (why, after.seconds)
        }
    }
}

/// The columns of `gloss.annotation` that a worker fills.
struct WireResult: Encodable {
    var model: String
    var digest: String
    var version: String
    var prompts: [String]
    var settings: DecodeSettings
    var image_sha256: [String]
    var final_urls: [String]
    var timings: [String: Double]
    var texts: [String] = []
    var responses: [Int]?
    var sums: [Float] = []
    var norms: [Float] = []
    var tokens: [Int] = []
    var truncated: [Int] = []
    var labels: [String]?
    var box_scores: [Float]?
    var boxes: [Float]?
    var answers: [String]?
    var probabilities: [Float]?
    var views: Int?
    var questions: Int?
    var samples: Int?

    init(_ record: AnnotationRecord) {
        let provenance = record.provenance
        (model, digest, version) = (provenance.model, provenance.modelDigest, provenance.version)
        (prompts, settings, timings) = (provenance.prompts, provenance.settings, provenance.timings)
        image_sha256 = provenance.imageSHA256.map { "\\x" + $0 }
        final_urls = provenance.finalURLs
        switch record.payload {
        case .texts(let responses):
            texts = responses.map(\.text)
            setScores(responses)
        case .boxes(let response, let found):
            texts = [response.text]
            setScores([response])
            setBoxes(found)
        case .multiview(let answer): setAnswer(answer)
        }
    }

    private mutating func setScores(_ responses: [ScoredText]) {
        sums = responses.map(\.sumLogprob)
        norms = responses.map(\.normalisedLogprob)
        tokens = responses.map(\.tokenCount)
        truncated = responses.indices.filter { responses[$0].finishReason == .length }
    }

    private mutating func setBoxes(_ found: [Box]) {
        labels = found.map(\.label)
        box_scores = found.map(\.score)
        boxes = found.flatMap { [$0.y1, $0.x1, $0.y2, $0.x2] }
    }

    /// Distinct responses are kept once; `responses` points at them in the order [view][question][sample].
    private mutating func setAnswer(_ answer: MultiviewAnswer) {
        let flat = answer.views.flatMap { $0.responses.flatMap { $0 } }
        var positions: [String: Int] = [:]
        for response in flat where positions[response.text] == nil {
            positions[response.text] = texts.count
            texts.append(response.text)
        }
        responses = flat.map { positions[$0.text] ?? 0 }
        setScores(flat)
        answers = answer.distribution.map(\.answer)
        probabilities = answer.distribution.map(\.probability)
        views = answer.views.count
        questions = answer.views.first?.responses.count ?? 0
        samples = answer.views.first?.responses.first?.count ?? 0
    }
}
