import Foundation
import Queue
import Synchronization

/// Everything that the daemon counts, and its text for Prometheus. docs/operating.md lists each with its unit.
final class Metrics: Sendable {
    private struct State {
        var counters: [String: Double] = [:]
        var databaseUp = true
    }

    private let state = Mutex(State())
    private let startedAt = Date()

    private static let help: [(name: String, type: String, text: String)] = [
        ("gloss_jobs_claimed_total", "counter", "Jobs leased by this daemon."),
        ("gloss_jobs_ended_total", "counter", "Jobs that left this daemon, by outcome."),
        ("gloss_failures_total", "counter", "Failed attempts, by code."),
        ("gloss_stale_reports_total", "counter", "Reports whose lease was lost: nothing was written."),
        ("gloss_images_fetched_total", "counter", "Images fetched."),
        ("gloss_fetched_bytes_total", "counter", "Bytes of images fetched."),
        ("gloss_images_embedded_total", "counter", "Distinct images through the vision tower."),
        ("gloss_queries_total", "counter", "Prompts prefilled."),
        (
            "gloss_stage_seconds_total", "counter",
            "Seconds spent, by stage; fetch and decode add up over parallel work."
        ),
        ("gloss_jobs_rescued_total", "counter", "Jobs taken back from daemons that died."),
        ("gloss_jobs_poisoned_total", "counter", "Jobs quarantined after three daemons died with them."),
        ("gloss_database_errors_total", "counter", "Statements that failed because the database was away."),
        ("gloss_database_up", "gauge", "1 while the database answers."),
        ("gloss_uptime_seconds", "gauge", "Seconds since the start."),
    ]

    func claimed(_ count: Int) { add("gloss_jobs_claimed_total", Double(count)) }

    func fetched(bytes: Int, seconds: Double) {
        add("gloss_images_fetched_total", 1)
        add("gloss_fetched_bytes_total", Double(bytes))
        add("gloss_stage_seconds_total{stage=\"fetch\"}", seconds)
    }

    func decoded(seconds: Double) { add("gloss_stage_seconds_total{stage=\"decode\"}", seconds) }

    func inferred(images: Int, queries: Int, visionSeconds: Double, languageSeconds: Double) {
        add("gloss_images_embedded_total", Double(images))
        add("gloss_queries_total", Double(queries))
        add("gloss_stage_seconds_total{stage=\"vision\"}", visionSeconds)
        add("gloss_stage_seconds_total{stage=\"language\"}", languageSeconds)
    }

    func rescued(_ count: Int, poisoned: Int) {
        add("gloss_jobs_rescued_total", Double(count))
        add("gloss_jobs_poisoned_total", Double(poisoned))
    }

    func databaseFailed() {
        add("gloss_database_errors_total", 1)
        state.withLock { $0.databaseUp = false }
    }

    func databaseWorks() { state.withLock { $0.databaseUp = true } }

    func reported(_ outcome: Outcome, _ receipt: Receipt) {
        databaseWorks()
        if receipt == .stale { return add("gloss_stale_reports_total", 1) }
        if case .failed(let failure) = outcome { add("gloss_failures_total{code=\"\(failure.code)\"}", 1) }
        let word =
            switch outcome {
            case .completed: receipt == .unrecordable ? "dead" : "done"
            case .failed(let failure): failure.disposition == .permanent ? "dead" : "failed"
            case .released: "released"
            }
        add("gloss_jobs_ended_total{outcome=\"\(word)\"}", 1)
    }

    var isDatabaseUp: Bool { state.withLock { $0.databaseUp } }

    /// A line for `systemctl status`.
    var statusLine: String {
        state.withLock { state in
            let done = Int(state.counters["gloss_jobs_ended_total{outcome=\"done\"}"] ?? 0)
            let dead = Int(state.counters["gloss_jobs_ended_total{outcome=\"dead\"}"] ?? 0)
            return state.databaseUp ? "\(done) jobs done, \(dead) dead" : "waiting for the database; \(done) jobs done"
        }
    }

    /// The Prometheus text format, version 0.0.4.
    var text: String {
        let (counters, up) = state.withLock { ($0.counters, $0.databaseUp) }
        var values = counters
        values["gloss_database_up"] = up ? 1 : 0
        values["gloss_uptime_seconds"] = Date().timeIntervalSince(startedAt)
        var lines: [String] = []
        for (name, type, help) in Self.help {
            lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
            let series = values.filter { $0.key == name || $0.key.hasPrefix(name + "{") }.sorted { $0.key < $1.key }
            lines += series.map { "\($0.key) \($0.value)" }
            if series.isEmpty { lines.append("\(name) 0") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func add(_ name: String, _ amount: Double) { state.withLock { $0.counters[name, default: 0] += amount } }
}
