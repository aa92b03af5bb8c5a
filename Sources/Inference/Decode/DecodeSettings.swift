import Annotation

extension DecodeSettings {
    /// Most beams.
    static let mostBeams = 8
    /// Most samples, and most options.
    static let mostResponses = 1024

    /// Throws what is out of range, excludes each other, or is not computed by this engine. `optionCount`: responses that
    /// are scored instead of drawing any.
    func validate(optionCount: Int = 0) throws(InferenceError) {
        guard (1...65536).contains(maxTokens) else { throw refusal("max tokens is \(maxTokens), expected 1 to 65536") }
        guard (1...Self.mostResponses).contains(samples) else {
            throw refusal("samples is \(samples), expected 1 to \(Self.mostResponses)")
        }
        guard (1...Self.mostBeams).contains(beams) else {
            throw refusal("beams is \(beams), expected 1 to \(Self.mostBeams)")
        }
        guard temperature >= 0, temperature.isFinite else {
            throw refusal("temperature is \(temperature), expected 0 or more")
        }
        guard topK >= 0 else { throw refusal("top-k is \(topK), expected 0 (all) or more") }
        guard topP > 0, topP <= 1 else { throw refusal("top-p is \(topP), expected above 0, up to 1") }
        guard maxRepeats == 0 || maxRepeats > 1 else {
            throw refusal("max repeats is \(maxRepeats), expected 0 (any number) or 2 or more")
        }
        if beams > 1 { try validateBeams() }
        if optionCount > 0 { try validate(optionCount) }
    }

    private func validateBeams() throws(InferenceError) {
        guard samples == 1, temperature == 0 else {
            throw refusal(
                "beams is \(beams), which gives one response and draws nothing: expected 1 sample, not \(samples), and "
                    + "temperature 0, not \(temperature)")
        }
        guard maxRepeats == 0 else {
            throw refusal("max repeats is \(maxRepeats), but beams do not stop at a repetition: expected 0")
        }
    }

    private func validate(_ optionCount: Int) throws(InferenceError) {
        guard optionCount <= Self.mostResponses else {
            throw refusal("there are \(optionCount) options, expected up to \(Self.mostResponses)")
        }
        guard samples == 1, beams == 1, continueFrom.isEmpty else {
            throw refusal(
                "options are scored as they are, nothing is drawn: expected 1 sample, 1 beam, and no text to continue "
                    + "from, not \(samples), \(beams) and \(continueFrom.debugDescription)")
        }
    }

    private func refusal(_ what: String) -> InferenceError { InferenceError(.invalidRequest, what) }
}
