import Synchronization

/// Cuts on their way from the fetch thread to whoever tells the other daemons.
final class CutReports: Sendable {
    private let reports = Mutex<[LineCut]>([])
    /// What is forgotten then is learnt by the next answer that asks for patience.
    private static let limit = 4096

    func add(_ more: [LineCut]) {
        if more.isEmpty { return }
        reports.withLock { $0 = Array(($0 + more).suffix(Self.limit)) }
    }

    func putBack(_ earlier: [LineCut]) {
        reports.withLock { $0 = Array((earlier + $0).suffix(Self.limit)) }
    }

    func take() -> [LineCut] {
        reports.withLock { reports in
            defer { reports = [] }
            return reports
        }
    }
}
