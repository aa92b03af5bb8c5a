/// A model that says the same again and again.
enum Repetition {
    /// The longest run of tokens that counts.
    static let longestRun = 64

    /// Whether `tokens` end in `count` ≥ 2 copies in a row of one run of 1 to 64 tokens.
    static func ends(_ tokens: [Int], times count: Int) -> Bool {
        let longest = min(longestRun, tokens.count / count)
        guard longest > 0 else { return false }
        return (1...longest).contains { length in
            (tokens.count - length * (count - 1)..<tokens.count).reversed().allSatisfy {
                tokens[$0] == tokens[$0 - length]
            }
        }
    }
}
