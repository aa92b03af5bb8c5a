import Foundation

/// The small files of a model, in a folder or packed: what is read beside the weights.
protocol ModelFiles {
    /// Named in errors.
    var path: String { get }
    /// A file's bytes; nil where there is none of this name.
    func contents(_ name: String) throws(InferenceError) -> Data?
}

/// What a model's small files say together.
struct ModelDescription {
    var configuration: ModelConfiguration
    let tokenizer: Tokenizer
    /// What the image processor's file says of the resize; nil: it is bicubic, or there is no such file.
    let images: ImageProcessing
    /// The names of the files that change what is computed: they make the digest, with the weights.
    let names: [String]
    /// The names of all files that were read: a packed model needs them.
    let read: [String]
    /// What an owner should know, though the model loads.
    let warnings: [String]

    static let configName = "config.json"
    static let tokenizerNames = ["tokenizer.model", "tokenizer.json"]
    static let generationName = "generation_config.json"
    /// Every file that may be read.
    static let allNames = [configName] + tokenizerNames + [generationName] + ImageProcessing.names

    init(_ files: some ModelFiles) throws(InferenceError) {
        func path(_ name: String) -> String { "\(files.path)/\(name)" }
        guard let config = try files.contents(Self.configName) else {
            throw InferenceError(.invalidModel, "\(path(Self.configName)): no such file")
        }
        var configuration = try ModelConfiguration(config, path: path(Self.configName))
        let (tokenizerName, tokenizer) = try Self.tokenizer(files)
        var (names, read) = ([Self.configName, tokenizerName], [Self.configName, tokenizerName])
        var warnings: [String] = []
        if let data = try files.contents(Self.generationName) {
            read.append(Self.generationName)
            let ends = try GenerationFile(data, path: path(Self.generationName)).endTokens
            if let ends, ends != configuration.endTokens {
                configuration.endTokens = ends
                names.append(Self.generationName)
            } else if ends == nil {
                warnings.append(
                    "\(path(Self.generationName)) names no eos_token_id: responses end at \(configuration.endTokens)"
                        + " of config.json")
            }
        }
        images = try ImageProcessing(files, imageSize: configuration.vision.imageSize, read: &read)
        // What Hugging Face's processor writes are the tokenizer's own pieces.
        configuration.beginToken = tokenizer.id(of: "<bos>") ?? configuration.beginToken
        if let end = tokenizer.id(of: "<eos>"), configuration.endTokens.contains(end) {
            configuration.endTokens = [end] + configuration.endTokens.filter { $0 != end }
        }
        try Self.check(tokenizer, configuration, path: path(tokenizerName))
        warnings += Self.warnings(tokenizer, configuration, path: path(tokenizerName))
        (self.configuration, self.tokenizer, self.names) = (configuration, tokenizer, names)
        (self.read, self.warnings) = (read, warnings)
    }

    /// tokenizer.model, or tokenizer.json where there is no other or where it has other pieces: as a fine-tune with
    /// tokens of its own has, whose tokenizer.model is still the base's. transformers reads tokenizer.json.
    private static func tokenizer(_ files: some ModelFiles) throws(InferenceError) -> (String, Tokenizer) {
        var found: [(String, Tokenizer)] = []
        for name in tokenizerNames {
            guard let data = try files.contents(name) else { continue }
            found.append((name, try Tokenizer(data, path: "\(files.path)/\(name)")))
        }
        guard let first = found.first, let last = found.last else {
            throw InferenceError(
                .invalidModel,
                "\(files.path)/tokenizer.model: no such file, nor tokenizer.json; copy one of them from the model that this"
                    + " one was trained from")
        }
        if found.count == 1, first.0 == tokenizerNames[0] { try ListedTokens.check(first.1, files) }
        return first.1.hasPieces(of: last.1) ? first : last
    }

