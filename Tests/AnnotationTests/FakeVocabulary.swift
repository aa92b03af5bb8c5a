import Annotation

/// Ids below 1024 are locations, those from 2000 on codes; the others index into `words`.
struct FakeVocabulary: Vocabulary {
    let words = ["<eos>", ";", "cat", " cat", "dog", " ", "<", "loc", "1024", ">", "><"]
    let locations = Dictionary(uniqueKeysWithValues: (0..<1024).map { ($0, $0) })
    let codes = Dictionary(uniqueKeysWithValues: (0..<128).map { (2000 + $0, $0) })
    let separators: Set<Int> = [1025]

    func decode(_ ids: [Int]) -> String {
        ids.map { $0 < 1024 ? "<loc\($0)>" : $0 < 2000 ? words[$0 - 1024] : "<seg\($0 - 2000)>" }.joined()
    }

    static let (end, separator, cat, spacedCat, dog, blank) = (1024, 1025, 1026, 1027, 1028, 1029)
    static let (open, loc, number, close, closeOpen) = (1030, 1031, 1032, 1033, 1034)

    /// `count` codes: 0, 1, 2, …
    static func outline(_ count: Int = 16) -> [Int] { (0..<count).map { 2000 + $0 } }
    /// `<loc1024>`, which no token stands for.
    static let beyond = [open, loc, number, close]
}

/// A response of these tokens; each of probability exp(−0.5) if nothing is said.
func response(
    _ tokens: [Int], _ logProbabilities: [Double]? = nil, _ reason: FinishReason = .eos,
    spreads: [Int: LocationSpread] = [:]
) -> Generation {
    let all = reason == .eos ? tokens + [FakeVocabulary.end] : tokens
    return Generation(
        text: "raw", tokens: all, logProbabilities: logProbabilities ?? all.map { _ in -0.5 }, finishReason: reason,
        prefixTokenCount: 3, spreads: spreads)
}
