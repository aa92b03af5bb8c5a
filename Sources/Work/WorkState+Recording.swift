import Queue

/// Reports on their way to the store. What comes in while some are written is written together.
struct Recording {
    var outbox: [JobReport] = []
    /// Of the outbox, from its beginning: they may be written already, and stay as they are.
    var sentBefore = 0
    /// The reports of the statement under way.
    var sent: [JobReport] = []
    var backoff = Backoff(.milliseconds(200), upTo: .seconds(5))
    /// The most reports of a statement: halved when the database finds one too large.
    var most = Self.limit

    static let limit = 256
}

extension WorkState {
    mutating func record() {
        guard recording.sent.isEmpty, !recording.outbox.isEmpty, recording.backoff.isOver(now), let worker else {
            return
        }
        recording.sent = Array(recording.outbox.prefix(recording.most))
        recording.outbox.removeFirst(recording.sent.count)
        // A release may have waited for the statement before: what is known now counts.
        let known = min(recording.sentBefore, recording.sent.count)
        recording.sentBefore -= known
        for index in recording.sent.indices.dropFirst(known) {
            guard case .released(var release) = recording.sent[index].outcome, let name = release.origin?.name else {
                continue
            }
            if origins.pause(of: name, now) == nil {
                (release.origin, release.delay) = (nil, .zero)
            } else {
                release.origin?.isConfirmed = origins.isConfirmed(name)
            }
            recording.sent[index].outcome = .released(release)
        }
        emit(.record(recording.sent, by: worker))
    }

    mutating func recorded(_ receipts: [Receipt]) {
        let sent = recording.sent
        recording.sent = []
        recording.backoff.succeeded()
        recording.most = min(recording.most * 2, Recording.limit)
        life.failing[.record] = nil
        for (report, receipt) in zip(sent, receipts) {
            remove(report.lease)
            emit(.note(.ended(report, receipt)))
            if receipt == .unparked, case .released(let release) = report.outcome { takeUp(release.origin) }
        }
    }

    /// What was computed is kept, and written when the database is back.
    mutating func recordFailed(_ problem: StoreProblem) {
        recording.outbox = recording.sent + recording.outbox
        recording.sentBefore += recording.sent.count
        recording.sent = []
        if problem.kind == .tooLarge { recording.most = max(1, recording.most / 2) }
        recording.backoff.failed(now, jitter: random.fraction())
    }
}
