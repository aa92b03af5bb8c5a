import Annotation
import Foundation
import Synchronization

/// What the vision tower makes of one image: [count, text width].
public struct ImageTokens: Sendable, Equatable {
    /// Tokens.
    public let count: Int
    /// Row-major values.
    public let values: [Float]
}

/// A question about images.
public struct GenerationRequest: Sendable {
    /// The images, in order; their tokens stand before the prompt with nothing between.
    public let images: [ImageTokens]
    /// The task's prompt, without newline.
    public let prompt: String
    /// How tokens are chosen.
    public let settings: DecodeSettings
    /// Responses to score instead of drawing any, each with its end token; empty: responses are drawn.
    public let options: [String]
    /// What answers beside the model, one of its own adapters; the images were seen with it, too.
    public let adapter: Adapter?

    /// A request; nothing is checked yet.
    public init(
        images: [ImageTokens], prompt: String, settings: DecodeSettings, options: [String] = [],
        adapter: Adapter? = nil
    ) {
        self.images = images
        self.prompt = prompt
        self.settings = settings
        self.options = options
        self.adapter = adapter
    }
}

/// Everything that a reference can be compared with.
struct Stages: Sendable {
    /// As read by the vision tower, one an image.
    let pixelValues: [PixelValues]
    /// After the projector, one an image.
    let imageFeatures: [ImageTokens]
    /// Logits of every position of the prefix: [positions][vocabulary].
    let logits: [[Float]]
}

/// A loaded PaliGemma: SigLIP, projector, Gemma and tokenizer. Immutable; calls compute on the caller's thread and
/// block it.
public final class PaliGemma: Sendable {
    /// Sizes.
    public let configuration: ModelConfiguration
    /// Text to ids and back.
    public let tokenizer: Tokenizer
    /// The special tokens that tasks read.
    public let vocabulary: ModelVocabulary
    /// Identity of the model's files: sha256, hexadecimal.
    public let fileDigest: String
    /// What computes: the files, the arithmetic and the options that change numbers. Responses of models with the same
    /// digest are the same.
    public var digest: String { ModelIdentity.digest(fileDigest, precision, digestOptions) }
    private let digestOptions: [String]
    /// How images are resized.
    public let resize: Resize
    /// What the model's owner should know, though it loads.
    public let warnings: [String]
    /// The arithmetic of the matrix products.
    public let precision: Precision
    let locations: LocationTokens
    let vision: VisionTower
    let language: LanguageModel
    let compute: Compute

    /// Loads a Hugging Face folder (config.json, safetensors, tokenizer.model or tokenizer.json) or a file that
    /// `pack` wrote.
    ///
    /// - Parameters:
    ///   - precision: the arithmetic of the matrix products; nil: as packed, or bf16 where all weights are stored so,
    ///     else f32.
    ///   - options: what the files leave open.
    ///   - threads: to compute with, the caller's included; results do not depend on it.
    ///   - cpus: where they are kept, the caller's too; empty: wherever the process may run.
    ///   - instructionSet: one that this processor has; results do not depend on it.
    public convenience init(
        contentsOf url: URL, precision: Precision? = nil, options: LoadOptions = LoadOptions(),
        threads: Int = Processors.threadCount(), cpus: [Int] = [], instructionSet: InstructionSet = .best
    ) throws(InferenceError) {
        try self.init(
            contentsOf: url, precision: precision, options: options,
            compute: Compute(instructionSet: instructionSet.kernel, threadCount: max(1, threads), cpus: cpus))
    }

