import Foundation
import Inference
import Queue

/// What the model's answers mean, and where they come from: parse.
struct Annotator: Sendable {
    let modelName: String
    let modelDigest: String
    private let parser: DetectionParser

    init(model: PaliGemma, modelName: String) {
        self.modelName = modelName
        modelDigest = model.digest
        parser = DetectionParser(tokenizer: model.tokenizer)
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
            model: modelName, modelDigest: modelDigest, version: glossVersion, prompts: spec.prompts,
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
