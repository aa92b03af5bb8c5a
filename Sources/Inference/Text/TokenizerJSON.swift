import Foundation

/// A tokenizer.json as Hugging Face writes it. Only Gemma's kind is read: byte pairs with byte fallback, blanks written
/// as U+2581, nothing else done to the text. All else is refused by name.
enum TokenizerJSON {
    /// - Throws: `invalidModel` for what is no such file, `unsupportedModel` for one of another kind.
    static func read(_ data: Data, path: String) throws(InferenceError) -> BytePairTokenizer {
        var file = Contents(path: path)
        var reader = JSONReader(data, path: path)
        try reader.object { reader, key throws(InferenceError) in
            switch String(decoding: key, as: UTF8.self) {
            case "added_tokens": file.added = try file.decode([AddedToken].self, reader.value(), "added_tokens")
            case "normalizer": file.normalizer = try file.decode(Step?.self, reader.value(), "normalizer")
            case "pre_tokenizer": file.splitter = try file.decode(Step?.self, reader.value(), "pre_tokenizer")
            case "decoder": file.decoder = try file.decode(Step?.self, reader.value(), "decoder")
            case "model": try file.readModel(&reader)
            default: _ = try reader.value()
            }
        }
        return try file.tokenizer()
    }
}

/// What a tokenizer.json says.
private struct Contents {
    let path: String
    var added: [AddedToken] = []
    var normalizer, splitter, decoder: Step?
    var model = ModelOptions()
    var vocabulary: [ArraySlice<UInt8>: Int32] = [:]
    var merges: [(left: [UInt8], right: [UInt8])] = []

    init(path: String) { self.path = path }

    func decode<T: Decodable>(_ type: T.Type, _ json: Data, _ name: String) throws(InferenceError) -> T {
        do { return try JSONDecoder().decode(type, from: json) } catch {
            throw InferenceError(.invalidModel, "\(path): \(name): \(describe(error))")
        }
    }

    mutating func readModel(_ reader: inout JSONReader) throws(InferenceError) {
        var (options, vocabulary, merges) = (ModelOptions(), vocabulary, merges)
        let file = self
        try reader.object { reader, key throws(InferenceError) in
            switch String(decoding: key, as: UTF8.self) {
            case "type": options.type = try file.decode(String.self, reader.value(), "model.type")
            case "dropout": options.dropout = try file.decode(Double?.self, reader.value(), "model.dropout")
            case "continuing_subword_prefix":
                options.prefix = try file.decode(String?.self, reader.value(), "model.continuing_subword_prefix")
            case "end_of_word_suffix":
                options.suffix = try file.decode(String?.self, reader.value(), "model.end_of_word_suffix")
            case "byte_fallback":
                options.byteFallback = try file.decode(Bool?.self, reader.value(), "model.byte_fallback")
            case "ignore_merges":
                options.ignoreMerges = try file.decode(Bool?.self, reader.value(), "model.ignore_merges")
            case "vocab":
                // Another kind of tokenizer (Unigram) has a list here.
                guard options.type ?? "BPE" == "BPE" else { return _ = try reader.value() }
                try reader.object { reader, piece throws(InferenceError) in
                    let id = try reader.count()
                    guard id < 1 << 24 else { throw InferenceError(.invalidModel, "\(file.path): an id is \(id)") }
                    vocabulary[piece[...]] = Int32(id)
                }
            case "merges":
                try reader.array { reader throws(InferenceError) in merges.append(try file.merge(&reader)) }
            default: _ = try reader.value()
            }
        }
        (model, self.vocabulary, self.merges) = (options, vocabulary, merges)
    }

    /// A pair, as two strings or as one with a blank between.
    private func merge(_ reader: inout JSONReader) throws(InferenceError) -> ([UInt8], [UInt8]) {
        var parts: [[UInt8]] = []
        if reader.isString() {
            parts = try reader.string().split(separator: 0x20, omittingEmptySubsequences: false).map(Array.init)
        } else {
            try reader.array { reader throws(InferenceError) in parts.append(try reader.string()) }
        }
        guard parts.count == 2 else { throw InferenceError(.invalidModel, "\(path): a merge is not of two pieces") }
        return (parts[0], parts[1])
    }

