import Synchronization

/// Which hosts seem to fail as a whole: several failures in a row, with no success between.
///
/// Such a host is parked for every daemon, and its jobs wait without burning an attempt. No I/O, and the time is an argument.
final class HostHealth: Sendable {
    private struct Record {
        var failures = 0
        var parkings = 0
        var parkedUntil: ContinuousClock.Instant?
    }

    /// Failures in a row that speak of the host rather than of one URL.
    private static let threshold = 3
    private let records = Mutex<[String: Record]>([:])

    func succeeded(_ host: String) {
        records.withLock { _ = $0.removeValue(forKey: host) }
    }

    /// Counts a failure. For how long the host is to be parked now: 15 s, doubling to 15 minutes each time that it fails again
    /// after its pause, or what it asks for. Nil while it may be one URL's fault, and while it is parked already: what was
    /// under way then says nothing new.
    func failed(
        _ host: String, retryAfter: Duration? = nil, at now: ContinuousClock.Instant = .now
    ) -> Duration? {
        records.withLock { records in
            var record = records[host] ?? Record()
            defer { records[host] = record }
            if let until = record.parkedUntil, now < until { return nil }
            record.failures += 1
            guard record.failures >= Self.threshold || record.parkings > 0 else { return nil }
            let backoff = min(Duration.seconds(15) * (1 << min(record.parkings, 6)), .seconds(900))
            let pause = max(backoff, retryAfter ?? .zero)
            record.parkings += 1
            record.parkedUntil = now + pause
            return pause
        }
    }

    /// How much longer the host is parked; nil if it is not.
    func pause(of host: String, at now: ContinuousClock.Instant = .now) -> Duration? {
        records.withLock { records in
            guard let until = records[host]?.parkedUntil, now < until else { return nil }
            return until - now
        }
    }
}
