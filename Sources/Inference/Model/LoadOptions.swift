/// What a model computes that its files leave open. Where an option changes numbers it is part of the digest.
public struct LoadOptions: Sendable, Hashable {
    /// What the window of sliding layers is.
    public enum Window: String, Sendable, CaseIterable {
        /// As config.json says and transformers 5 computes: the prefix sees all of itself, and a suffix's token the
        /// last tokens.
        case model
        /// None, as in big_vision, where PaliGemma 2 was trained: every token sees all that precedes it.
        case none
    }

    /// The window of PaliGemma 2's sliding layers.
    public var window = Window.model

    /// How images are resized; nil: as the folder's image processor says, which is bicubic.
    public var resize: Resize?

    /// A model as its files say, unless told otherwise.
    public init(window: Window = .model, resize: Resize? = nil) { (self.window, self.resize) = (window, resize) }

    /// Applies the options to what config.json says. The words that they add to the digest.
    func apply(to configuration: inout ModelConfiguration) -> [String] {
        guard window == .none, configuration.text.slidingWindow != nil,
            configuration.text.slidingLayers.contains(true)
        else { return LoadOptions(resize: resize).allWords }
        configuration.text.slidingWindow = nil
        return allWords
    }

    /// The words that they add to the digest of a model that has sliding layers.
    var allWords: [String] {
        let filter = resize.flatMap { $0 == .bicubic ? nil : $0.rawValue }
        return [filter, window == .none ? "window-none" : nil].compactMap(\.self)
    }
}
