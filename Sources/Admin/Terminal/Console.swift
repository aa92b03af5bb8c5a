import Foundation

/// The terminal: what stands on its other end, and plain lines to it.
enum Console {
    /// A line on standard output. On a terminal nothing of it but our own colours controls the terminal.
    static func say(_ line: String) {
        write((outputIsTerminal ? line.harmless : line) + "\n", to: STDOUT_FILENO)
    }

    /// A line on standard error; what PostgreSQL or a producer wrote may be part of it.
    static func note(_ line: String) { write(line.harmless + "\n", to: STDERR_FILENO) }

    /// Text as it stands. Without a reader there is nobody to work for: it ends the program, as SIGPIPE would.
    static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { exit(ExitStatus.failed.rawValue) }
            rest = rest.dropFirst(max(0, count))
        }
    }

    /// Whether a person reads standard output.
    static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Whether a person reads standard error.
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Whether a person can be asked.
    static var canAsk: Bool { isatty(STDIN_FILENO) == 1 && errorIsTerminal }

    /// Columns of the terminal on `descriptor`; nil without one, so that nothing is cut in a pipe.
    static func width(of descriptor: Int32 = STDOUT_FILENO) -> Int? { size(of: descriptor)?.columns }

    /// Columns and rows of the terminal on `descriptor`; nil without one.
    static func size(of descriptor: Int32 = STDOUT_FILENO) -> (columns: Int, rows: Int)? {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
        return (Int(size.ws_col), Int(size.ws_row))
    }
}

/// Colours, where a person looks and has not said no (https://no-color.org).
struct Palette {
    let isEnabled: Bool

    /// Colours for standard output.
    static var output: Palette {
        let refused = !(ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
        return Palette(isEnabled: Console.outputIsTerminal && !refused)
    }

    /// A way to show text.
    enum Style: String {
        case plain = ""
        case bold = "1"
        case dim = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
        case cyan = "36"
    }

    /// The text in a style, or as it is.
    func paint(_ text: String, _ style: Style) -> String {
        isEnabled && style != .plain && !text.isEmpty ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }
}