    convenience init(
        contentsOf url: URL, precision: Precision?, options: LoadOptions = LoadOptions(), compute: Compute
    ) throws(InferenceError) {
        if url.isRegularFile {
            var file = try PackedFile(url)
            if let precision, precision.packed != file.precision.packed {
                throw InferenceError(
                    .invalidModel,
                    "\(url.path): packed as \(file.precision.rawValue), asked for as \(precision.rawValue)")
            }
            let fileDigest = file.header.fileDigest
            try self.init(
                ModelDescription(file), weights: &file, precision: precision, options: options, fileDigest: fileDigest,
                warnings: [], path: url.path, compute: compute)
            try file.finish()
        } else {
            let folder = try ModelFolder(url)
            let description = try ModelDescription(folder)
            var checkpoint = try Checkpoint(folder, precision: precision)
            try checkpoint.settleHead(isTied: description.configuration.tiesHead)
            try self.init(
                description, weights: &checkpoint, precision: precision, options: options,
                fileDigest: folder.digest(description), warnings: folder.warnings, path: url.path, compute: compute)
            try checkpoint.finish()
        }
    }

    /// Reads what describes the model at `url`, and the list of its tensors, but no weights.
    /// - Throws: what loading it would say about these.
    public static func check(
        contentsOf url: URL, precision: Precision? = nil, options: LoadOptions = LoadOptions()
    ) throws(InferenceError) {
        let description: ModelDescription
        if url.isRegularFile {
            description = try ModelDescription(PackedFile(url))
        } else {
            let folder = try ModelFolder(url)
            description = try ModelDescription(folder)
            _ = try Checkpoint(folder, precision: precision)
        }
        if let what = description.images.unsupportedResize, options.resize == nil {
            throw InferenceError(.unsupportedModel, what)
        }
    }

    private init(
        _ description: ModelDescription, weights: inout some WeightSource, precision: Precision?, options: LoadOptions,
        fileDigest: String, warnings: [String], path: String, compute: Compute
    ) throws(InferenceError) {
        var configuration = description.configuration
        digestOptions = options.apply(to: &configuration)
        self.precision = precision ?? weights.precision
        var compute = compute
        compute.isTiled = self.precision == .bf16AMX
        self.compute = compute
        self.configuration = configuration
        tokenizer = description.tokenizer
        vocabulary = ModelVocabulary(tokenizer)
        locations = LocationTokens(vocabulary.locations)
        self.fileDigest = fileDigest
        self.warnings = warnings + description.warnings
        if let what = description.images.unsupportedResize, options.resize == nil {
            throw InferenceError(.unsupportedModel, what)
        }
        resize = options.resize ?? .bicubic
        try configuration.check(self.precision, path: path)
        vision = try VisionTower(configuration, from: &weights)
        language = try LanguageModel(configuration.text, from: &weights)
    }

    /// Packs the model in `folder` into one file, which loads in a moment and whose pages all daemons of a machine
    /// share.
    ///
    /// - Parameters:
    ///   - adapter: a folder of PEFT, merged into the weights in f32, before they are rounded.
    ///   - url: replaced, at once and only by a complete file; whatever else comes of it, nothing is left behind.
    ///   - isCancelled: asked before each weight; true ends it with an error.
    public static func pack(
        folder: URL, precision: Precision?, adapter: URL? = nil, to url: URL,
        isCancelled: @escaping () -> Bool = { false }
    ) throws {
        let files = try ModelFolder(folder)
        let description = try ModelDescription(files)
        let configuration = description.configuration
        let merged = try adapter.map { try AdapterFolder($0, for: configuration) }
        var checkpoint = try Checkpoint(files, precision: precision, adapter: merged)
        try checkpoint.settleHead(isTied: configuration.tiesHead)
        try configuration.check(checkpoint.precision, path: folder.path)
        let partial = url.deletingLastPathComponent().appending(path: ".\(url.lastPathComponent).partial")
        var writer = try PackedFileWriter(checkpoint, to: partial, isCancelled: isCancelled)
        do {
            for name in description.read {
                if let data = try files.contents(name) { try writer.append(name, data) }
            }
            _ = try VisionTower(configuration, from: &writer)
            _ = try LanguageModel(configuration.text, from: &writer)
            let digest = try files.digest(description)
            try writer.finish(fileDigest: merged?.digest(mergedInto: digest) ?? digest)
            guard rename(partial.path, url.path) == 0 else { throw InferenceError(errno: errno, at: url) }
        } catch {
            try? FileManager.default.removeItem(at: partial)
            throw error
        }
    }

