import Queue
import Synchronization

/// Reports on their way to the store. What comes in while some are written is written together.
final class Outbox: Sendable {
    private let reports = Mutex<[JobReport]>([])
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func put(_ more: [JobReport]) {
        reports.withLock { $0 += more }
        signal.yield()
    }

    /// Says that nothing more comes.
    func finish() { signal.finish() }

    /// All reports so far, as soon as there is one; nil when there are none and nothing more comes. For one reader.
    func take() async -> [JobReport]? {
        var iterator = signals.makeAsyncIterator()
        while true {
            let all = takeAll()
            if !all.isEmpty { return all }
            if await iterator.next() == nil {
                let last = takeAll()
                return last.isEmpty ? nil : last
            }
        }
    }

    private func takeAll() -> [JobReport] {
        reports.withLock { reports in
            defer { reports = [] }
            return reports
        }
    }
}