    private static func check(
        _ tokenizer: Tokenizer, _ configuration: ModelConfiguration, path: String
    ) throws(InferenceError) {
        let ids = [("<bos>", configuration.beginToken)] + configuration.endTokens.map { ("the end token", $0) }
        if let (what, id) = ids.first(where: { !(0..<configuration.text.vocabulary).contains($0.1) }) {
            throw InferenceError(
                .invalidModel,
                "\(path): the id of \(what) is \(id), config.json has a vocabulary of \(configuration.text.vocabulary)")
        }
        guard tokenizer.pieceCount <= configuration.text.vocabulary else {
            throw InferenceError(
                .invalidModel,
                "\(path) has \(tokenizer.pieceCount) pieces, config.json a vocabulary of"
                    + " \(configuration.text.vocabulary)")
        }
    }

    private static func warnings(_ tokenizer: Tokenizer, _ configuration: ModelConfiguration, path: String) -> [String]
    {
        var found: [String] = []
        // `<image>` follows the last piece that the model was trained with.
        if (tokenizer.pieceCount..<configuration.text.vocabulary).contains(configuration.imageToken - 1) {
            found.append(
                "\(path) has \(tokenizer.pieceCount) pieces, the model knows \(configuration.imageToken): it is not the"
                    + " model's own; ids without a piece show as U+FFFD")
        }
        if !tokenizer.hasLocations {
            found.append("\(path) has no pieces <loc0000> to <loc1023>: nothing can be detected with this model")
        }
        return found
    }
}

/// What a generation_config.json says. How to decode is a job's to say; what else would change responses is refused.
struct GenerationFile {
    /// Ids that end a response; nil where the file has none.
    let endTokens: [Int]?

    init(_ json: Data, path: String) throws(InferenceError) {
        let fields: Fields
        do { fields = try JSONDecoder().decode(Fields.self, from: json) } catch {
            throw InferenceError(.invalidModel, "\(path): not valid: \(describe(error))")
        }
        if let what = fields.unsupported {
            throw InferenceError(
                .unsupportedModel, "\(path): \(what) changes responses and is not computed; remove it from the file")
        }
        endTokens = fields.eos_token_id?.values
    }

    private struct Fields: Decodable {
        var eos_token_id: OneOrMore?
        var repetition_penalty, encoder_repetition_penalty, guidance_scale: Double?
        var no_repeat_ngram_size, encoder_no_repeat_ngram_size, min_length, min_new_tokens: Int?
        var suppress_tokens, begin_suppress_tokens, bad_words_ids, sequence_bias, forced_bos_token_id,
            forced_eos_token_id, exponential_decay_length_penalty, watermarking_config, stop_strings,
            forced_decoder_ids: Anything?

        /// The first field that is set to other than what does nothing.
        var unsupported: String? {
            let factors = [
                ("repetition_penalty", repetition_penalty), ("guidance_scale", guidance_scale),
                ("encoder_repetition_penalty", encoder_repetition_penalty),
            ]
            if let (name, value) = factors.first(where: { ($0.1 ?? 1) != 1 }) { return "\(name) \(value!)" }
            let counts = [
                ("no_repeat_ngram_size", no_repeat_ngram_size), ("min_length", min_length),
                ("encoder_no_repeat_ngram_size", encoder_no_repeat_ngram_size), ("min_new_tokens", min_new_tokens),
            ]
            if let (name, value) = counts.first(where: { ($0.1 ?? 0) != 0 }) { return "\(name) \(value!)" }
            let others = [
                ("suppress_tokens", suppress_tokens), ("begin_suppress_tokens", begin_suppress_tokens),
                ("bad_words_ids", bad_words_ids), ("sequence_bias", sequence_bias),
                ("forced_bos_token_id", forced_bos_token_id), ("forced_eos_token_id", forced_eos_token_id),
                ("exponential_decay_length_penalty", exponential_decay_length_penalty),
                ("watermarking_config", watermarking_config), ("stop_strings", stop_strings),
                ("forced_decoder_ids", forced_decoder_ids),
            ]
            return others.first { $0.1 != nil }?.0
        }
    }
}
