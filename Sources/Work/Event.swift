import Annotation
import Queue

/// A point in time, as the daemon's clock has it.
public typealias Instant = ContinuousClock.Instant

/// An image of a job on its way to the engine. A number is used once.
public struct ImageID: Hashable, Comparable, Sendable {
    /// The number.
    public let number: Int

    init(_ number: Int) { self.number = number }

    /// Earlier images come first.
    public static func < (left: ImageID, right: ImageID) -> Bool { left.number < right.number }
}

/// A file that images of held jobs are in: fetched once, however many want it. A number is used once.
public struct FileID: Hashable, Comparable, Sendable {
    /// The number.
    public let number: Int

    init(_ number: Int) { self.number = number }

    /// Earlier files come first.
    public static func < (left: FileID, right: FileID) -> Bool { left.number < right.number }
}

/// What happened: the only input of ``WorkState``.
public enum Event: Sendable {
    /// The process is ready to work.
    case started
    /// The process is told to stop.
    case drainBegan
    /// The time of the last `setTimer` has come.
    case timer
    /// Bytes of memory that this process may still take.
    case memory(free: Int)

    // The store answers.

    case registered(WorkerID)
    case claimed([ClaimedJob], by: WorkerID)
    case releasedUnheld(count: Int)
    /// `waitForWork` has returned: because of a notification, or after its time.
    case wokenUp(isNotified: Bool)
    case begun
    /// `holds`: whether the lease still held.
    case checkpointed(Lease, holds: Bool)
    /// One receipt a report of the last `record`.
    case recorded([Receipt])
    case heartbeatAnswered(HeartbeatReply, by: WorkerID)
    case rescued(RescueReport)
    case parked(origin: String)
    case deregistered
    /// One of its statements failed.
    case storeFailed(Statement, StoreProblem)

    // A file moves on.

    /// How many bytes the file takes, as far as is known now.
    case fileSized(FileID, byteCount: Int)
    case fileFetched(FileID, FetchedFile)
    /// The fetch ended without the file; after a `cancelFetch` too.
    case fileFailed(FileID, ImageFailure)

    // An image moves on.

    /// A decoder has read the header, knows how many bytes decoding takes, and waits for `proceed` or `refuse`.
    case imageMeasured(ImageID, decodeBytes: Int)
    case imageDecoded(ImageID, DecodedImage)
    /// The image's decoding ended without it; after a `refuse` too.
    case imageFailed(ImageID, ImageFailure)

    // The engine answers.

    case answered(EngineAnswer)
    /// The queries of which nothing is computed yet: the answer to `askWaiting`.
    case waiting(Set<Int>)
}

/// A statement of the store.
public enum Statement: String, Hashable, Sendable, CaseIterable {
    case register, heartbeat, claim, releaseUnheld, wait, begin, checkpoint, record, rescue, park, deregister
}

/// Why a statement failed, and what that means for the next one.
public struct StoreProblem: Hashable, Sendable {
    /// What to do.
    public enum Kind: Hashable, Sendable {
        /// Do the same again later: the database is away, full or busy.
        case passing
        /// Ask for less: an answer or a statement is larger than the database allows.
        case tooLarge
        /// Stop: nothing succeeds until a person changes rights, schema or configuration.
        case final
    }

    /// What to do.
    public var kind: Kind
    /// One line for a person.
    public var message: String

    /// A failure.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

/// A file that was fetched, without its bytes.
public struct FetchedFile: Hashable, Sendable {
    /// Bytes of the file.
    public var byteCount: Int
    /// The origin that answered, after redirects; nil for a local file or a `data:` URL.
    public var origin: String?
    /// Seconds on the network.
    public var seconds: Double

    /// A file.
    public init(byteCount: Int, origin: String?, seconds: Double) {
        self.byteCount = byteCount
        self.origin = origin
        self.seconds = seconds
    }
}

/// An image that is ready for the engine, without its pixels.
public struct DecodedImage: Hashable, Sendable {
    /// What it is, and where it was found.
    public var source: SourceImage
    /// Bytes of its pixels.
    public var byteCount: Int
    /// Seconds of decoding.
    public var seconds: Double

    /// An image.
    public init(source: SourceImage, byteCount: Int, seconds: Double) {
        self.source = source
        self.byteCount = byteCount
        self.seconds = seconds
    }
}

/// The engine's answer to a query.
public struct EngineAnswer: Sendable {
    /// The query's number.
    public var query: Int
    /// A response for each sample, or why there is none.
    public var result: Result<[Generation], EngineFailure>
    /// Its share of the passes that it was part of.
    public var cost: EngineCost

    /// An answer.
    public init(query: Int, result: Result<[Generation], EngineFailure>, cost: EngineCost) {
        self.query = query
        self.result = result
        self.cost = cost
    }
}

/// Why the engine did not answer a query.
public struct EngineFailure: Error, Hashable, Sendable {
    /// A stable word to count by.
    public var code: String
    /// One sentence.
    public var message: String
    /// Whether the engine is to blame: it computed something that is no number.
    public var isEngineFault: Bool

    /// A failure.
    public init(code: String, message: String, isEngineFault: Bool = false) {
        self.code = code
        self.message = message
        self.isEngineFault = isEngineFault
    }
}

/// What a query took of the engine.
public struct EngineCost: Hashable, Sendable {
    /// Seconds of the vision tower, of prefills and of decoding.
    public var visionSeconds: Double, prefillSeconds: Double, decodeSeconds: Double
    /// Images and prefixes that were really computed for it, its share of what several queries need.
    public var images: Double, prefills: Double
    /// Tokens of its responses.
    public var tokens: Int

    public init(
        visionSeconds: Double = 0, prefillSeconds: Double = 0, decodeSeconds: Double = 0, images: Double = 0,
        prefills: Double = 0, tokens: Int = 0
    ) {
        self.visionSeconds = visionSeconds
        self.prefillSeconds = prefillSeconds
        self.decodeSeconds = decodeSeconds
        self.images = images
        self.prefills = prefills
        self.tokens = tokens
    }
}
