import Foundation

/// What a test's server waits at until the test lets it go on.
public final class Gate: Sendable {
    private let condition = NSCondition()
    private nonisolated(unsafe) var isOpen = false

    /// A gate that is closed.
    public init() {}

    deinit { open() }

    /// Lets everybody through, now and later.
    public func open() {
        condition.withLock {
            isOpen = true
            condition.broadcast()
        }
    }

    /// Blocks this thread until the gate is open.
    public func pass() {
        condition.withLock { while !isOpen { condition.wait() } }
    }
}
