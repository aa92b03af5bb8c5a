import Foundation

/// Why a response ended.
public enum FinishReason: String, Hashable, Sendable, Codable {
    /// The model ended it.
    case eos
    /// It reached `maxTokens` and may be incomplete.
    case length
    /// The same run of tokens stood `maxRepeats` times in a row.
    case repetition
}

/// One response of the model, token by token.
public struct Generation: Hashable, Sendable {
    /// The tokens as text, without the end token.
    public let text: String
    /// Ids, with the end token where the model ended.
    public let tokens: [Int]
    /// Natural log-probability of each token: of the raw logits, before temperature and filters.
    public let logProbabilities: [Double]
    /// Why it ended.
    public let finishReason: FinishReason
    /// Tokens of the prefix: images, `<bos>`, prompt, newline.
    public let prefixTokenCount: Int
    /// Where else each location might have been: of the tokens that are locations, by index.
    public let spreads: [Int: LocationSpread]

    /// A response; `tokens` and `logProbabilities` have the same count.
    public init(
        text: String, tokens: [Int], logProbabilities: [Double], finishReason: FinishReason, prefixTokenCount: Int,
        spreads: [Int: LocationSpread] = [:]
    ) {
        self.text = text
        self.tokens = tokens
        self.logProbabilities = logProbabilities
        self.finishReason = finishReason
        self.prefixTokenCount = prefixTokenCount
        self.spreads = spreads
    }

    /// Σ of the log-probabilities, end token included.
    public var sumLogprob: Double { logProbabilities.reduce(0, +) }

    /// The sum over ((5 + n) / 6)^0.6, n = tokens (Wu et al. 2016, equation 14).
    public var normLogprob: Double { Self.normalise(sumLogprob, tokens: tokens.count) }

    /// A sum of log-probabilities over ((5 + n) / 6)^0.6, n = `tokens`.
    public static func normalise(_ sum: Double, tokens: Int) -> Double { sum / pow((5 + Double(tokens)) / 6, 0.6) }
}

/// One response as it is stored: its text and its scores.
public struct ScoredText: Hashable, Sendable, Codable {
    /// The text as the model wrote it.
    public var text: String
    /// Σ of its tokens' natural log-probabilities, end token included.
    public var sumLogprob: Float
    /// `sumLogprob` / ((5 + tokenCount) / 6)^0.6
    public var normLogprob: Float
    /// Tokens, the end token included.
    public var tokenCount: Int
    /// Why it ended.
    public var finishReason: FinishReason
    /// The log-probability of each token; nil: not asked for.
    public var tokenScores: [Float]?

    public init(
        text: String, sumLogprob: Float, normLogprob: Float, tokenCount: Int, finishReason: FinishReason,
        tokenScores: [Float]? = nil
    ) {
        self.text = text
        self.sumLogprob = sumLogprob
        self.normLogprob = normLogprob
        self.tokenCount = tokenCount
        self.finishReason = finishReason
        self.tokenScores = tokenScores
    }

    /// A response of the model, without its tokens; with their scores if `settings` ask for them.
    public init(_ generation: Generation, _ settings: DecodeSettings = DecodeSettings()) {
        self.init(
            text: generation.text, sumLogprob: Float(generation.sumLogprob), normLogprob: Float(generation.normLogprob),
            tokenCount: generation.tokens.count, finishReason: generation.finishReason,
            tokenScores: settings.tokenScores ? generation.logProbabilities.map { Float($0) } : nil)
    }

    enum CodingKeys: String, CodingKey {
        case text
        case sumLogprob = "sum_logprob"
        case normLogprob = "norm_logprob"
        case tokenCount = "tokens"
        case finishReason = "finish"
        case tokenScores = "token_scores"
    }
}
