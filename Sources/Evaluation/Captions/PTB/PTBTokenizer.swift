/// Stanford's PTBTokenizer 3.4.1 as pycocoevalcap runs it (`-preserveLines -lowerCase`), written from its behaviour: at
/// each place, the longest match of its rules is a token. `reference/check_metrics.py` compares it with the original.
public enum PTBTokenizer {
    /// A caption's tokens as the captions' metrics take them: in lower case, without the punctuation of ``dropped``.
    /// Brackets (`-lrb-`) and repeated marks (`!!!`) stay.
    static func captionTokens(_ caption: String) -> [PythonText] {
        withoutPunctuation(PythonText.joined(tokens(caption)))
    }

    /// A caption's tokens in lower case, where a token of several words has no-break spaces.
    static func tokens(_ caption: String) -> [PythonText] {
        PTBLexer(caption).tokens().map { $0.lowercased() }
    }

    /// The tokens of a line that the original wrote, without the punctuation that pycocoevalcap drops. The line is
    /// stripped before it is cut, and with it a no-break space at the end of a token.
    static func withoutPunctuation(_ line: PythonText) -> [PythonText] {
        line.stripped().split(separator: " ").filter { $0.count > 0 && !dropped.contains($0) }
    }

    /// The caption as one line. At what is replaced here, the original begins a new line, and all later captions are
    /// those of their neighbours.
    public static func line(_ caption: String) -> String {
        PythonText(caption.unicodeScalars.map { endsLine($0) ? " " : $0 }).string
    }

    static func endsLine(_ scalar: Unicode.Scalar) -> Bool {
        (10...13).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
    }

    /// The punctuation that pycocoevalcap drops. Its list has brackets in upper case, which no token is.
    private static let dropped = Set(
        ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"].map { PythonText($0) })
}
