/// How tokens are chosen. The same model, images, prompt and settings give the same output.
public struct DecodeSettings: Hashable, Sendable, Codable {
    /// The most tokens of one response, the end token included.
    public var maxTokens: Int
    /// Responses drawn from one prefill.
    public var samples: Int
    /// Beams; 1 is greedy or sampled decoding.
    public var beams: Int
    /// 0 takes the most probable token each time; above, probabilities are softmax(logits / temperature).
    public var temperature: Double
    /// Only the `topK` most probable tokens; 0: all.
    public var topK: Int
    /// Only the most probable tokens that together reach `topP`, the one that crosses it included; 1: all.
    public var topP: Double
    /// The seed of the random numbers, 0...Int64.max.
    public var seed: UInt64

    /// Settings; the defaults are greedy decoding of one response of up to 64 tokens.
    public init(
        maxTokens: Int = 64, samples: Int = 1, beams: Int = 1, temperature: Double = 0, topK: Int = 0, topP: Double = 1,
        seed: UInt64 = 0
    ) {
        self.maxTokens = maxTokens
        self.samples = samples
        self.beams = beams
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    enum CodingKeys: String, CodingKey {
        case maxTokens = "max_tokens"
        case samples, beams, temperature
        case topK = "top_k"
        case topP = "top_p"
        case seed
    }
}
