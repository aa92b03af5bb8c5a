import Synchronization
import Work

/// What happened and was not thought about yet. Events are about work under way, so there are never more than that.
final class Inbox: Sendable {
    private let events = Mutex<[Event]>([])
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func put(_ event: Event) {
        events.withLock { $0.append(event) }
        signal.yield()
    }

    /// Waits for events, and takes all that are there, in their order: what decides behind need not think after each. Nil: the task
    /// is cancelled.
    func next() async -> [Event]? {
        for await _ in signals {
            let taken = events.withLock { events in
                defer { events = [] }
                return events
            }
            if !taken.isEmpty { return taken }
        }
        return nil
    }
}
