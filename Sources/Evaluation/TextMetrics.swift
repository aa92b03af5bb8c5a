/// The metrics of texts by their names.
public enum TextMetrics {
    /// All of them, in the order of the documentation.
    public static let all: [any TextMetric] = [ExactMatch(.exact)]

    /// The metric of this name; nil: there is none.
    public static func named(_ name: String) -> (any TextMetric)? { all.first { $0.name == name } }
}
