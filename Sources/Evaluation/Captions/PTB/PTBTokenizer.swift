/// Stanford's PTBTokenizer 3.4.1 as pycocoevalcap runs it (`-preserveLines -lowerCase`), written from its behaviour: at
/// each place, the longest match of its rules is a token. `reference/check_metrics.py` compares it with the original.
enum PTBTokenizer {
    /// A caption's tokens as the captions' metrics take them: in lower case, without the punctuation of
    /// ``dropped``. Brackets (`-lrb-`) and repeated marks (`!!!`) stay.
    static func captionTokens(_ caption: String) -> [PythonText] {
        var tokens = tokens(caption)
        // The line is stripped before it is cut at blanks: a no-break space at its end goes.
        while let last = tokens.popLast() {
            let end = last.scalars.lastIndex { !PythonText.isSpace($0) }
            if let end {
                tokens.append(PythonText(last.scalars[...end]))
                break
            }
        }
        return tokens.filter { !dropped.contains($0) }
    }

    /// A caption's tokens in lower case, where a token of several words has no-break spaces.
    static func tokens(_ caption: String) -> [PythonText] {
        PTBLexer(caption).tokens().map { $0.lowercased() }
    }

    /// The punctuation that pycocoevalcap drops. Its list has brackets in upper case, which no token is.
    private static let dropped = Set(
        ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"].map { PythonText($0) })
}
