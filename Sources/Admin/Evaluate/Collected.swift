import Synchronization

/// A value that a statement's rows change, one after the other, on the session's thread.
final class Collected<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    init(_ value: Value) { mutex = Mutex(value) }

    var value: Value { mutex.withLock { $0 } }

    func change(_ body: (inout Value) throws -> Void) rethrows { try mutex.withLock { try body(&$0) } }
}
