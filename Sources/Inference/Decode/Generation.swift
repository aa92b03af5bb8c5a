import Foundation

/// One answer, scored.
public struct Generation: Sendable, Equatable {
    /// Why it ended.
    public enum FinishReason: String, Sendable, Codable {
        /// The model said so.
        case eos
        /// The limit of tokens came first: the answer may be incomplete.
        case length
    }

    /// The tokens as text, without `<eos>`.
    public let text: String
    /// Ids, with `<eos>` where the model ended.
    public let tokens: [Int]
    /// Natural log-probability of each token: of the raw logits, before temperature and filters.
    public let logProbabilities: [Double]
    /// Why it ended.
    public let finishReason: FinishReason
    /// Tokens of the prefix: images, `<bos>`, prompt, newline.
    public let prefixTokenCount: Int

    /// Σ of the log-probabilities, `<eos>` included.
    public var sumLogProbability: Double { logProbabilities.reduce(0, +) }

    /// The sum over ((5 + n) / 6)^0.6, n = tokens (Wu et al. 2016, equation 14).
    public var normalisedLogProbability: Double { Self.normalise(sumLogProbability, tokens: tokens.count) }

    static func normalise(_ sum: Double, tokens: Int) -> Double { sum / pow((5 + Double(tokens)) / 6, 0.6) }
}
