/// How long this machine takes for each stage of a model: measured on a few of its layers, and scaled by the operations of
/// all of them. No weights are needed.
public struct StageTimes: Sendable {
    /// Seconds of an image in the vision tower.
    public let image: Double
    /// Seconds of the prefill of an image and a prompt of 10 tokens.
    public let prefix: Double
    /// Seconds of a token of a response, of many that are computed side by side.
    public let token: Double

    /// Responses side by side: those of one multiview object.
    private static let responses = 160
    /// Images and prefixes side by side.
    private static let atOnce = 2

    /// Seconds of an image of its own: the vision tower, a prompt, and a response of some tokens.
    public func job(responseTokens: Int) -> Double { image + prefix + Double(responseTokens - 1) * token }

    /// Seconds of a multiview object, as in `bench object`: 8 views, 4 questions, 5 samples of 5 tokens. A response's
    /// first token is the prefill's.
    public var object: Double { 8 * image + 32 * prefix + 4 * 160 * token }

    /// All operations at one speed, operations/s.
    public init(_ configuration: ModelConfiguration, operationsPerSecond speed: Double) {
        let tokens = Self.prefixTokens(configuration)
        image = configuration.visionOperations(images: 1) / speed
        prefix = configuration.prefillOperations(sequences: 1, tokens: tokens) / speed
        token = configuration.extendOperations(rows: 1, seen: Double(tokens)) / speed
    }

    /// Measures each stage on a part of the model, after a first time that also takes memory from the system.
    public init(_ configuration: ModelConfiguration, on part: RandomModel) {
        let tokens = Self.prefixTokens(configuration)
        _ = part.embed(images: 1)
        let images = part.embed(images: Self.atOnce)
        image = images.seconds * configuration.visionOperations(images: 1) / images.operations
        _ = part.prefill(sequences: 1, tokens: tokens)
        let prefixes = part.prefill(sequences: Self.atOnce, tokens: tokens).1
        prefix = prefixes.seconds * configuration.prefillOperations(sequences: 1, tokens: tokens) / prefixes.operations
        let objects = part.prefixes(Self.responses / 5, tokens: tokens)
        _ = part.extend(objects, samples: 5, steps: 1)
        let step = part.extend(objects, samples: 5, steps: 1)
        token = step.seconds * configuration.extendOperations(rows: 1, seen: Double(tokens)) / step.operations
    }

    /// The part of a model that is measured on: all kinds of layers at their full widths, and a ninth of the vocabulary.
    public static func part(of configuration: ModelConfiguration) -> ModelConfiguration {
        configuration.reduced(visionLayers: 2, textLayers: 2, vocabulary: configuration.text.vocabulary / 9)
    }

    /// Operations of the measurement.
    public static func operations(_ configuration: ModelConfiguration) -> Double {
        let (part, tokens) = (part(of: configuration), prefixTokens(configuration))
        return part.visionOperations(images: 1 + atOnce) + part.prefillOperations(sequences: 1 + atOnce, tokens: tokens)
            + 2 * part.extendOperations(rows: responses, seen: Double(tokens))
    }

    private static func prefixTokens(_ configuration: ModelConfiguration) -> Int { configuration.imageTokenCount + 10 }
}
