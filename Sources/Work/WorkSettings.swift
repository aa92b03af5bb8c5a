import Annotation

/// The limits and times of a daemon's work.
public struct WorkSettings: Sendable {
    /// The most jobs held, those on their way to the store included.
    public var maxJobs = 64
    /// How much work is held beyond what the engine works on: seconds, by what work costs.
    public var ahead = Duration.seconds(30)
    /// The most bytes of image URLs of one claim.
    public var claimBytes = 8 << 20

    /// The most fetches at a time.
    public var maxFetches = 64
    /// The most fetches from one origin at a time, all daemons together.
    public var fetchesPerOrigin = 4
    /// What differs from that for an origin; nil: nothing.
    public var fetchesFrom: @Sendable (String) -> Int? = { _ in nil }
    /// The most bytes of a file: what a fetch reserves until its length is known.
    public var maxFileBytes = 32 << 20
    /// The most bytes of files that are being fetched or wait to be decoded.
    public var fileBytes = 512 << 20
    /// Bytes of a decoded image.
    public var imageBytes = 3 * 224 * 224 * 4
    /// The most bytes of decoded images.
    public var pixelBytes = 256 << 20
    /// The most images that are decoded at a time.
    public var decoders = 2
    /// Bytes that must be free for anything to be claimed.
    public var leastMemory = 32 << 20

    /// Responses that the engine computes at a time.
    public var engineRows = 160
    /// How long an announcement may take before the engine begins without it.
    public var beginPatience = Duration.seconds(2)

    /// How long to wait for a notification.
    public var pollInterval = Duration.seconds(5)
    /// The time between two heartbeats.
    public var heartbeatInterval = Duration.seconds(3)
    /// How long a daemon may be silent before others take its jobs.
    public var rescueAfter = Duration.seconds(15)
    /// How long the engine may go on when the daemon is told to stop.
    public var drainTimeout = Duration.seconds(120)
    /// How long the last statements may take.
    public var farewell = Duration.seconds(5)

    /// The defaults.
    public init() {}
}

/// What answers the queries, as far as reports name it.
public struct EngineDescription: Sendable {
    /// What makes the answers of the model alone.
    public var identity: EngineIdentity
    /// What makes those of the model with an adapter, by the name that jobs ask for.
    public var adapters: [String: EngineIdentity]
    /// Its special tokens.
    public var vocabulary: any Vocabulary

    /// What makes masks of its codes; nil: nothing.
    public var maskDecoder: (any MaskDecoder)?

    /// An engine.
    public init(
        identity: EngineIdentity, adapters: [String: EngineIdentity] = [:], vocabulary: any Vocabulary,
        maskDecoder: (any MaskDecoder)? = nil
    ) {
        self.identity = identity
        self.adapters = adapters
        self.vocabulary = vocabulary
        self.maskDecoder = maskDecoder
    }

    /// What answers a job that asks for `model`; nil: whatever model there is.
    func identity(for model: String?) -> EngineIdentity { model.flatMap { adapters[$0] } ?? identity }
}
