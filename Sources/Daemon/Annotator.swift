import Foundation
import Inference
import Queue

/// A question to the model: one prompt about one image, or about several together.
struct Query: Sendable {
    let job: Int
    /// View of a multiview job; 0 for the others.
    let view: Int
    /// Question of a multiview job; 0 for the others.
    let question: Int
    let images: [PreparedImage]
    let prompt: String
    let settings: Inference.DecodeSettings
}

/// What came of a query.
struct Answered: Sendable {
    let query: Query
    let result: Result<[Generation], InferenceError>
    /// Its share of the time that its batch took.
    let seconds: Double
}

/// The model at work: embedImage → prefill → extend → parse.
struct Annotator: Sendable {
    let model: PaliGemma
    let modelName: String
    let metrics: Metrics
    private let parser: DetectionParser

    init(model: PaliGemma, modelName: String, metrics: Metrics) {
        self.model = model
        self.modelName = modelName
        self.metrics = metrics
        parser = DetectionParser(tokenizer: model.tokenizer)
    }

    /// Answers queries together. Each distinct image goes through the vision tower once.
    func answer(_ queries: [Query]) -> [Answered] {
        let clock = ContinuousClock()
        let start = clock.now
        var distinct: [String: PixelValues] = [:]
        for image in queries.flatMap(\.images) { distinct[image.id] = image.pixels }
        let names = distinct.keys.sorted()
        let tokens = Dictionary(uniqueKeysWithValues: zip(names, model.embedImages(names.map { distinct[$0]! })))
        let seen = clock.now
        let requests = queries.map { query in
            GenerationRequest(
                images: query.images.map { tokens[$0.id]! }, prompt: query.prompt,
                settings: query.settings)
        }
        let results = model.generate(requests)
        let end = clock.now
        metrics.inferred(
            images: names.count, queries: queries.count, visionSeconds: (seen - start) / .seconds(1),
            languageSeconds: (end - seen) / .seconds(1))
        let share = (end - start) / .seconds(1) / Double(max(queries.count, 1))
        return zip(queries, results).map { Answered(query: $0, result: $1, seconds: share) }
    }

    /// Boxes of a detection's answer.
    func boxes(_ answer: Generation) -> [Box] {
        parser.boxes(answer).map {
            Box(
                label: $0.label, score: Float($0.score), y1: Float($0.yMin), x1: Float($0.xMin), y2: Float($0.yMax),
                x2: Float($0.xMax))
        }
    }

    /// What is needed to run a job again.
    func provenance(
        _ spec: JobSpec, sha256: [String], finalURLs: [String], timings: [String: Double]
    ) -> Provenance {
        Provenance(
            model: modelName, modelDigest: model.digest, version: glossVersion, prompts: spec.prompts,
            settings: spec.settings, imageSHA256: sha256, finalURLs: finalURLs, timings: timings)
    }
}

extension Inference.DecodeSettings {
    /// A job's settings for one of its queries. Queries of a multiview job draw from streams of their own: seed + 1000 · view +
    /// question, so that `glossctl infer --seed` repeats any of them.
    init(_ settings: Queue.DecodeSettings, view: Int, question: Int) {
        self.init(
            maxTokens: settings.maxTokens, samples: settings.samples, temperature: exactly(settings.temperature),
            topK: settings.topK, topP: exactly(settings.topP), seed: settings.seed &+ UInt64(1000 * view + question))
    }
}

/// 0.7 as stored in 32 bits is meant as 0.7.
private func exactly(_ value: Float) -> Double { Double("\(value)") ?? Double(value) }

extension ScoredText {
    /// An answer as it is stored.
    init(_ answer: Generation) {
        self.init(
            text: answer.text, sumLogprob: Float(answer.sumLogProbability),
            normalisedLogprob: Float(answer.normalisedLogProbability), tokenCount: answer.tokens.count,
            finishReason: answer.finishReason == .eos ? .eos : .length)
    }
}
