import Synchronization

/// Which hosts seem to fail as a whole: several failures in a row, with no success between.
///
/// Such a host is parked for every daemon, and its jobs wait without burning an attempt.
final class HostHealth: Sendable {
    private struct Record {
        var failures = 0
        var parkings = 0
    }

    /// Failures in a row that speak of the host rather than of one URL.
    private static let threshold = 3
    private let records = Mutex<[String: Record]>([:])

    func succeeded(_ host: String) {
        records.withLock { _ = $0.removeValue(forKey: host) }
    }

    /// How long the host should be parked: nil while it may be one URL's fault. 15 s, doubling to 15 minutes.
    func failed(_ host: String, retryAfter: Duration?) -> Duration? {
        records.withLock { records in
            var record = records[host] ?? Record()
            defer { records[host] = record }
            record.failures += 1
            guard record.failures >= Self.threshold else { return nil }
            record.failures = 0
            record.parkings += 1
            let backoff = Duration.seconds(15) * (1 << min(record.parkings - 1, 6))
            return max(min(backoff, .seconds(900)), retryAfter ?? .zero)
        }
    }
}
