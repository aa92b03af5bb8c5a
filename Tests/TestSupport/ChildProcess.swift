import CNames
import Foundation
import Synchronization

/// A program under test. Foundation's Process is of no use here: it notices an end only when every process that was started
/// meanwhile has ended too.
public final class ChildProcess: Sendable {
    /// Its number.
    public let pid: pid_t
    private let status = Mutex<Int32?>(nil)

    /// Where the sanitizers of this process report to (scripts/test --sanitize), those of its children do too.
    private static let sanitizers = ProcessInfo.processInfo.environment.filter { $0.key.hasSuffix("SAN_OPTIONS") }

    /// Starts `path`; it reads the file `input` (nil: nothing), and what it prints goes to `output` (nil: nowhere).
    public init(
        _ path: String, _ arguments: [String] = [], environment: [String: String], input: String? = nil,
        output: String? = nil, error: String? = nil
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input ?? "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_addopen(&actions, 2, error ?? "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        // A server's connection that a child inherits stays open when the server closes it.
        spawn_close_from(&actions, 3)
        let words = ([path] + arguments).map { strdup($0) } + [nil]
        let variables = environment.merging(Self.sanitizers) { $1 }.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in words + variables { free(text) } }
        var child: pid_t = 0
        let code = posix_spawn(&child, path, &actions, nil, words, variables)
        guard code == 0 else { throw TestSupportError("\(path): \(String(cString: strerror(code)))") }
        pid = child
    }

    /// Sends a signal.
    public func signal(_ number: Int32) { kill(pid, number) }

    /// Waits for the end, on a thread of its own: the exit status, or the signal that killed it, negated.
    public func wait() async -> Int32 {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: self.reap()) }
        }
    }

    private func reap() -> Int32 {
        status.withLock { known in
            if let known { return known }
            var raw: Int32 = 0
            while waitpid(pid, &raw, 0) < 0 && errno == EINTR {}
            let ended = raw & 0x7F == 0 ? raw >> 8 & 0xFF : -(raw & 0x7F)
            known = ended
            return ended
        }
    }

    deinit {
        // A process that was waited for is gone, and its number may be another's.
        if status.withLock({ $0 }) == nil {
            kill(pid, SIGKILL)
            _ = reap()
        }
    }
}
