import Foundation

/// What things are called, in an order that stays: numbers of categories are no use if they differ between two exports.
struct Categories {
    /// In order. COCO counts them from 1, YOLO from 0.
    let names: [String]
    private let places: [String: Int]
    /// By the name without capitals and superfluous blanks; where others gave the names.
    private let foldedPlaces: [String: Int]

    /// What a box is called to which the model gave no name.
    static let unnamed = "object"

    /// - Parameters:
    ///   - labels: those of this export.
    ///   - given: those of a file: no others are categories.
    ///   - earlier: those of an earlier export: they keep their places.
    init(labels: [String], given: [String]?, earlier: [String] = []) {
        var (names, places) = ([String](), [String: Int]())
        for name in given ?? earlier + labels.map(Self.named) where places[name] == nil {
            places[name] = names.count
            names.append(name)
        }
        (self.names, self.places) = (names, places)
        let folded = given == nil ? [] : names.enumerated().map { (Self.folded($0.element), $0.offset) }
        foldedPlaces = Dictionary(folded) { first, _ in first }
    }

    private static func folded(_ name: String) -> String {
        name.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// The place of a label's category, from 0; nil: it is none.
    func place(of label: String) -> Int? {
        let name = Self.named(label)
        return places[name] ?? (foldedPlaces.isEmpty ? nil : foldedPlaces[Self.folded(name)])
    }

    /// The name of a label's category.
    static func named(_ label: String) -> String { label.isEmpty ? unnamed : label }

    /// Reads a file with a name a line.
    static func read(_ path: String) throws(CommandError) -> [String] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw CommandError(.badData, "\(path): cannot be read")
        }
        guard let text = String(bytes: data, encoding: .utf8) else {
            throw CommandError(.badData, "\(path): is not UTF-8")
        }
        var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        if lines.last == "" { lines.removeLast() }
        guard !lines.isEmpty else { throw CommandError(.badData, "\(path): has no line; it names a category a line") }
        var seen: [String: Int] = [:]
        for (index, line) in lines.enumerated() {
            if line.isEmpty { throw CommandError(.badData, "\(path), line \(index + 1): is empty") }
            if let first = seen.updateValue(index + 1, forKey: line) {
                throw CommandError(.badData, "\(path), line \(index + 1): \"\(line)\" is line \(first) too")
            }
        }
        return lines
    }
}
