import Foundation
import Queue
import Synchronization

/// The depth of the queue for /metrics: asked of the database when somebody looks, and not more often than every 15 s.
final class QueueGauge: Sendable {
    typealias Ask = @Sendable () async throws -> [QueueDepth]

    private struct State {
        var ask: Ask?
        var depths: [QueueDepth] = []
        var askedAt: ContinuousClock.Instant?
        var isAsking = false
    }

    private static let interval = Duration.seconds(15)
    /// A database that is silent must not make /metrics silent too.
    private static let patience = Duration.seconds(2)
    private let state = Mutex(State())

    /// Says whom to ask: the database is known later than the first look.
    func use(_ ask: @escaping Ask) { state.withLock { $0.ask = ask } }

    /// The latest depths that are known; none while the database has not answered.
    func depths() async -> [QueueDepth] {
        if let ask = due() {
            let (answers, answer) = AsyncStream.makeStream(of: Void.self)
            Task {
                let depths = try? await ask()
                state.withLock { state in
                    state.isAsking = false
                    // What is not known any more is not claimed to be.
                    state.depths = depths ?? []
                }
                answer.yield()
            }
            Task {
                try? await Task.sleep(for: Self.patience)
                answer.yield()
            }
            for await _ in answers.prefix(1) {}
        }
        return state.withLock { $0.depths }
    }

    private func due() -> Ask? {
        state.withLock { state in
            guard let ask = state.ask, !state.isAsking else { return nil }
            if let askedAt = state.askedAt, .now - askedAt < Self.interval { return nil }
            state.askedAt = .now
            state.isAsking = true
            return ask
        }
    }
}

/// What Prometheus' client libraries say of a process.
struct ProcessMetrics: Sendable {
    private let startedAt = Self.startTime()

    /// By the metric's name.
    var values: [String: Double] {
        var values: [String: Double] = [:]
        values["process_start_time_seconds"] = startedAt
        var usage = rusage()
        if getrusage(RUSAGE_SELF.rawValue, &usage) == 0 {
            values["process_cpu_seconds_total"] = Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime)
        }
        let pages = Self.fields("/proc/self/statm").dropFirst().first
        values["process_resident_memory_bytes"] = pages.map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            values["process_open_fds"] = Double(files.count)
        }
        return values
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }

    private static func fields(_ path: String) -> [Double] {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        return text.split(whereSeparator: \.isWhitespace).map { Double($0) ?? 0 }
    }

    /// Field 22 of /proc/self/stat, counted from the last bracket, in ticks since the machine started.
    private static func startTime() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")"), let booted = bootTime()
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        return booted + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private static func bootTime() -> Double? {
        let text = (try? String(contentsOfFile: "/proc/stat", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst(6)) }
    }
}