    /// Grows while the model computes, many times a second: if it does not, the computation hangs.
    public var activity: Int { compute.activity.count.load(ordering: .relaxed) }

    /// Resizes and normalises an RGB image [height, width, 3] for this model.
    public func pixelValues(rgb: [UInt8], width: Int, height: Int) -> PixelValues {
        PixelValues(rgb: rgb, width: width, height: height, size: configuration.vision.imageSize, by: resize)
    }

    /// Reads an adapter of PEFT for this model, which stays as it is: its own matrices are added when rows that have the
    /// adapter are computed, in f32 or, where the model is bf16 or int8, in bf16.
    public func adapter(contentsOf folder: URL) throws(InferenceError) -> Adapter {
        try Adapter(AdapterFolder(folder, for: configuration), for: configuration, precision)
    }

    /// The vision tower and the projector, some images together.
    public func embedImages(_ images: [PixelValues], adapter: Adapter? = nil) throws(InferenceError) -> [ImageTokens] {
        try embedImages(images.map { ImageInput(pixels: $0, adapter: adapter) })
    }

    func embedImages(_ images: [ImageInput]) throws(InferenceError) -> [ImageTokens] {
        let count = configuration.imageTokenCount
        let atOnce = max(1, Scheduler.passRows / count)
        var embedded: [ImageTokens] = []
        for start in stride(from: 0, to: images.count, by: atOnce) {
            let pass = Array(images[start..<min(start + atOnce, images.count)])
            let tokens = try vision.embed(pass, compute)
            embedded += pass.indices.map { index in
                ImageTokens(count: count, values: tokens.values(rows: index * count..<(index + 1) * count))
            }
        }
        return embedded
    }

    /// Responses to each request, computed together: [request][response], as `Scheduler.Completion` has them. One that
    /// can't be served does not touch the others.
    public func generate(_ requests: [GenerationRequest]) -> [Result<[Generation], InferenceError>] {
        var scheduler = Scheduler(model: self)
        for (id, request) in requests.enumerated() {
            let images = request.images.map { Scheduler.Image($0) }
            scheduler.submit(
                Scheduler.Query(
                    id: id, images: images, prompt: request.prompt, settings: request.settings,
                    options: request.options, adapter: request.adapter))
        }
        var results: [Int: Result<[Generation], InferenceError>] = [:]
        while !scheduler.isIdle {
            for completion in scheduler.step() { results[completion.id] = completion.result }
        }
        return requests.indices.map { results[$0]! }
    }

    /// What a query asks of a prefill. Throws what this model can't serve.
    func waitingPrefix(of query: Scheduler.Query) throws(InferenceError) -> WaitingPrefix {
        try query.settings.validate(optionCount: query.options.count)
        var count = 0
        for image in query.images { count += try tokenCount(of: image) }
        let ids = try prefixIDs(query.prompt)
        let beginning = try beginning(query.settings)
        let options = try query.options.map { option throws(InferenceError) in try optionIDs(option) }
        try checkLength(
            count + ids.count + (options.map(\.count).max() ?? query.settings.maxTokens), images: query.images.count)
        let place = WaitingPrefix.Place(priority: query.priority)
        return WaitingPrefix(
            key: WaitingPrefix.Key(images: query.images.map(\.key), ids: ids, adapter: query.adapter),
            count: count + ids.count,
            query: WaitingPrefix.Query(
                id: query.id, settings: query.settings, place: place, beginning: beginning, options: options,
                holder: query.holder))
    }

    /// The tokens that a response begins with. Throws if no room is left after them.
    func beginning(_ settings: DecodeSettings) throws(InferenceError) -> [Int] {
        let ids = try tokenizer.encode(settings.continueFrom)
        guard ids.count < settings.maxTokens else {
            throw InferenceError(
                .invalidRequest,
                "the text to continue from has \(ids.count) tokens, max tokens is \(settings.maxTokens): nothing could follow"
            )
        }
        return ids
    }

