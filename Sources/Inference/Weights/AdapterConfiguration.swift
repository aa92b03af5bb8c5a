import Foundation

/// What an adapter_config.json of PEFT says. What would change responses and is not computed is refused.
struct AdapterConfiguration {
    /// The model that it was trained on, as its trainer named it.
    let base: String?
    /// Modules that are saved whole.
    let savedModules: [String]
    private let path: String
    private let rank: Int
    private let alpha: Double
    private let isRankStabilised: Bool
    private let ranks: [(key: String, value: Double)]
    private let alphas: [(key: String, value: Double)]
    private let targets: ModuleNames
    private let excluded: ModuleNames
    private let layers: [Int]?
    private let layerNames: [String]

    static let name = "adapter_config.json"

    init(_ json: Data, path: String) throws(InferenceError) {
        self.path = path
        let fields = try Fields(json, path: path)
        let kind = try fields.read("peft_type", String.self) ?? "LORA"
        guard kind == "LORA" else {
            throw InferenceError(.unsupportedModel, "\(path): peft_type is \(kind), expected LORA")
        }
        try Self.refuseOthers(fields, path)
        base = try fields.read("base_model_name_or_path", String.self)
        savedModules = try fields.read("modules_to_save", [String].self) ?? []
        rank = try fields.read("r", Int.self) ?? 8
        alpha = try fields.read("lora_alpha", Double.self) ?? 8
        isRankStabilised = try fields.read("use_rslora", Bool.self) ?? false
        ranks = try fields.pattern("rank_pattern")
        alphas = try fields.pattern("alpha_pattern")
        targets = try fields.modules("target_modules")
        excluded = try fields.modules("exclude_modules")
        layers = try fields.read("layers_to_transform", Several<Int>.self)?.values
        layerNames = try fields.read("layers_pattern", Several<String>.self)?.values ?? []
    }

    /// What a module's product B · A · x is multiplied by. Throws where its rank is not what the file says.
    func scale(of module: String, rank found: Int) throws(InferenceError) -> Float {
        let expected = try value(ranks, module) ?? Double(rank)
        guard Double(found) == expected else {
            throw InferenceError(
                .invalidModel,
                "\(path): the rank of \(module) is \(Int(exactly: expected).map(String.init) ?? "\(expected)"), but its"
                    + " matrices have \(found)")
        }
        let alpha = try value(alphas, module) ?? alpha
        let scale = Float(isRankStabilised ? alpha / Double(found).squareRoot() : alpha / Double(found))
        guard scale.isFinite else {
            throw InferenceError(.invalidModel, "\(path): the alpha of \(module) is \(alpha)")
        }
        return scale
    }

    /// The first pattern that a module's name ends with, as PEFT looks it up.
    private func value(_ patterns: [(key: String, value: Double)], _ module: String) throws(InferenceError) -> Double? {
        for (key, value) in patterns where try pattern("(.*\\.)?(\(key))", key).matches(module) { return value }
        return nil
    }

    private func pattern(_ text: String, _ key: String) throws(InferenceError) -> Pattern {
        guard let pattern = Pattern(text) else {
            throw InferenceError(.unsupportedModel, "\(path): \(key) is no pattern that Gloss can read")
        }
        return pattern
    }

    /// Whether PEFT adapts a module of this name. It leaves the matrices of others alone, though they may be saved.
    func adapts(_ module: String) throws(InferenceError) -> Bool {
        guard try !matches(excluded, module), try matches(targets, module) else { return false }
        guard case .list = targets, let layers, !layers.isEmpty else { return true }
        let starts = layerNames.isEmpty ? [".*?\\.[^.]*"] : layerNames.map { "(?:.*?\\.)?\($0)" }
        for start in starts {
            guard let index = try pattern("\(start)\\.([0-9]+)\\..*", "layers_pattern").number(in: module) else {
                continue
            }
            return layers.contains(index)
        }
        return false
    }

    private func matches(_ names: ModuleNames, _ module: String) throws(InferenceError) -> Bool {
        switch names {
        case .all: true
        case .list(let names): names.contains { module == $0 || module.hasSuffix(".\($0)") }
        case .pattern(let text): try pattern(text, "target_modules or exclude_modules").matches(module)
        }
    }

