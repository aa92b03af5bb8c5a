import Foundation

/// Aggregates the scored answers of many views and questions into one distribution (PaliGemma, appendix G; Kabra et al.
/// 2024).
///
///     s_i(r)   = max { s_ij : f(r_ij) = r }       the best score of answer r within one query i = (view, question)
///     s_agg(r) = log Σ_i exp s_i(r)               one flat sum over all queries
///     p(r)     = exp s_agg(r) / Σ_r' exp s_agg(r')
///
/// A model that does not know may say so, and the words may win as if they were an answer. PaliGemma's mix checkpoints
/// write "sorry, as a base VLM I am not trained to answer this question", and "unanswerable", which is an answer of
/// VizWiz-VQA. Which answers count for nothing is the user's to say.
public enum ScoreAgg {
    /// One response: text, and its log-probability.
    public struct Response: Sendable {
        /// As the model wrote it.
        public let text: String
        /// The score that is aggregated: Σ log-probability, or the length-normalised one.
        public let score: Double

        public init(text: String, score: Double) {
            self.text = text
            self.score = score
        }
    }

    /// Aggregates the responses of each query: the most probable answer first, ties by text. Empty responses count for
    /// nothing, and neither do those whose canonical form is that of one of `ignored`.
    public static func aggregate(_ queries: [[Response]], ignoring ignored: [String] = []) -> [AggregatedAnswer] {
        let ignored = Set(ignored.map(canonical))
        var perQuery: [String: [Double]] = [:]
        for query in queries {
            var best: [String: Double] = [:]
            for response in query {
                let text = canonical(response.text)
                if !text.isEmpty && !ignored.contains(text) {
                    best[text] = max(best[text] ?? -.infinity, response.score)
                }
            }
            for (text, score) in best { perQuery[text, default: []].append(score) }
        }
        // Sums in sorted order: a dictionary's order differs from run to run, and so would the last bits.
        let scores = perQuery.mapValues { logSumExp($0.sorted()) }
        let total = logSumExp(scores.values.sorted())
        return scores.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { AggregatedAnswer(answer: $0.key, probability: exp($0.value - total)) }
    }

    /// f: lower case, without punctuation, articles and filler: "Banana." and "a banana" are one answer. What is part
    /// of a word stays: "3.5", "-5", "C++", "50%". A response of which nothing would be left is its own canonical form.
    public static func canonical(_ text: String) -> String {
        let lowered = text.lowercased().precomposedStringWithCanonicalMapping
        var words = words(of: lowered)
        dropFiller(&words)
        let withoutArticles = words.filter { !["a", "an", "the"].contains($0) }
        if !withoutArticles.isEmpty { words = withoutArticles }
        let canonical =
            words.isEmpty ? lowered.trimmingCharacters(in: .whitespacesAndNewlines) : words.joined(separator: " ")
        return canonical == text ? canonical : Self.canonical(canonical)
    }

    private static func words(of lowered: String) -> [String] {
        let letters = Array(lowered)
        func isWord(_ index: Int) -> Bool {
            letters.indices.contains(index) && (letters[index].isLetter || letters[index].isNumber)
        }
        func isDigit(_ index: Int) -> Bool { letters.indices.contains(index) && letters[index].isNumber }
        let kept = letters.indices.map { index -> String in
            switch letters[index] {
            case "'", "’": return ""
            case ".", ",": return isDigit(index - 1) && isDigit(index + 1) ? String(letters[index]) : " "
            case "-": return isDigit(index + 1) && !isWord(index - 1) ? "-" : " "
            case "+", "#", "%":
                let attached = isWord(index - 1) || (index > 0 && ["+", "#"].contains(letters[index - 1]))
                return attached ? String(letters[index]) : " "
            default: return isWord(index) ? String(letters[index]) : " "
            }
        }
        // Before they are joined: a blank and a combining mark behind it would be one letter.
        return kept.split(separator: " ").map { $0.joined() }.filter { !$0.isEmpty }
    }

    /// Phrases that say nothing of the object, at the end and at the beginning of a response.
    private static func dropFiller(_ words: inout [String]) {
        let ground = ["on", "against", "in", "with"]
        let colour = ["white", "black", "grey", "gray", "plain", "blank", "transparent"]
        if let last = words.last, last == "background" || last == "backdrop" {
            // "… on a white background": from the preposition on, at most four words before the end.
            for start in stride(from: words.count - 2, through: max(1, words.count - 5), by: -1)
            where ground.contains(words[start]) {
                let between = words[(start + 1)..<(words.count - 1)]
                if between.allSatisfy({ (colour + ["a", "an", "the", "solid"]).contains($0) }) {
                    words.removeSubrange(start...)
                }
                break
            }
        }
        let openings = [
            ["this", "is"], ["it", "is"], ["its"], ["there", "is"], ["image", "of"], ["picture", "of"],
            ["photo", "of"],
            ["rendering", "of"], ["render", "of"], ["3d", "model", "of"], ["3d", "rendering", "of"],
            ["3d", "render", "of"],
            ["model", "of"],
        ]
        var changed = true
        while changed {
            changed = false
            let articles = words.prefix { ["a", "an", "the"].contains($0) }.count
            for opening in openings where words.dropFirst(articles).starts(with: opening) {
                guard words.count > articles + opening.count else { continue }
                words.removeFirst(articles + opening.count)
                changed = true
                break
            }
        }
    }

    private static func logSumExp(_ values: [Double]) -> Double {
        guard let top = values.max(), top > -.infinity else { return -.infinity }
        return top + log(values.reduce(0) { $0 + exp($1 - top) })
    }
}
