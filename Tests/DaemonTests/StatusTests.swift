import Foundation
import Logging
import Synchronization
import Testing
import Work

@testable import Daemon

/// What the daemon says of itself.
@Suite struct StatusTests {
    private func status(
        _ phase: WorkStatus.Phase, failing: [Statement: String] = [:], holdup: String? = nil
    ) -> WorkStatus {
        var status = WorkStatus()
        (status.phase, status.failing, status.holdup) = (phase, failing, holdup)
        return status
    }

    private let full = "record: No space left on device [53100]"

    @Test func saysWhatItIsAtFromTheStart() {
        let daemon = DaemonStatus()
        #expect(daemon.word == "loading the model")
        daemon.work = status(.registering)
        #expect(daemon.word == "registering")
        daemon.work = status(.registering, failing: [.register: full])
        #expect(daemon.word == "waiting for the database")
        #expect(daemon.sentence == "waiting for the database: record: No space left on device [53100]")
        daemon.work = status(.working)
        #expect(daemon.word == "ok" && daemon.sentence == nil)
        daemon.work = status(.draining, failing: [.record: full])
        #expect(daemon.word == "draining")
    }

    /// A heart that beats says nothing of results that can't be written: the disk may be full.
    @Test func aStatementThatFailsIsSaid() {
        let metrics = Metrics()
        metrics.status.work = status(.working, failing: [.record: full])
        #expect(metrics.status.word == "waiting for the database")
        #expect(metrics.text().contains("gloss_database_up 0.0"))
        #expect(metrics.statusLine.hasSuffix("No space left on device [53100]; 0 jobs done, 0 dead"))
        metrics.status.work = status(.working)
        #expect(metrics.status.word == "ok" && metrics.statusLine == "0 jobs done, 0 dead")
    }

    @Test func aHoldUpIsSaid() {
        let metrics = Metrics()
        metrics.status.work = status(.working, holdup: "no memory for \"an image\"")
        #expect(metrics.status.word == "held up" && metrics.text().contains("gloss_held_up 1.0"))
        #expect(metrics.statusLine == "claiming nothing: no memory for \"an image\"; 0 jobs done, 0 dead")
        metrics.status.work = status(.working)
        #expect(metrics.status.word == "ok" && metrics.text().contains("gloss_held_up 0.0"))
    }

    /// The journal has the time; a line break would begin an entry of another priority.
    @Test func linesOfTheJournalHaveAPriorityAndNoTime() {
        let lines = Mutex("")
        var logger = Logger(label: "glossd") { _ in JournalLogHandler { line in lines.withLock { $0 += line } } }
        logger.logLevel = .debug
        logger.error("it fails", metadata: ["error": "one\n\tand another", "b": "1"])
        logger.debug("well")
        #expect(lines.withLock { $0 } == "<3>it fails: b=1 error=one and another\n<7>well\n")
    }

    @Test func standardErrorIsTheJournalWhereSystemdSaysSo() {
        var file = stat()
        #expect(fstat(STDERR_FILENO, &file) == 0)
        #expect(JournalLogHandler.isStandardError(["JOURNAL_STREAM": "\(file.st_dev):\(file.st_ino)"]))
        #expect(!JournalLogHandler.isStandardError(["JOURNAL_STREAM": "\(file.st_dev):\(file.st_ino + 1)"]))
        #expect(!JournalLogHandler.isStandardError([:]))
    }
}
