import Foundation
import Logging
import Storage
import Synchronization
import Testing

@testable import Daemon

/// What the daemon says of itself.
@Suite struct ConditionTests {
    private let full = StorageError(
        code: .refused(sqlState: "53100"), context: "record", message: "No space left on device")

    @Test func saysWhatItIsAtFromTheStart() {
        let condition = Condition()
        #expect(condition.word == "loading the model")
        condition.phase = .registering
        #expect(condition.word == "registering")
        condition.failed(.register, full)
        #expect(condition.word == "waiting for the database")
        #expect(condition.sentence == "waiting for the database: record: No space left on device [53100]")
        condition.succeeded(.register)
        condition.phase = .working
        #expect(condition.word == "ok" && condition.sentence == nil)
        condition.phase = .draining
        condition.failed(.record, full)
        #expect(condition.word == "draining")
    }

    /// A heart that beats says nothing of results that can't be written: the disk may be full.
    @Test func eachStatementSucceedsForItself() {
        let metrics = Metrics()
        metrics.condition.phase = .working
        metrics.databaseFailed(.record, full)
        metrics.condition.succeeded(.heartbeat)
        #expect(metrics.condition.word == "waiting for the database")
        #expect(metrics.text.contains("gloss_database_up 0.0"))
        #expect(metrics.statusLine.hasSuffix("No space left on device [53100]; 0 jobs done, 0 dead"))
        metrics.condition.succeeded(.record)
        #expect(metrics.condition.word == "ok")
        #expect(metrics.statusLine == "0 jobs done, 0 dead")
    }

    @Test func aHoldupEndsByItselfOrSooner() {
        let condition = Condition()
        condition.phase = .working
        condition.holdUp("no memory", memory: 100)
        #expect(condition.word == "held up" && condition.sentence == "claiming nothing: no memory")
        #expect(condition.holdup?.memory == 100)
        condition.resume()
        #expect(condition.word == "ok" && condition.holdup == nil)
        condition.holdUp("no memory", for: .zero)
        #expect(condition.word == "ok")
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