    /// What no adapter may have.
    private static func refuseOthers(_ fields: Fields, _ path: String) throws(InferenceError) {
        func fail(_ what: String) -> InferenceError { InferenceError(.unsupportedModel, "\(path): \(what)") }
        let how = "is not computed; merge the adapter with peft (merge_and_unload), and give the merged model"
        if try fields.read("use_dora", Bool.self) == true { throw fail("use_dora (DoRA) \(how)") }
        if let bias = try fields.read("bias", String.self), bias != "none" {
            throw fail("bias is \(bias), which trains the base's own biases and \(how)")
        }
        // These change the base's weights when the adapter is loaded.
        if let start = fields.values["init_lora_weights"], !start.isTrivial {
            let word = try fields.read("init_lora_weights", BoolOrString.self)?.word ?? ""
            guard ["true", "gaussian", "eva", "orthogonal"].contains(word) else {
                throw fail("init_lora_weights is \(word), which may change the base's weights and \(how)")
            }
        }
        if fields.isSet("loftq_config") || fields.isSet("use_qalora") {
            throw fail("loftq_config or use_qalora is set: the base is quantised, which \(how)")
        }
        if let other = fields.values.keys.sorted().first(where: { !known.contains($0) && fields.isSet($0) }) {
            throw fail("\(other) is set, which \(how)")
        }
    }

    /// Fields that are read, and those that change no response.
    private static let known: Set<String> = [
        "peft_type", "base_model_name_or_path", "modules_to_save", "r", "lora_alpha", "use_rslora", "rank_pattern",
        "alpha_pattern", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "use_dora",
        "bias",
        "init_lora_weights", "loftq_config", "use_qalora",
        // Of linear layers PEFT takes it as false.
        "fan_in_fan_out",
        "auto_mapping", "ensure_weight_tying", "eva_config", "inference_mode", "lora_dropout", "megatron_core",
        "peft_version", "qalora_group_size", "revision", "runtime_config", "task_type",
    ]
}

/// Which modules.
private enum ModuleNames {
    /// Every linear layer.
    case all
    /// Those with such a name, or one that ends with it.
    case list([String])
    /// Those whose whole name it matches.
    case pattern(String)
}

/// A regular expression, as Python writes it.
private struct Pattern {
    private let expression: Regex<AnyRegexOutput>

    init?(_ text: String) {
        guard let expression = try? Regex(text) else { return nil }
        self.expression = expression
    }

    func matches(_ text: String) -> Bool { (try? expression.wholeMatch(in: text)) ?? nil != nil }

    /// The number that its last group takes.
    func number(in text: String) -> Int? {
        guard let match = try? expression.wholeMatch(in: text) else { return nil }
        return match.output.last?.substring.flatMap { Int($0) }
    }
}

/// The fields of the file, each as it stands there.
private struct Fields {
    let values: [String: Data]
    private let path: String

    init(_ json: Data, path: String) throws(InferenceError) {
        var values: [String: Data] = [:]
        var reader = JSONReader(json, path: path)
        try reader.object { reader, key throws(InferenceError) in
            values[String(decoding: key, as: UTF8.self)] = try reader.value()
        }
        (self.values, self.path) = (values, path)
    }

    func isSet(_ key: String) -> Bool { values[key].map { !$0.isTrivial } ?? false }

    /// Nil where the field is absent or null.
    func read<Value: Decodable>(_ key: String, _: Value.Type) throws(InferenceError) -> Value? {
        guard let data = values[key] else { return nil }
        do { return try JSONDecoder().decode(Value?.self, from: data) } catch {
            throw InferenceError(
                .invalidModel,
                "\(path): \(key) is \(String(decoding: data.prefix(80), as: UTF8.self)): \(describe(error))")
        }
    }

    /// Numbers by pattern, in the order of the file, in which they are looked up.
    func pattern(_ key: String) throws(InferenceError) -> [(key: String, value: Double)] {
        guard isSet(key), let data = values[key] else { return [] }
        var found: [(key: String, value: Double)] = []
        var reader = JSONReader(data, path: "\(path): \(key)")
        try reader.object { reader, name throws(InferenceError) in
            let name = String(decoding: name, as: UTF8.self)
            let text = String(decoding: try reader.value(), as: UTF8.self)
            guard let value = Double(text) else {
                throw InferenceError(.invalidModel, "\(path): \(key) has \(text) for \(name), expected a number")
            }
            found.append((name, value))
        }
        return found
    }

    func modules(_ key: String) throws(InferenceError) -> ModuleNames {
        guard isSet(key) else { return .list([]) }
        if let text = try? read(key, String.self) { return text == "all-linear" ? .all : .pattern(text) }
        return .list(try read(key, [String].self) ?? [])
    }
}

extension Data {
    /// Whether a JSON value is null, false, zero or empty.
    fileprivate var isTrivial: Bool {
        ["null", "false", "0", "\"\"", "{}", "[]"].contains(
            String(decoding: self, as: UTF8.self).filter { !$0.isWhitespace })
    }
}

/// One value, or a list of them.
private struct Several<Value: Decodable>: Decodable {
    let values: [Value]

    init(from decoder: any Decoder) throws {
        values = try (try? [Value](from: decoder)) ?? [Value(from: decoder)]
    }
}

/// A word, true and false among them.
private struct BoolOrString: Decodable {
    let word: String

    init(from decoder: any Decoder) throws {
        word = try (try? Bool(from: decoder)).map { "\($0)" } ?? String(from: decoder)
    }
}
