import Annotation

extension Scheduler {
    /// An image and the name by which it is known again.
    public struct Image: Sendable {
        enum Content: Sendable {
            case pixels(ImageInput)
            case tokens(ImageTokens)
        }

        /// Two images with the same key have the same pixels, and are seen alike.
        public private(set) var key: String
        private(set) var content: Content

        /// An image for the vision tower. Without a key it is known by the SHA-256 of its pixels.
        public init(_ pixels: PixelValues, key: String? = nil) {
            self.key = key ?? "pixels \(sha256(pixels.bytes))"
            content = .pixels(ImageInput(pixels: pixels))
        }

        /// The image of a file, with a box drawn into it if there is one. It is known by the file's SHA-256, the colour under
        /// transparent pixels, 0xRRGGBB (nil: white), and the box.
        public init(_ pixels: PixelValues, sha256: String, background: UInt32?, drawnBox: Box?) {
            let key = "\(sha256)/\(background ?? 0xFFFFFF)"
            guard let box = drawnBox else {
                self.init(pixels, key: key)
                return
            }
            self.init(pixels.drawing(box), key: "\(key)/\([box.y1, box.x1, box.y2, box.x2])")
        }

        /// An image that went through the vision tower.
        init(_ tokens: ImageTokens) {
            key = "tokens \(sha256(tokens.values))"
            content = .tokens(tokens)
        }

        /// The same image as an adapter's vision tower sees it. An image that went through one stays what it is.
        fileprivate func seen(with adapter: Adapter?) -> Image {
            guard let adapter, adapter.touchesImages, case .pixels(var input) = content else { return self }
            var other = self
            other.key = "\(key) \(adapter.digest)"
            input.adapter = adapter
            other.content = .pixels(input)
            return other
        }
    }

    /// A prompt about an image, or about several together.
    public struct Query: Sendable {
        /// Chosen by the caller; no two queries under way have the same.
        public let id: Int
        /// In order; their tokens stand before the prompt with nothing between.
        public let images: [Image]
        /// The task's prompt, without newline.
        public let prompt: String
        /// How tokens are chosen.
        public let settings: DecodeSettings
        /// Responses to score instead of drawing any, each with its end token; empty: responses are drawn.
        public let options: [String]
        /// Lower is earlier: it begins before all that wait with a higher one.
        public let priority: Int
        /// What answers beside the model, one of the model's own adapters; nil: the model alone.
        public let adapter: Adapter?
        /// Who will ask about these images again: they stay until `letGo` of this number. Nil: they go when room is wanted.
        public let holder: Int64?

        /// A query; nothing is checked yet.
        public init(
            id: Int, images: [Image], prompt: String, settings: DecodeSettings, options: [String] = [],
            priority: Int = 0, adapter: Adapter? = nil, holder: Int64? = nil
        ) {
            self.id = id
            self.images = images.map { $0.seen(with: adapter) }
            self.prompt = prompt
            self.settings = settings
            self.options = options
            self.priority = priority
            self.adapter = adapter
            self.holder = holder
        }
    }

    /// What came of a query.
    public struct Completion: Sendable {
        /// The query's.
        public let id: Int
        /// A response for each sample, unless but one of them is picked; for each option; or the one that beams find.
        public let result: Result<[Generation], InferenceError>
        /// Its share of the passes that it was part of.
        public let seconds: StageSeconds
        /// Its share of what they computed.
        public let work: Work

        init(
            id: Int, result: Result<[Generation], InferenceError>, seconds: StageSeconds = StageSeconds(),
            work: Work = Work()
        ) {
            (self.id, self.result, self.seconds, self.work) = (id, result, seconds, work)
        }
    }

    /// What was computed for a query. What several share is divided among them, so sums over queries are what was
    /// computed in all.
    public struct Work: Sendable, Equatable {
        /// Images through the vision tower: none for one that was cached.
        public var images = 0.0
        /// Prefixes through the language model, and their tokens.
        public var prefills = 0.0, prefixTokens = 0.0
        /// Tokens of its responses and beams that were drawn or scored: a prefill gives the first of each, extensions the
        /// others.
        public var tokens = 0

        /// Nothing yet.
        public init() {}
    }

    /// Seconds on the clock, by stage.
    public struct StageSeconds: Sendable, Equatable {
        /// Vision tower and projector.
        public var vision = 0.0
        /// Prefixes through the language model, first tokens drawn.
        public var prefill = 0.0
        /// Further tokens.
        public var extend = 0.0

        /// Nothing yet.
        public init() {}

        /// All stages.
        public var total: Double { vision + prefill + extend }
    }

    /// How much at once. Results do not depend on it.
    public struct Limits: Sendable {
        /// Bytes of keys and values, those that beams share counted for each. Responses have them as they grow; a prefill
        /// begins, and a response goes on, only if all older ones can then still come to their end. A query that needs more than all of it, its prefix and every
        /// sample, option or beam at its full length, is computed alone.
        public var keyValueBytes: Int
        /// Bytes of image tokens kept for queries about the same images. While images of holders fill them, a younger
        /// holder of the same or a higher priority number waits before its images go through the vision tower.
        public var imageBytes: Int
        /// No prefill begins while so many responses are being extended, or after so many were begun between two
        /// extensions.
        public var rows: Int

        /// Limits; 160 rows are those of an object with 8 views, 4 questions and 5 samples.
        public init(keyValueBytes: Int = .max, imageBytes: Int = 64 << 20, rows: Int = 160) {
            precondition(rows > 0)
            self.keyValueBytes = keyValueBytes
            self.imageBytes = imageBytes
            self.rows = rows
        }
    }

    /// What was done since the scheduler was made.
    public struct Statistics: Sendable, Equatable {
        /// Seconds of all passes.
        public var seconds = StageSeconds()
        /// Images through the vision tower.
        public var imageCount = 0
        /// Images of queries that needed no pass of their own: cached, or on their way for another query.
        public var imageHitCount = 0
        /// Prefixes computed, and their tokens.
        public var prefillCount = 0, prefillTokenCount = 0
        /// Queries that used the prefill of another.
        public var sharedPrefillCount = 0
        /// Steps, and their rows: one token of one response or beam each.
        public var extendCount = 0, extendRowCount = 0
    }
}
