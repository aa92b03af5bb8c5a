import CCurl
import Synchronization

/// One fetch over the network, or what is left of it after a redirect.
struct Request: Sendable {
    typealias Reply = @Sendable (Result<FetchedBody, ImageError>) -> Void

    /// What is asked for.
    enum Purpose {
        case image
        /// The rules of an origin; its URL may redirect elsewhere.
        case robots
    }

    let id: UInt64
    var url: FetchURL
    var purpose = Purpose.image
    /// Called once.
    let reply: Reply
    /// Told how many bytes the fetch may take: see ``ImageFetcher/fetch(_:onBytes:)``.
    var onBytes: ByteCount?
    /// The name of the URL that redirected to this one.
    var redirectedFrom: String?
    var redirectCount = 0
    /// The line that it stands in: requests whose limits are counted together. Set when it joins.
    var line = ""
    /// How often its line had been cut when it started: see ``LineAllowances``.
    var cutCount = 0
    /// Where earlier hops were.
    var visited: [String] = []
    /// Time already spent on the network, in earlier hops.
    var spent: Duration = .zero
    /// What is done without, because the server breaks it.
    var concessions: Set<Concession> = []
    /// Signs the request; a redirect's target does not get it.
    var signature: S3Signature?

    typealias ByteCount = @Sendable (Int) -> Void

    /// Hands the result over, once; a failure with its origin, unless the fault is ours.
    func answer(_ result: Result<FetchedBody, ImageError>) {
        switch result {
        case .success(let body):
            onBytes?(body.bytes.count)
            reply(result)
        case .failure(var error):
            onBytes?(0)
            if error.blame != .ourselves { error.origin = url.origin }
            reply(.failure(error))
        }
    }
}

/// What a request does without when it is made once more.
enum Concession: Hashable, Sendable {
    /// HTTP/2: its server breaks it, and HTTP/1.1 is always there.
    case http2
    /// Content codings: the answer names one that nobody knows, or is not in the one that it names.
    case contentCodings
}

/// What a finished transfer hands over.
struct FetchedBody: Sendable {
    let bytes: [UInt8]
    let finalURL: String
    let contentType: String?
    let remoteAddress: String?
    /// Whether it is known that the file ends here: see ``FetchedImage/isEndKnown``.
    var isEndKnown = true
    /// On the network, redirects included.
    let duration: Duration
}

/// The way into the fetch thread: commands from any thread, and the wake-up.
final class Mailbox: Sendable {
    enum Command: Sendable {
        case submit(Request)
        case cancel(UInt64)
        case share(Int)
        case limitBytes(Int)
        case park(String, until: ContinuousClock.Instant)
        case unpark(String)
        case explain(NameLookup.Finding)
        case robots(origin: String, Result<FetchedBody, ImageError>)
        case learn([LineAllowance])
    }

    private struct State {
        var commands: [Command] = []
        var submitted = 0
        var isClosed = false
        /// Address of the curl handle to wake; 0 before the thread runs and after it ended.
        var multi: UInt = 0
    }

    private let state = Mutex(State())
    /// Rounds of the thread.
    let turns = Atomic(0)

    /// Leaves a command for the thread. False, and nothing left, when the mailbox is closed.
    func send(_ command: Command) -> Bool {
        state.withLock { state in
            guard !state.isClosed else { return false }
            state.commands.append(command)
            if case .submit = command { state.submitted += 1 }
            Self.wake(state)
            return true
        }
    }

    /// How many requests have come in so far.
    var submittedCount: Int { state.withLock { $0.submitted } }

    /// Refuses further commands and asks the thread to end.
    func close() {
        state.withLock { state in
            state.isClosed = true
            Self.wake(state)
        }
    }

    /// The thread's: what to wake from now on. The handle must outlive the call of `detach`.
    func attach(_ multi: borrowing MultiHandle) {
        let address = UInt(bitPattern: multi.raw)
        state.withLock { $0.multi = address }
    }

    /// The thread's: nothing is to be woken any more.
    func detach() {
        state.withLock { $0.multi = 0 }
    }

    /// The thread's: all commands so far, oldest first, and whether to end.
    func take() -> (commands: [Command], isClosed: Bool) {
        state.withLock { state in
            defer { state.commands = [] }
            return (state.commands, state.isClosed)
        }
    }

    /// Under the lock: the handle is not freed while it is being woken.
    private static func wake(_ state: State) {
        guard let multi = UnsafeMutableRawPointer(bitPattern: state.multi) else { return }
        curl_multi_wakeup(multi)
    }
}
