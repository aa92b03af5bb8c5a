import Foundation
import Logging

/// Lines for systemd's journal, which has the time and the program's name itself: `<6>done: attempt=1 job=59`. The number is
/// syslog's priority (sd-daemon(3)), for `journalctl -p`.
struct JournalLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    /// Gets each line, its end included.
    let write: @Sendable (String) -> Void

    /// Whether standard error is the journal: systemd says in JOURNAL_STREAM which file that is, as device:inode.
    static func isStandardError(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> Bool {
        var file = stat()
        guard let stream = environment["JOURNAL_STREAM"], fstat(STDERR_FILENO, &file) == 0 else { return false }
        return stream == "\(file.st_dev):\(file.st_ino)"
    }

    func log(event: LogEvent) {
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }
        write(
            Self.line(
                event.level, ([event.message.description + (facts.isEmpty ? "" : ":")] + facts).joined(separator: " ")))
    }

    /// One line: what follows a line break would be another entry, without a priority.
    static func line(_ level: Logger.Level, _ text: String) -> String {
        "<\(priority(level))>\(text.replacing(/[\r\n]+\s*/, with: " "))\n"
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
}
