import Submissions

/// Finds the category of a label that a model wrote: by the name itself, else by the name in lower case with single blanks, else
/// by the user's own map. What has no category is counted, never dropped in silence.
struct CategoryNames {
    private var exact: [String: Int] = [:]
    private var folded: [String: Int] = [:]
    private var mapped: [String: Int] = [:]
    /// Labels without a category, and how often each was found.
    private(set) var outside: [String: Int] = [:]

    /// - Parameters:
    ///   - categories: names by id.
    ///   - map: CSV with the columns label and category (a name or an id).
    /// - Throws: `CommandError` that names the file, the line and the reason.
    init(_ categories: [Int: String], map: String?) throws {
        for (id, name) in categories.sorted(by: { $0.key < $1.key }) {
            exact[name] = exact[name] ?? id
            folded[Self.fold(name)] = folded[Self.fold(name)] ?? id
        }
        guard let map else { return }
        let file = try RowFile(path: map)
        try file.forEachRow { row in
            guard let label = row["label"]?.name, let category = row["category"]?.name else {
                throw file.problem(
                    row.line, "a map has the columns label and category; here are \(LabelReader.list(row))")
            }
            let id =
                exact[category] ?? folded[Self.fold(category)]
                ?? Int(category).flatMap { categories[$0] == nil ? nil : $0 }
            guard let id else { throw file.problem(row.line, "there is no category \"\(category)\"") }
            guard mapped.updateValue(id, forKey: label) == nil else {
                throw file.problem(row.line, "the label \"\(label)\" is there twice")
            }
        }
    }

    /// The category's id; nil: there is none, which is counted.
    mutating func id(of label: String) -> Int? {
        if let id = exact[label] ?? folded[Self.fold(label)] ?? mapped[label] ?? mapped[Self.fold(label)] { return id }
        outside[label, default: 0] += 1
        return nil
    }

    private static func fold(_ name: String) -> String {
        name.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}
