/// Which of a query's samples are its responses.
public enum SamplePick: String, Hashable, Sendable, Codable {
    /// Every sample.
    case all
    /// The one with the largest sum of log-probabilities; of equal ones the first.
    case likeliest
}

/// How tokens are chosen. The same model, images, prompt and settings give the same output.
public struct DecodeSettings: Hashable, Sendable {
    /// The most tokens of one response, the end token included.
    public var maxTokens: Int
    /// Responses drawn from one prefill.
    public var samples: Int
    /// Which of them are kept.
    public var pick: SamplePick
    /// Beams; 1 is greedy or sampled decoding. Several give one response, as big_vision's beam search does.
    public var beams: Int
    /// 0 takes the most probable token each time; above, probabilities are softmax(logits / temperature).
    public var temperature: Double
    /// Only the `topK` most probable tokens; 0: all.
    public var topK: Int
    /// Only the most probable tokens that together reach `topP`, the one that crosses it included; 1: all.
    public var topP: Double
    /// The seed of the random numbers, 0...Int64.max.
    public var seed: UInt64
    /// What each response begins with; empty: nothing. Its tokens belong to the response: they are scored and counted.
    public var continueFrom: String
    /// A response ends where the same run of tokens stands so often in a row; 0: never.
    public var maxRepeats: Int
    /// Whether the log-probability of each token is kept.
    public var tokenScores: Bool

    /// Settings; the defaults are greedy decoding of one response of up to 64 tokens.
    public init(
        maxTokens: Int = 64, samples: Int = 1, pick: SamplePick = .all, beams: Int = 1, temperature: Double = 0,
        topK: Int = 0, topP: Double = 1, seed: UInt64 = 0, continueFrom: String = "", maxRepeats: Int = 0,
        tokenScores: Bool = false
    ) {
        self.maxTokens = maxTokens
        self.samples = samples
        self.pick = pick
        self.beams = beams
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
        self.continueFrom = continueFrom
        self.maxRepeats = maxRepeats
        self.tokenScores = tokenScores
    }
}

extension DecodeSettings: Codable {
    enum CodingKeys: String, CodingKey {
        case maxTokens = "max_tokens"
        case samples, pick, beams, temperature
        case topK = "top_k"
        case topP = "top_p"
        case seed
        case continueFrom = "continue_from"
        case maxRepeats = "max_repeats"
        case tokenScores = "token_scores"
    }

    /// What is absent from `pick`, `continue_from`, `max_repeats` and `token_scores` has its default: these came later.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            maxTokens: try values.decode(Int.self, forKey: .maxTokens),
            samples: try values.decode(Int.self, forKey: .samples),
            pick: try values.decodeIfPresent(SamplePick.self, forKey: .pick) ?? .all,
            beams: try values.decode(Int.self, forKey: .beams),
            temperature: try values.decode(Double.self, forKey: .temperature),
            topK: try values.decode(Int.self, forKey: .topK), topP: try values.decode(Double.self, forKey: .topP),
            seed: try values.decode(UInt64.self, forKey: .seed),
            continueFrom: try values.decodeIfPresent(String.self, forKey: .continueFrom) ?? "",
            maxRepeats: try values.decodeIfPresent(Int.self, forKey: .maxRepeats) ?? 0,
            tokenScores: try values.decodeIfPresent(Bool.self, forKey: .tokenScores) ?? false)
    }
    /// Those are left out where they have their defaults, so that settings of before are written as before.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(maxTokens, forKey: .maxTokens)
        try values.encode(samples, forKey: .samples)
        if pick != .all { try values.encode(pick, forKey: .pick) }
        try values.encode(beams, forKey: .beams)
        try values.encode(temperature, forKey: .temperature)
        try values.encode(topK, forKey: .topK)
        try values.encode(topP, forKey: .topP)
        try values.encode(seed, forKey: .seed)
        if !continueFrom.isEmpty { try values.encode(continueFrom, forKey: .continueFrom) }
        if maxRepeats != 0 { try values.encode(maxRepeats, forKey: .maxRepeats) }
        if tokenScores { try values.encode(tokenScores, forKey: .tokenScores) }
    }
}
