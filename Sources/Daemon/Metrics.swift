import Annotation
import Foundation
import Inference
import Queue
import Synchronization

/// The stations of a job's way, as time is counted.
enum Stage: String, CaseIterable {
    case claim, fetch, decode, vision, prefill, extend, decide, record
    /// The inference thread had nothing to do.
    case idle
}

/// Everything that the daemon counts, and its text for Prometheus. docs/operating.md lists each with its unit.
final class Metrics: Sendable {
    private struct State {
        var counters: [String: Double] = [:]
        var stages: [Stage: StageTotals] = [:]
        var passBegan: ContinuousClock.Instant?
    }

    let status = DaemonStatus()
    private let state = Mutex(State())
    private let startedAt = Date()
    private let process = ProcessMetrics()
    /// The labels of `gloss_build_info`, once the model is known.
    private let build = Mutex<[(name: String, value: String)]>([("version", glossVersion)])

    private static let help: [(name: String, type: String, text: String)] = [
        ("gloss_jobs_claimed_total", "counter", "Jobs leased by this daemon."),
        ("gloss_jobs_ended_total", "counter", "Jobs that left this daemon, by outcome."),
        ("gloss_failures_total", "counter", "Failed attempts, by code."),
        ("gloss_stale_reports_total", "counter", "Reports whose lease was lost: nothing was written."),
        ("gloss_images_fetched_total", "counter", "Images fetched."),
        ("gloss_fetched_bytes_total", "counter", "Bytes of images fetched."),
        ("gloss_queries_total", "counter", "Prompts answered."),
        ("gloss_answer_tokens_total", "counter", "Tokens of the answers."),
        ("gloss_vision_cache_hits_total", "counter", "Images of prompts that needed no pass of their own."),
        ("gloss_vision_cache_misses_total", "counter", "Images through the vision tower."),
        ("gloss_prefills_shared_total", "counter", "Prompts that used the prefill of another."),
        (
            "gloss_stage_seconds_total", "counter",
            "Seconds spent, by stage; fetch and decode add up over parallel work."
        ),
        ("gloss_stage_units_total", "counter", "What these seconds were spent on, by stage."),
        ("gloss_stage_rows_total", "counter", "Tokens computed, by stage."),
        ("gloss_engine_idle_seconds_total", "counter", "Seconds in which the model had nothing to do."),
        ("gloss_jobs_rescued_total", "counter", "Jobs taken back from daemons that died."),
        ("gloss_jobs_poisoned_total", "counter", "Jobs quarantined after three daemons died with them."),
        ("gloss_queue_waiting", "gauge", "Jobs of all daemons that wait, by task and model; model is empty for any."),
        ("gloss_queue_running", "gauge", "Jobs that daemons hold, by task and model."),
        ("gloss_queue_done", "gauge", "Jobs with a result, by task and model."),
        ("gloss_queue_dead", "gauge", "Jobs given up or cancelled, by task and model."),
        ("gloss_queue_oldest_seconds", "gauge", "How long the first job that is due has waited, by task and model."),
        ("gloss_database_errors_total", "counter", "Statements that failed."),
        ("gloss_database_up", "gauge", "1 while the database answers."),
        ("gloss_held_up", "gauge", "1 while this machine can't fetch or decode, and no jobs are claimed."),
        ("gloss_uptime_seconds", "gauge", "Seconds since the start."),
        ("gloss_build_info", "gauge", "1, with the version and the model as labels."),
        ("process_cpu_seconds_total", "counter", "Processor time of this process in seconds, decoders excluded."),
        ("process_resident_memory_bytes", "gauge", "Memory of this process, the mapped model included."),
        ("process_open_fds", "gauge", "Open file descriptors."),
        ("process_start_time_seconds", "gauge", "When this process started, in seconds since 1970."),
    ]

    /// Says what answers.
    func knows(_ identity: EngineIdentity) {
        build.withLock {
            $0 = [
                ("version", identity.version), ("model", identity.model), ("digest", identity.digest),
                ("precision", identity.precision),
            ]
        }
    }

    func claimed(_ count: Int) { add("gloss_jobs_claimed_total", Double(count)) }

    func fetched(bytes: Int, seconds: Double) {
        add("gloss_images_fetched_total", 1)
        add("gloss_fetched_bytes_total", Double(bytes))
        spent(.fetch, seconds: seconds)
    }

    func answered(tokens: Int) {
        add("gloss_queries_total", 1)
        add("gloss_answer_tokens_total", Double(tokens))
    }

    /// The inference thread begins a pass.
    func passBegins() { state.withLock { $0.passBegan = .now } }

    /// How long the present pass has been running.
    var passTime: Duration { state.withLock { $0.passBegan.map { .now - $0 } ?? .zero } }

