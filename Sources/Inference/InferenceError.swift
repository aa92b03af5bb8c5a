/// What went wrong in inference, and where.
public struct InferenceError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure; each has one disposition.
    public enum Code: Sendable {
        /// A file of the model is missing, unreadable, truncated or wrong.
        case invalidModel
        /// The model is well-formed, but of a kind that this version does not compute.
        case unsupportedModel
        /// The request can't be served by this model: too long, no image, a bad setting.
        case invalidRequest
        /// There is no memory for the model, or for what a request needs.
        case outOfMemory
        /// The model computed a response that is not finite. Its weights are: they were checked when it was loaded.
        case notFinite
    }

    /// What the caller should do with it.
    public enum Disposition: Sendable {
        /// The same request fails again.
        case permanent
        /// The engine is at fault, not the request: give the request back, and hold the engine up.
        case engine
        /// Nothing can be served with this model.
        case fatal
    }

    /// The kind of failure.
    public let code: Code
    /// What and why, for a person: file, tensor, expected, found.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(outOfMemory bytes: Int) { self.init(.outOfMemory, "no memory for \(bytes) bytes") }

    /// Follows from the code.
    public var disposition: Disposition {
        switch code {
        case .invalidModel, .unsupportedModel: .fatal
        case .invalidRequest: .permanent
        case .outOfMemory, .notFinite: .engine
        }
    }

    /// The message.
    public var description: String { message }
}
