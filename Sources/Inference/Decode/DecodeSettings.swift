import Annotation

extension DecodeSettings {
    /// Throws what is out of range, or what this engine does not compute.
    func validate() throws(InferenceError) {
        func fail(_ what: String) -> InferenceError { InferenceError(.invalidRequest, what) }
        guard (1...65536).contains(maxTokens) else { throw fail("max tokens is \(maxTokens), expected 1 to 65536") }
        guard (1...1024).contains(samples) else { throw fail("samples is \(samples), expected 1 to 1024") }
        guard beams == 1 else { throw fail("beams is \(beams), but there is no beam search: expected 1") }
        guard temperature >= 0, temperature.isFinite else {
            throw fail("temperature is \(temperature), expected 0 or more")
        }
        guard topK >= 0 else { throw fail("top-k is \(topK), expected 0 (all) or more") }
        guard topP > 0, topP <= 1 else { throw fail("top-p is \(topP), expected above 0, up to 1") }
    }
}
