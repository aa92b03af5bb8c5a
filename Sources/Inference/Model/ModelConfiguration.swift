import CKernels
import Foundation

/// What a config.json says that a PaliGemma is. Fields that a file omits have the values that transformers 5.24 gives
/// them: PaliGemma's where a whole sub-configuration is absent, else those of the sub-configuration's own class.
public struct ModelConfiguration: Sendable, Equatable {
    /// SigLIP's sizes.
    public struct Vision: Sendable, Equatable {
        /// Hidden width.
        public var width: Int
        /// Encoder layers.
        public var layers: Int
        /// Attention heads.
        public var heads: Int
        /// Hidden width of the MLP.
        public var mlp: Int
        /// Side of a patch, pixels.
        public var patchSize: Int
        /// Side of the image, pixels.
        public var imageSize: Int
        /// LayerNorm's epsilon.
        public var epsilon: Float

        /// Patches a side.
        public var grid: Int { imageSize / patchSize }
    }

    /// Gemma's sizes, and what its decoder layers are made of.
    public struct Text: Sendable, Equatable {
        /// The decoder's architecture: PaliGemma 1 has Gemma, PaliGemma 2 has Gemma 2.
        public enum Family: String, Sendable {
            case gemma, gemma2
        }

        /// The architecture.
        public var family: Family
        /// Hidden width.
        public var width: Int
        /// Decoder layers.
        public var layers: Int
        /// Query heads.
        public var heads: Int
        /// Key and value heads.
        public var kvHeads: Int
        /// Size of a head; not always width / heads.
        public var headSize: Int
        /// Hidden width of the MLP.
        public var mlp: Int
        /// Rows of the embedding, padding rows included.
        public var vocabulary: Int
        /// RMSNorm's epsilon.
        public var epsilon: Float
        /// RoPE's base.
        public var ropeBase: Double
        /// Longest sequence, tokens.
        public var maxPositions: Int
        /// What a query's product with a key is multiplied by: query_pre_attn_scalar^−½.
        public var queryScale: Float
        /// c of c · tanh(x / c) on the scores of attention; nil: they have no bound.
        public var attentionSoftCap: Float?
        /// c of c · tanh(x / c) on the logits, before the softmax; nil: they have no bound.
        public var logitSoftCap: Float?
        /// Tokens that a suffix's query sees in a sliding layer, its own included; nil: all.
        public var slidingWindow: Int?
        /// Whether each layer has the window: one value a layer.
        public var slidingLayers: [Bool]
        /// Whether what attention and the MLP give is normed before it is added to the residual stream.
        public var hasPostNorms: Bool
    }

    /// The image encoder.
    public var vision: Vision
    /// The language model.
    public var text: Text
    /// Id of `<image>` in input ids.
    public var imageToken: Int
    /// Id that begins a prefix.
    public var beginToken: Int
    /// Ids that end a suffix; the first is the one that is appended to a suffix to be scored.
    public var endTokens: [Int]
    /// Whether the head is the embedding where the checkpoint has but one of the two.
    public var tiesHead: Bool

    /// Tokens that one image becomes.
    public var imageTokenCount: Int { vision.grid * vision.grid }

    /// Reads `config.json`; throws what is missing, of another kind or out of range.
    public init(contentsOf url: URL) throws(InferenceError) { try self.init(mapFile(url), path: url.path) }

    /// A `config.json`'s bytes; `path` is named in errors.
    init(_ json: Data, path: String) throws(InferenceError) {
        let file: ConfigFile
        do { file = try JSONDecoder().decode(ConfigFile.self, from: json) } catch {
            throw InferenceError(.invalidModel, "\(path): not a valid configuration: \(describe(error))")
        }
        try self.init(file, path: path)
    }

    /// PaliGemma 3B for images of 224, 448 or 896 pixels a side.
    public static func paliGemma3B(imageSize: Int) -> ModelConfiguration {
        named(
            "paligemma-3b", imageSize: imageSize,
            text: """
                "hidden_size": 2048, "num_hidden_layers": 18, "intermediate_size": 16384, "num_attention_heads": 8,
                "num_key_value_heads": 1, "vocab_size": 257216
                """)
    }

    /// The sizes of PaliGemma 2.
    public enum PaliGemma2: String, CaseIterable, Sendable {
        /// 3.03, 9.66 and 27.65 billion parameters, vision tower included.
        case small = "3b"
        case medium = "10b"
        case large = "28b"

        /// Where they are not Gemma 2's defaults.
        fileprivate var sizes: String {
            switch self {
            case .small: ""
            case .medium:
                """
                , "hidden_size": 3584, "num_hidden_layers": 42, "intermediate_size": 14336, "num_attention_heads": 16,
                "num_key_value_heads": 8
                """
            case .large:
                """
                , "hidden_size": 4608, "num_hidden_layers": 46, "intermediate_size": 36864, "num_attention_heads": 32,
                "num_key_value_heads": 16, "head_dim": 128, "query_pre_attn_scalar": 144
                """
            }
        }
    }

