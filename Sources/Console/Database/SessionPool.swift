import Storage

/// Connections: a transaction has one to itself, and the next one takes it over.
actor SessionPool {
    nonisolated let settings: ConnectionSettings
    private let count: Int
    private var idle: [Session] = []
    private var busyCount = 0
    private var line: [CheckedContinuation<Void, Never>] = []

    /// - Parameter count: the most connections.
    init(_ settings: ConnectionSettings, count: Int) { (self.settings, self.count) = (settings, count) }

    /// Waits for a connection; `give` must follow.
    func take() async -> Session {
        while busyCount >= count { await withCheckedContinuation { line.append($0) } }
        busyCount += 1
        return idle.popLast() ?? Session(settings)
    }

    func give(_ session: Session) {
        busyCount -= 1
        idle.append(session)
        if !line.isEmpty { line.removeFirst().resume() }
    }
}
