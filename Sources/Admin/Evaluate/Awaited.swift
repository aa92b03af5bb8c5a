import Dispatch
import Synchronization

/// A value that one task makes while a thread that may block waits for it.
final class Awaited<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    private let isThere = DispatchSemaphore(value: 0)

    /// Makes the value.
    func settle(_ make: () throws -> Value) throws -> Value {
        let made = Result { try make() }
        result.withLock { $0 = made }
        isThere.signal()
        return try made.get()
    }

    /// Waits for the value. Not for the threads of Swift's pool.
    /// - Throws: what making it threw.
    var value: Value {
        get throws {
            isThere.wait()
            // For whoever comes next.
            isThere.signal()
            return try result.withLock { try $0!.get() }
        }
    }
}