    /// PaliGemma 2 for images of 224, 448 or 896 pixels a side.
    public static func paliGemma2(_ size: PaliGemma2, imageSize: Int) -> ModelConfiguration {
        named(
            "paligemma2-\(size.rawValue)", imageSize: imageSize,
            text: #""model_type": "gemma2", "vocab_size": 257216\#(size.sizes)"#)
    }

    private static func named(_ name: String, imageSize: Int, text: String) -> ModelConfiguration {
        let json = """
            {"model_type": "paligemma", "text_config": {\(text)},
             "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
             "num_attention_heads": 16, "patch_size": 14, "image_size": \(imageSize)}}
            """
        do { return try ModelConfiguration(Data(json.utf8), path: "\(name)-\(imageSize)") } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Numbers in the model's files: of both towers, the projector and the embedding, which is the head, too.
    public var parameterCount: Int {
        let (v, t) = (vision, text)
        let visionLayer = 4 * v.width * (v.width + 1) + 2 * v.width * v.mlp + v.mlp + v.width + 4 * v.width
        let patches = (3 * v.patchSize * v.patchSize + 1 + imageTokenCount) * v.width
        let projector = (v.width + 1) * t.width
        let heads = 2 * (t.heads + t.kvHeads) * t.headSize
        let textLayer = t.width * (heads + 3 * t.mlp + (t.hasPostNorms ? 4 : 2))
        return v.layers * visionLayer + patches + 2 * v.width + projector + t.layers * textLayer
            + (t.vocabulary + 1) * t.width
    }

    private init(_ file: ConfigFile, path: String) throws(InferenceError) {
        func unsupported(_ what: String) -> InferenceError { InferenceError(.unsupportedModel, "\(path): \(what)") }
        guard file.model_type == "paligemma" else {
            throw unsupported("model_type is \(file.model_type ?? "missing"), expected paligemma")
        }
        if let what = file.unsupported { throw unsupported(what) }
        for (name, size) in [
            ("image_size", file.vision_config?.image_size), ("patch_size", file.vision_config?.patch_size),
        ] {
            if let size, size.side == nil { throw unsupported("vision_config.\(name) \(size.values) is no square") }
        }
        vision = Vision(file.vision_config)
        text = Text(file.text_config)
        imageToken = file.image_token_index ?? file.image_token_id ?? 256_000
        beginToken = file.bos_token_id ?? file.text_config?.bos_token_id ?? 2
        endTokens = (file.eos_token_id ?? file.text_config?.eos_token_id)?.values ?? [1]
        tiesHead = file.tie_word_embeddings ?? true
        if let problem { throw InferenceError(.invalidModel, "\(path): \(problem)") }
    }

    /// Throws where a product of int8 has more inputs than 32 bits can sum.
    func check(_ precision: Precision, path: String) throws(InferenceError) {
        guard precision == .int8 else { return }
        let inputs = [
            ("3 x vision_config.patch_size x patch_size", 3 * vision.patchSize * vision.patchSize),
            ("vision_config.hidden_size", vision.width), ("vision_config.intermediate_size", vision.mlp),
            ("text_config.hidden_size", text.width), ("text_config.intermediate_size", text.mlp),
            ("text_config.num_attention_heads x head_dim", text.heads * text.headSize),
        ]
        let most = Int(GLOSS_INT8_INPUTS)
        guard let (name, count) = inputs.first(where: { $0.1 > most }) else { return }
        throw InferenceError(
            .unsupportedModel, "\(path): \(name) is \(count), and int8 computes up to \(most); bf16 has no such limit")
    }

    /// The first value that can't be.
    private var problem: String? {
        let sizes = [
            ("vision_config.hidden_size", vision.width), ("vision_config.num_hidden_layers", vision.layers),
            ("vision_config.num_attention_heads", vision.heads), ("vision_config.intermediate_size", vision.mlp),
            ("vision_config.patch_size", vision.patchSize), ("vision_config.image_size", vision.imageSize),
            ("text_config.hidden_size", text.width), ("text_config.num_hidden_layers", text.layers),
            ("text_config.num_attention_heads", text.heads), ("text_config.num_key_value_heads", text.kvHeads),
            ("text_config.head_dim", text.headSize), ("text_config.intermediate_size", text.mlp),
            ("text_config.max_position_embeddings", text.maxPositions),
        ]
        // Products of three sizes, as a matrix of patches has, must not overflow.
        if let (name, size) = sizes.first(where: { !(1...65536).contains($0.1) }) { return "\(name) is \(size)" }
        if !(1...1_048_576).contains(text.vocabulary) { return "text_config.vocab_size is \(text.vocabulary)" }
        if vision.width % vision.heads != 0 {
            return "vision width \(vision.width) is no multiple of its \(vision.heads) heads"
        }
        if vision.imageSize < vision.patchSize {
            return "image_size \(vision.imageSize) is below patch_size \(vision.patchSize)"
        }
        if text.heads % text.kvHeads != 0 { return "\(text.heads) heads are no multiple of \(text.kvHeads) KV heads" }
        if text.headSize % 2 != 0 { return "head_dim \(text.headSize) is odd" }
        if endTokens.isEmpty { return "eos_token_id is empty" }
        let ids = [("bos_token_id", beginToken)] + endTokens.map { ("eos_token_id", $0) }
        if let (name, id) = ids.first(where: { !(0..<text.vocabulary).contains($0.1) }) {
            return "\(name) \(id) is outside of the vocabulary of \(text.vocabulary)"
        }
        let epsilons = [vision.epsilon, text.epsilon]
        if !epsilons.allSatisfy({ $0 > 0 && $0 < 1 }) { return "a norm's epsilon is out of range: \(epsilons)" }
        if !(text.queryScale > 0 && text.queryScale.isFinite) { return "query_pre_attn_scalar is out of range" }
        let caps = [
            ("attn_logit_softcapping", text.attentionSoftCap), ("final_logit_softcapping", text.logitSoftCap),
        ]
        for case (let name, let cap?) in caps where !(cap > 0 && cap.isFinite) { return "\(name) is \(cap)" }
        if let window = text.slidingWindow, window < 1 { return "sliding_window is \(window)" }
        if text.slidingLayers.count != text.layers {
            return "layer_types has \(text.slidingLayers.count) layers, num_hidden_layers is \(text.layers)"
        }
        if !(text.ropeBase >= 1 && text.ropeBase.isFinite) { return "rope_theta is \(text.ropeBase)" }
        return nil
    }
}

extension ModelConfiguration.Vision {
    /// SigLIP So400m, as PaliGemma has it, where `v` is absent; else SiglipVisionConfig's values for what it omits.
    fileprivate init(_ v: ConfigFile.Vision?) {
        guard let v else {
            self.init(width: 1152, layers: 27, heads: 16, mlp: 4096, patchSize: 14, imageSize: 224, epsilon: 1e-6)
            return
        }
        self.init(
            width: v.hidden_size ?? 768, layers: v.num_hidden_layers ?? 12, heads: v.num_attention_heads ?? 12,
            mlp: v.intermediate_size ?? 3072, patchSize: v.patch_size?.side ?? 16, imageSize: v.image_size?.side ?? 224,
            epsilon: v.layer_norm_eps ?? 1e-6)
    }
}

extension ModelConfiguration.Text {
    /// Gemma 2B, as PaliGemma has it, where `t` is absent; else GemmaConfig's or Gemma2Config's values for what it
    /// omits.
    fileprivate init(_ t: ConfigFile.Text?) {
        let (isGiven, family) = (t != nil, t?.family ?? .gemma)
        func size(_ given: Int?, paliGemma: Int, gemma: Int, gemma2: Int) -> Int {
            given ?? (!isGiven ? paliGemma : family == .gemma ? gemma : gemma2)
        }
        let isSecond = family == .gemma2
        let layers = size(t?.num_hidden_layers, paliGemma: 18, gemma: 28, gemma2: 26)
        let headSize = t?.head_dim ?? 256
        let scalar = isSecond ? t?.query_pre_attn_scalar ?? 256 : Double(headSize)
        let types = isSecond ? t?.layer_types?.map { $0 == "sliding_attention" } : nil
        self.init(
            family: family, width: size(t?.hidden_size, paliGemma: 2048, gemma: 3072, gemma2: 2304), layers: layers,
            heads: size(t?.num_attention_heads, paliGemma: 8, gemma: 16, gemma2: 8),
            kvHeads: size(t?.num_key_value_heads, paliGemma: 1, gemma: 16, gemma2: 4), headSize: headSize,
            mlp: size(t?.intermediate_size, paliGemma: 16384, gemma: 24576, gemma2: 9216),
            vocabulary: size(t?.vocab_size, paliGemma: 257_152, gemma: 256_000, gemma2: 256_000),
            epsilon: t?.rms_norm_eps ?? 1e-6, ropeBase: t?.ropeBase ?? 10000,
            maxPositions: t?.max_position_embeddings ?? 8192, queryScale: Float(1 / scalar.squareRoot()),
            attentionSoftCap: isSecond ? t?.attn_logit_softcapping.value(default: 50) : nil,
            // transformers caps PaliGemma 1's logits too, where a file asks for it.
            logitSoftCap: t?.final_logit_softcapping.value(default: isSecond ? 30 : nil),
            slidingWindow: isSecond ? t?.sliding_window.value(default: 4096) : nil,
            slidingLayers: types ?? (0..<min(max(layers, 0), 65536)).map { isSecond && $0 % 2 == 0 },
            hasPostNorms: isSecond)
    }
}