    func tokenizer() throws(InferenceError) -> BytePairTokenizer {
        try refuseOthers()
        guard var pairs = BytePairs(vocabulary: vocabulary) else {
            throw unsupported("the vocabulary has not each of <0x00> to <0xFF>")
        }
        for (left, right) in merges where !pairs.add(left, right) {
            let pair = [left, right].map { String(decoding: $0, as: UTF8.self) }
            throw InferenceError(.invalidModel, "\(path): the merge \(pair) is of pieces that the vocabulary lacks")
        }
        return BytePairTokenizer(pairs: pairs, added: try addedTokens())
    }

    private func addedTokens() throws(InferenceError) -> [BytePairTokenizer.AddedToken] {
        var tokens: [BytePairTokenizer.AddedToken] = []
        var next = vocabulary.count
        for token in added {
            if token.single_word == true || token.lstrip == true || token.rstrip == true, !token.special {
                throw unsupported("the added token \(token.content) has single_word, lstrip or rstrip")
            }
            let content = Array(token.content.utf8)
            // The ids that Hugging Face gives, whatever the file says: that of the vocabulary, or the next one.
            let id = vocabulary[content[...]].map(Int.init) ?? next
            guard id == token.id else {
                throw InferenceError(
                    .invalidModel, "\(path): the added token \(token.content) has the id \(token.id), expected \(id)")
            }
            next = max(next, id + 1)
            tokens.append(
                .init(
                    id: id, content: content, isNormalized: token.normalized ?? !token.special,
                    isSpecial: token.special))
        }
        return tokens + unlistedMarks(Set(tokens.map(\.content)))
    }

    /// PaliGemma's processor looks for locations and segments before anything else, listed or not.
    private func unlistedMarks(_ listed: Set<[UInt8]>) -> [BytePairTokenizer.AddedToken] {
        (Marks.locations + Marks.segments).compactMap { mark in
            let content = Array(mark.utf8)
            guard !listed.contains(content), let id = vocabulary[content[...]] else { return nil }
            return .init(id: Int(id), content: content, isNormalized: true, isSpecial: false)
        }
    }

    private func refuseOthers() throws(InferenceError) {
        guard model.type == "BPE" else { throw unsupported("model.type is \(model.type ?? "missing"), expected BPE") }
        guard model.byteFallback == true else { throw unsupported("model.byte_fallback is not true") }
        guard model.ignoreMerges != true else { throw unsupported("model.ignore_merges is true") }
        guard (model.dropout ?? 0) == 0 else { throw unsupported("model.dropout is \(model.dropout!)") }
        guard (model.prefix ?? "").isEmpty else { throw unsupported("model.continuing_subword_prefix is set") }
        guard (model.suffix ?? "").isEmpty else { throw unsupported("model.end_of_word_suffix is set") }
        guard normalizer?.isReplacement(of: " ", by: "\u{2581}") == true else {
            throw unsupported("normalizer is \(normalizer?.type ?? "null"), expected Replace of a blank by U+2581")
        }
        // No blank is left to split at: such a splitter does nothing.
        guard splitter == nil || (splitter!.type == "Split" && splitter!.pattern?.String == " ") else {
            throw unsupported("pre_tokenizer is \(splitter!.type), expected Split at blanks, or null")
        }
        let steps = decoder?.type == "Sequence" ? decoder!.decoders ?? [] : []
        guard steps.map(\.type) == ["Replace", "ByteFallback", "Fuse"], steps[0].isReplacement(of: "\u{2581}", by: " ")
        else { throw unsupported("decoder is not Replace of U+2581 by a blank, ByteFallback, Fuse") }
    }

    private func unsupported(_ what: String) -> InferenceError {
        InferenceError(.unsupportedModel, "\(path): \(what): this is not a tokenizer of PaliGemma's")
    }
}

private struct AddedToken: Decodable {
    let id: Int
    let content: String
    let special: Bool
    let normalized, single_word, lstrip, rstrip: Bool?
}

/// A step of the pipeline, as far as it is judged.
private struct Step: Decodable {
    struct Pattern: Decodable { let String: String? }
    let type: String
    let pattern: Pattern?
    let content: String?
    let decoders: [Step]?

    func isReplacement(of old: String, by new: String) -> Bool {
        type == "Replace" && pattern?.String == old && content == new
    }
}

private struct ModelOptions {
    var type, prefix, suffix: String?
    var dropout: Double?
    var byteFallback, ignoreMerges: Bool?
}
