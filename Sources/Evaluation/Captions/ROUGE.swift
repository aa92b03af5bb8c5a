/// ROUGE-L as pycocoevalcap computes it: F of the longest common subsequence, with β = 1.2, and with the best precision
/// and the best recall over the references, which need not be of the same one.
enum ROUGE {
    /// The score of a caption, 0...1. An empty caption is one empty token.
    static func score(_ caption: [Int32], references: [[Int32]], empty: Int32) -> Double {
        let caption = caption.isEmpty ? [empty] : caption
        var precision = 0.0
        var recall = 0.0
        for reference in references {
            let reference = reference.isEmpty ? [empty] : reference
            let common = Double(longestCommonSubsequence(caption, reference))
            precision = max(precision, common / Double(caption.count))
            recall = max(recall, common / Double(reference.count))
        }
        guard precision != 0 && recall != 0 else { return 0 }
        let beta = 1.2
        return (1 + beta * beta) * precision * recall / (recall + beta * beta * precision)
    }

    private static func longestCommonSubsequence(_ left: [Int32], _ right: [Int32]) -> Int {
        var lengths = [Int](repeating: 0, count: right.count + 1)
        for element in left {
            var diagonal = 0
            for (index, other) in right.enumerated() {
                let above = lengths[index + 1]
                lengths[index + 1] = element == other ? diagonal + 1 : max(above, lengths[index])
                diagonal = above
            }
        }
        return lengths[right.count]
    }
}