    /// The tokens of a whole response.
    func optionIDs(_ option: String) throws(InferenceError) -> [Int] {
        try tokenizer.encode(option) + [configuration.endTokens[0]]
    }

    private func tokenCount(of image: Scheduler.Image) throws(InferenceError) -> Int {
        switch image.content {
        case .tokens(let tokens): return tokens.count
        case .pixels(let input):
            guard input.pixels.size == configuration.vision.imageSize else {
                let size = configuration.vision.imageSize
                throw InferenceError(
                    .invalidRequest, "an image has a side of \(input.pixels.size) pixels, expected \(size)")
            }
            return configuration.imageTokenCount
        }
    }

    /// Log-probabilities of `suffix` and `<eos>` after the prompt: those of an option.
    public func score(
        images: [ImageTokens], prompt: String, suffix: String, adapter: Adapter? = nil
    ) throws(InferenceError) -> Generation {
        let request = GenerationRequest(
            images: images, prompt: prompt, settings: DecodeSettings(), options: [suffix], adapter: adapter)
        return try generate([request])[0].get()[0]
    }

    /// The ids and images that stand before a response, checked to fit.
    func prefixOf(_ images: [ImageTokens], _ prompt: String, _ adapter: Adapter? = nil) throws(InferenceError) -> Prefix
    {
        let prefix = try prefix(images, prompt, adapter)
        try checkLength(prefix.count)
        return prefix
    }

    /// The stages of one prefill, in memory.
    func stages(images: [PixelValues], prompt: String) throws(InferenceError) -> Stages {
        let features = try embedImages(images)
        let prefix = try prefixOf(features, prompt)
        let hidden = try language.forward(prefix, bidirectional: prefix.count, compute)
        let logits = try language.logits(hidden, rows: Array(0..<prefix.count), compute)
        return Stages(
            pixelValues: images, imageFeatures: features,
            logits: (0..<prefix.count).map { logits.values(rows: $0..<$0 + 1) })
    }

    func prefix(
        _ images: [ImageTokens], _ prompt: String, _ adapter: Adapter?
    ) throws(InferenceError) -> Prefix {
        Prefix(images: images, ids: try prefixIDs(prompt), adapter: adapter)
    }

    private func prefixIDs(_ prompt: String) throws(InferenceError) -> [Int] {
        [configuration.beginToken] + (try tokenizer.encode(prompt + "\n"))
    }

    /// Throws if a sequence needs more positions than the model has, and says how many of its images fit.
    private func checkLength(_ count: Int, images imageCount: Int = 0) throws(InferenceError) {
        let (most, each) = (configuration.text.maxPositions, configuration.imageTokenCount)
        guard count > most else { return }
        let fitting = max(0, (most - count + imageCount * each) / each)
        throw InferenceError(
            .invalidRequest,
            "prefix and response need \(count) tokens, the model has \(most) positions"
                + (imageCount > 1 ? ": \(fitting) of the \(imageCount) images fit, with \(each) tokens each" : ""))
    }

    func ends(_ tokens: [Int]) -> Bool { tokens.last.map(configuration.endTokens.contains) ?? false }

    func generation(_ response: ScoredTokens, _ prefixCount: Int) throws(InferenceError) -> Generation {
        guard response.logProbabilities.allSatisfy(\.isFinite) else {
            throw InferenceError(.notFinite, "the model computed a log-probability that is not finite")
        }
        let ended = ends(response.tokens)
        return Generation(
            text: tokenizer.decode(ended ? response.tokens.dropLast() : response.tokens), tokens: response.tokens,
            logProbabilities: response.logProbabilities, finishReason: response.finishReason,
            prefixTokenCount: prefixCount, spreads: response.spreads)
    }
}
