import Foundation

/// The rules of a prompt's text. PostgreSQL knows the same ones (`gloss.text_problem`).
public enum PromptText {
    /// The text without outer blanks, which would spoil the answer; inner ones stay.
    public static func trimmed(_ text: String) -> String {
        text.trimmingCharacters(in: CharacterSet(charactersIn: " "))
    }

    /// What is wrong with a text without outer blanks, as the end of a sentence that begins with "the prompt"; nil:
    /// nothing.
    public static func problem(_ text: String) -> String? {
        if text.isEmpty { return "is empty" }
        let isControl = { (scalar: Unicode.Scalar) in scalar.properties.generalCategory == .control }
        if text.unicodeScalars.contains(where: { isControl($0) && $0 != "\t" && $0 != "\n" }) {
            return "contains a control character other than TAB and line feed"
        }
        if [text.unicodeScalars.first, text.unicodeScalars.last].contains(where: { $0.map(isControl) ?? false }) {
            return "begins or ends with a TAB or a line feed"
        }
        if text.hasPrefix("<image>") || text.hasPrefix("<bos>") || text.hasSuffix("\\n") {
            return "must not have <image>, <bos> or the line break at the end: gloss itself adds them"
        }
        return nil
    }

    /// A box `y1,x1,y2,x2` in fractions of the height and the width as the four locations of a prompt; a text that is no
    /// box as it is.
    static func locations(_ box: String) -> String {
        let edges = box.split(separator: ",").compactMap { Double($0.trimmingCharacters(in: .whitespaces)) }
        guard edges.count == 4, edges.allSatisfy(\.isFinite) else { return box }
        return edges.map { edge in
            let value = Int((min(max(edge, 0), 1) * 1023).rounded(.toNearestOrEven))
            return "<loc\(String(repeating: "0", count: 4 - String(value).count))\(value)>"
        }.joined()
    }
}
