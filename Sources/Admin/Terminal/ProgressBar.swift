import Console
import Foundation
import Synchronization

/// How far long work is, on one line of standard error, and only where a terminal is there.
final class ProgressBar: Sendable {
    private struct State {
        var shownAt: ContinuousClock.Instant?
        var isShown = false
    }

    private let label: String
    private let isEnabled: Bool
    private let start = ContinuousClock.now
    private let state = Mutex(State())

    init(_ label: String, isEnabled: Bool = Console.errorIsTerminal) {
        self.label = label
        self.isEnabled = isEnabled
    }

    /// Shows where the work is; ten times a second at most.
    /// - Parameters:
    ///   - fraction: 0...1; nil when the end is not known.
    ///   - count: things done.
    func show(_ fraction: Double?, count: Int) {
        write { width in
            Self.line(label, fraction, count: count, seconds: (ContinuousClock.now - start) / .seconds(1), width: width)
        }
    }

    /// Shows a text of its own behind the label; ten times a second at most.
    func show(_ text: String) { write { width in "\(label)  \(text)".cut(to: (width ?? 80) - 1) } }

    private func write(_ line: (_ width: Int?) -> String) {
        guard isEnabled else { return }
        let now = ContinuousClock.now
        let isDue = state.withLock { state in
            if let shownAt = state.shownAt, now - shownAt < .milliseconds(100) { return false }
            (state.shownAt, state.isShown) = (now, true)
            return true
        }
        guard isDue else { return }
        Console.write("\r\u{1B}[2K\(line(Console.width(of: STDERR_FILENO)))", to: STDERR_FILENO)
    }

    /// Takes the line away.
    func finish() {
        let wasShown = state.withLock { state in
            defer { state.isShown = false }
            return state.isShown
        }
        if wasShown { Console.write("\r\u{1B}[2K", to: STDERR_FILENO) }
    }

    /// The line's text.
    static func line(_ label: String, _ fraction: Double?, count: Int, seconds: Double, width: Int?) -> String {
        var parts = [label]
        if let fraction { parts.append("\(Formats.bar(fraction, width: 24)) \(Formats.fixed(fraction * 100, 0))%") }
        parts.append(Formats.count(count))
        if seconds >= 1, count > 0 { parts.append(Formats.rate(perSecond: Double(count) / seconds)) }
        if let fraction, fraction > 0.01, seconds >= 1 {
            parts.append("\(Formats.duration(seconds: seconds / fraction - seconds)) left")
        }
        return parts.joined(separator: "  ").cut(to: (width ?? 80) - 1)
    }
}
