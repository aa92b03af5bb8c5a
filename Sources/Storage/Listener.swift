import Glibc

/// Waits for a notification on one channel, with a connection and a thread of its own.
///
/// A listening connection can be dead without anybody noticing, so it checks itself, and nothing relies on it: a wait
/// always ends. Through a pooler there is no listening: then a wait is just that.
public actor Listener {
    private let settings: ConnectionSettings
    private let channel: String
    private let executor: ThreadExecutor
    private let alarm: WakePipe
    private let onNotice: (@Sendable (String) -> Void)?
    private var held: HeldConnection?
    private var isPooled = false
    private var lastHeard = ContinuousClock.now

    /// How long the connection may be silent before it is checked.
    private let silenceLimit: Duration = .seconds(60)

    /// Listens on `channel`, a plain SQL name, from the first wait on.
    /// - Parameter onNotice: hears once that there is no listening.
    public init(
        _ settings: ConnectionSettings, channel: String, onNotice: (@Sendable (String) -> Void)? = nil
    ) {
        self.settings = settings
        self.onNotice = onNotice
        self.channel = channel
        executor = ThreadExecutor(label: "gloss.listener")
        alarm = WakePipe()
    }

    /// The listener's own thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Waits for a notification, for the task's cancellation or for `timeout`, whichever comes first. A database that
    /// is away means waiting for the whole of `timeout`. Several notifications that arrived meanwhile are one.
    /// - Returns: whether there was a notification.
    @discardableResult
    public nonisolated func wait(timeout: Duration) async -> Bool {
        await withTaskCancellationHandler {
            await block(timeout: timeout)
        } onCancel: {
            alarm.ring()
        }
    }

    /// Closes the connection. The next wait opens it again.
    public func close() { held = nil }

    private func block(timeout: Duration) -> Bool {
        let end = ContinuousClock.now + timeout
        do {
            let isNew = held == nil
            guard let held = try connect() else {
                _ = alarm.wait(alongside: -1, until: end)
                return false
            }
            // What was notified while there was no connection is unknown: look once, as if notified.
            if isNew { return true }
            return try listen(on: held, until: end)
        } catch {
            held = nil
            _ = alarm.wait(alongside: -1, until: end)
            return false
        }
    }

    /// Nil: the connection goes through a pooler, whose sessions are others' too.
    private func connect() throws(StorageError) -> HeldConnection? {
        if let held { return held }
        if isPooled { return nil }
        let fresh = try HeldConnection(settings)
        guard !fresh.connection.isPooled else {
            isPooled = true
            onNotice?(
                "the database is reached through a connection pooler, which passes no notifications on: new jobs are "
                    + "seen when gloss looks for them")
            return nil
        }
        _ = try fresh.connection.query("listen \(channel)", context: "listen")
        held = fresh
        lastHeard = ContinuousClock.now
        return fresh
    }

    private func listen(on held: HeldConnection, until end: ContinuousClock.Instant) throws -> Bool {
        while true {
            let heard = try held.connection.notifications(context: "listen")
            if !heard.isEmpty {
                lastHeard = ContinuousClock.now
                return true
            }
            let checkAt = lastHeard + silenceLimit
            switch alarm.wait(alongside: held.connection.socket, until: min(end, checkAt)) {
            case .alarm: return false
            case .readable: continue
            case .timeout:
                if ContinuousClock.now >= end { return false }
                try check(held)
            }
        }
    }

    private func check(_ held: HeldConnection) throws(StorageError) {
        let names = try held.connection.query("select pg_listening_channels()", context: "listen")
        guard names.rows.contains([channel]) else {
            throw StorageError(code: .connectionLost, context: "listen", message: "the server forgot the channel")
        }
        lastHeard = ContinuousClock.now
    }
}

/// A pipe that ends a wait from another thread.
final class WakePipe: Sendable {
    enum Event { case alarm, readable, timeout }

    private let reader: Int32
    private let writer: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "no file descriptors left")
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        (reader, writer) = (ends[0], ends[1])
    }

    deinit {
        close(reader)
        close(writer)
    }

    /// Ends the wait that is going on, or the next one.
    func ring() {
        var byte: UInt8 = 1
        _ = write(writer, &byte, 1)
    }

    /// Waits for the alarm, for `descriptor` to be readable (-1 for none), or for `end`.
    func wait(alongside descriptor: Int32, until end: ContinuousClock.Instant) -> Event {
        var descriptors = [
            pollfd(fd: reader, events: Int16(POLLIN), revents: 0),
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let left = ContinuousClock.now.duration(to: end).milliseconds
            let ready = poll(&descriptors, 2, Int32(clamping: left))
            if ready < 0 && errno == EINTR { continue }
            if descriptors[0].revents != 0 {
                drain()
                return .alarm
            }
            return ready > 0 ? .readable : .timeout
        }
    }

    private func drain() {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(reader, &bytes, bytes.count) > 0 {}
    }
}
