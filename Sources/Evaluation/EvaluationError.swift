/// Why items can't be scored: always the labels' or the caller's fault, never the model's.
public struct EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key of the item whose labels are at fault; nil: it is the corpus.
    public let key: String?
    /// What is wrong with it and why that matters.
    public let reason: String

    public init(key: String? = nil, reason: String) {
        self.key = key
        self.reason = reason
    }

    public var description: String { key.map { "key \($0): \(reason)" } ?? reason }
}