    /// A pass has ended: what the inference thread has done since its start.
    func computed(_ statistics: Scheduler.Statistics) {
        state.withLock { state in
            state.passBegan = nil
            state.stages[.vision] = StageTotals(seconds: statistics.seconds.vision, units: statistics.imageCount)
            state.stages[.prefill] = StageTotals(
                seconds: statistics.seconds.prefill, units: statistics.prefillCount, rows: statistics.prefillTokenCount)
            state.stages[.extend] = StageTotals(
                seconds: statistics.seconds.extend, units: statistics.extendCount, rows: statistics.extendRowCount)
            state.counters["gloss_vision_cache_hits_total"] = Double(statistics.imageHitCount)
            state.counters["gloss_vision_cache_misses_total"] = Double(statistics.imageCount)
            state.counters["gloss_prefills_shared_total"] = Double(statistics.sharedPrefillCount)
        }
    }

    func spent(_ stage: Stage, seconds: Double) {
        state.withLock { state in
            state.stages[stage, default: StageTotals()].seconds += seconds
            state.stages[stage, default: StageTotals()].units += 1
        }
    }

    func spent(_ stage: Stage, since start: ContinuousClock.Instant) {
        spent(stage, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    func timed<R>(_ stage: Stage, _ work: () -> R) -> R {
        let start = ContinuousClock.now
        defer { spent(stage, since: start) }
        return work()
    }

    /// Since the start, by the stage's name.
    var stages: [String: StageTotals] {
        let stages = state.withLock { $0.stages }
        return Dictionary(uniqueKeysWithValues: stages.map { ($0.key.rawValue, $0.value) })
    }

    func rescued(_ count: Int, poisoned: Int) {
        add("gloss_jobs_rescued_total", Double(count))
        add("gloss_jobs_poisoned_total", Double(poisoned))
    }

    func databaseFailed() { add("gloss_database_errors_total", 1) }

    func reported(_ report: JobReport, _ receipt: Receipt) {
        if receipt == .stale { return add("gloss_stale_reports_total", 1) }
        if case .failed(let failure) = report.outcome { add("gloss_failures_total{code=\"\(failure.code)\"}", 1) }
        let word =
            switch report.outcome {
            case .completed: receipt == .unrecordable ? "dead" : "done"
            case .failed: report.isDeath ? "dead" : "failed"
            case .released: "released"
            }
        add("gloss_jobs_ended_total{outcome=\"\(word)\"}", 1)
    }

    /// A line for a person.
    var statusLine: String {
        let counters = state.withLock { $0.counters }
        let (done, dead) = (
            Int(counters["gloss_jobs_ended_total{outcome=\"done\"}"] ?? 0),
            Int(counters["gloss_jobs_ended_total{outcome=\"dead\"}"] ?? 0)
        )
        return [status.sentence, "\(done) jobs done, \(dead) dead"].compactMap { $0 }.joined(separator: "; ")
    }

    /// The Prometheus text format, version 0.0.4. `depths`: the queue, as far as it is known.
    func text(_ depths: [QueueDepth] = []) -> String {
        var (values, stages) = state.withLock { ($0.counters, $0.stages) }
        values["gloss_engine_idle_seconds_total"] = stages.removeValue(forKey: .idle)?.seconds
        for (stage, totals) in stages {
            values["gloss_stage_seconds_total{stage=\"\(stage)\"}"] = totals.seconds
            values["gloss_stage_units_total{stage=\"\(stage)\"}"] = Double(totals.units)
            if totals.rows > 0 { values["gloss_stage_rows_total{stage=\"\(stage)\"}"] = Double(totals.rows) }
        }
        values["gloss_database_up"] = status.isDatabaseUp ? 1 : 0
        values["gloss_held_up"] = status.holdup == nil ? 0 : 1
        values["gloss_uptime_seconds"] = Date().timeIntervalSince(startedAt)
        values["gloss_build_info{\(Self.labels(build.withLock { $0 }))}"] = 1
        values.merge(process.values) { $1 }
        for depth in depths { values.merge(Self.values(of: depth)) { $1 } }
        var lines: [String] = []
        for (name, type, help) in Self.help {
            lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(type)"]
            let series = values.filter { $0.key == name || $0.key.hasPrefix(name + "{") }.sorted { $0.key < $1.key }
            lines += series.map { "\($0.key) \($0.value)" }
            if series.isEmpty, !name.hasPrefix("gloss_queue_") { lines.append("\(name) 0") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func values(of depth: QueueDepth) -> [String: Double] {
        let labels = labels([("task", depth.task), ("model", depth.model)])
        var values = [
            "gloss_queue_waiting{\(labels)}": Double(depth.waiting),
            "gloss_queue_running{\(labels)}": Double(depth.running),
            "gloss_queue_done{\(labels)}": Double(depth.done), "gloss_queue_dead{\(labels)}": Double(depth.dead),
        ]
        values["gloss_queue_oldest_seconds{\(labels)}"] = depth.oldestSeconds
        return values
    }

    private static func labels(_ labels: [(name: String, value: String)]) -> String {
        labels.map { name, value in
            let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
            return "\(name)=\"\(escaped)\""
        }.joined(separator: ",")
    }

    private func add(_ name: String, _ amount: Double) { state.withLock { $0.counters[name, default: 0] += amount } }
}
