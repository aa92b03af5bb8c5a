import Foundation

/// What the files beside a tokenizer.model say of its tokens. transformers adds those that tokenizer.model lacks; only
/// tokenizer.json says how they are looked for in a text, so such a folder is refused.
enum ListedTokens {
    /// Where tokens are listed.
    private static let names = ["added_tokens.json", "tokenizer_config.json"]

    /// `<image>` stands for itself: no text and no response has it.
    private static let image = "<image>"

    /// Compares the lists of a folder with its tokenizer.model.
    ///
    /// - Throws: `unsupportedModel` for a token that tokenizer.model lacks, `invalidModel` for one that has another id
    ///   there, and for files that are not valid.
    static func check(_ tokenizer: Tokenizer, _ files: some ModelFiles) throws(InferenceError) {
        for name in names {
            guard let data = try files.contents(name) else { continue }
            let path = "\(files.path)/\(name)"
            let tokens: [Token]
            do {
                tokens =
                    name == names[0]
                    ? try JSONDecoder().decode([String: Int].self, from: data).map {
                        Token(content: $0.key, id: $0.value)
                    }
                    : try JSONDecoder().decode(Configuration.self, from: data).tokens
            } catch {
                throw InferenceError(.invalidModel, "\(path): not valid: \(describe(error))")
            }
            // The same one is named each time.
            for token in tokens.sorted(by: { ($0.id ?? .max, $0.content) < ($1.id ?? .max, $1.content) }) {
                try check(token, tokenizer, path)
            }
        }
    }

    private static func check(_ token: Token, _ tokenizer: Tokenizer, _ path: String) throws(InferenceError) {
        guard token.content != image else { return }
        let piece = token.content.replacing(" ", with: "\u{2581}")
        guard let id = tokenizer.id(of: token.content) ?? tokenizer.id(of: piece) else {
            throw InferenceError(
                .unsupportedModel,
                "\(path): the token \(token.content) is not in tokenizer.model; with tokens of its own a model needs its"
                    + " tokenizer.json, which save_pretrained of transformers writes")
        }
        if let listed = token.id, listed != id {
            throw InferenceError(
                .invalidModel, "\(path): the token \(token.content) has the id \(listed), and \(id) in tokenizer.model")
        }
    }

    private struct Token {
        let content: String
        /// Nil: the file does not say.
        let id: Int?
    }

    /// tokenizer_config.json, as far as it lists tokens.
    private struct Configuration: Decodable {
        var added_tokens_decoder: [String: Entry]?
        var additional_special_tokens, extra_special_tokens: Entries?

        var tokens: [Token] {
            (added_tokens_decoder ?? [:]).map { Token(content: $0.value.content, id: Int($0.key)) }
                + [additional_special_tokens, extra_special_tokens].flatMap { $0?.all ?? [] }
                .map { Token(content: $0.content, id: nil) }
        }
    }

    /// A token as its text, or as an object that has it.
    private struct Entry: Decodable {
        let content: String

        init(from decoder: any Decoder) throws {
            struct Whole: Decodable { let content: String }
            let text = try? decoder.singleValueContainer().decode(String.self)
            content = try text ?? Whole(from: decoder).content
        }
    }

    /// A list, or an object with a name for each token.
    private struct Entries: Decodable {
        let all: [Entry]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            all = try (try? container.decode([Entry].self)) ?? Array(container.decode([String: Entry].self).values)
        }
    }
}
