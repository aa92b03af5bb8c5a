/// How captions are cut into tokens.
public enum CaptionTokenizer: String, Sendable, CaseIterable {
    /// As pycocoevalcap does by Stanford's PTBTokenizer, in lower case and without punctuation: the official numbers.
    case ptb
    /// What Stanford's PTBTokenizer wrote: cut at blanks, without the punctuation that pycocoevalcap drops.
    case ptbTokens = "ptb-tokens"
    /// At white space, and nothing else: for captions that were tokenised before.
    case whitespace
    /// Every code point but white space: for scripts without blanks, of which `ptb` makes one token a run.
    case characters

    /// A caption's tokens with blanks between them, as the official tools that compare captions read them.
    public func cut(_ caption: String) -> String { PythonText.joined(tokens(caption)).string }

    /// The tokens of a caption. One of `ptb` may contain a no-break space, at which BLEU and CIDEr split once more.
    func tokens(_ caption: String) -> [PythonText] {
        switch self {
        case .ptb: PTBTokenizer.captionTokens(caption)
        case .ptbTokens: PTBTokenizer.withoutPunctuation(PythonText(caption))
        case .whitespace: PythonText(caption).split()
        case .characters:
            PythonText(caption).scalars.filter { !PythonText.isSpace($0) }.map { PythonText(CollectionOfOne($0)) }
        }
    }
}
