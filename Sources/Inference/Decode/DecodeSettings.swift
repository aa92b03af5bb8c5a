/// How answers are drawn.
public struct DecodeSettings: Sendable, Equatable, Codable {
    /// Most tokens of an answer, `<eos>` included.
    public var maxTokens: Int
    /// Answers drawn from one prefill.
    public var samples: Int
    /// 0 takes the most probable token each time; above (from 0.0001 on), probabilities are softmax(logits / temperature).
    public var temperature: Double
    /// Only the k most probable tokens; 0: all.
    public var topK: Int
    /// Only the most probable tokens that together reach p, the one that crosses it included; 1: all.
    public var topP: Double
    /// The same model, images, prompt, settings and seed give the same answers.
    public var seed: UInt64

    /// Greedy, one answer of up to 64 tokens.
    public init(
        maxTokens: Int = 64, samples: Int = 1, temperature: Double = 0, topK: Int = 0, topP: Double = 1,
        seed: UInt64 = 0
    ) {
        self.maxTokens = maxTokens
        self.samples = samples
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    /// Throws what is out of range.
    func validate() throws(InferenceError) {
        func fail(_ what: String) -> InferenceError { InferenceError(.invalidRequest, what) }
        guard (1...65536).contains(maxTokens) else { throw fail("max tokens is \(maxTokens), expected 1 to 65536") }
        guard (1...1024).contains(samples) else { throw fail("samples is \(samples), expected 1 to 1024") }
        guard temperature >= 0, temperature.isFinite else {
            throw fail("temperature is \(temperature), expected 0 or more")
        }
        guard topK >= 0 else { throw fail("top-k is \(topK), expected 0 (all) or more") }
        guard topP > 0, topP <= 1 else { throw fail("top-p is \(topP), expected above 0, up to 1") }
    }
}
