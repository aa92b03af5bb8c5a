import Annotation
import Foundation
@testable import Inference
import Queue
import Synchronization
import TestSupport
import Testing

@testable import Daemon

/// What the daemon knows of its own process.
@Suite struct ProcessTests {
    @Test func freeMemoryIsThatOfTheControlGroup() {
        #expect(FreeMemory.groupPath("1:cpu:/old\n0::/system.slice/glossd.service\n") == "/system.slice/glossd.service")
        #expect(FreeMemory.groupPath("") == "/")
        let stat = "anon 5\ninactive_file 300\nactive_file 7\n"
        #expect(FreeMemory.left(limit: "1000\n", used: "800\n", stat: stat) == 500)
        #expect(FreeMemory.left(limit: "700\n", used: "1100\n", stat: stat) == 0)
        #expect(FreeMemory.left(limit: "max\n", used: "800\n", stat: stat) == nil)
        #expect(FreeMemory.kilobytes("MemAvailable", in: "MemFree:  1 kB\nMemAvailable:   77 kB\n") == 77)
        #expect(FreeMemory.bytes() > 0 && FreeMemory.bytes() < 1 << 50)
        #expect((64 << 20...4 << 30).contains(FreeMemory.keyValueBytes()))
    }

    /// A thread that has no work turns; a call that hangs becomes the oldest, however many others end.
    @Test func aWatchdogTellsStandingStillFromHavingNothingToDo() {
        let turns = Atomic(0)
        let watchdog = Watchdog(threads: [("thread", { turns.load(ordering: .relaxed) })])
        func turn() { turns.add(1, ordering: .relaxed) }
        #expect(watchdog.standing().isEmpty)
        #expect(watchdog.standing() == ["thread"])
        turn()
        let (hanging, other) = (watchdog.began("decode"), watchdog.began("claim"))
        #expect(watchdog.standing().isEmpty, "it has just begun")
        turn()
        watchdog.ended(other)
        #expect(watchdog.standing() == ["decode"])
        watchdog.ended(hanging)
        let next = watchdog.began("decode")
        #expect(watchdog.standing().isEmpty, "another one, and the thread has turned")
        watchdog.ended(next)
        #expect(watchdog.standing() == ["thread"])
    }

    @Test func metricsAreValidPrometheusText() {
        let metrics = Metrics()
        metrics.fetched(bytes: 10, seconds: 0.5)
        let failure = Failure(code: "http_404", reason: "gone", disposition: .permanent)
        let last = ClaimedJob(
            lease: Lease(job: JobID(rawValue: 1), fence: 1), attempt: 2, maxAttempts: 2, spec: Samples.caption())
        metrics.reported(JobReport(last, .failed(failure)), .recorded)
        metrics.reported(JobReport(last, Samples.failed(.retry(after: nil))), .recorded)
        #expect(
            metrics.text().contains("gloss_jobs_ended_total{outcome=\"dead\"} 2.0"), "the last attempt ends the job")
        var statistics = Scheduler.Statistics()
        (statistics.seconds.extend, statistics.extendCount, statistics.extendRowCount) = (2, 10, 300)
        metrics.computed(statistics)
        metrics.spent(.idle, seconds: 4)
        #expect(metrics.stages["extend"] == StageTotals(seconds: 2, units: 10, rows: 300))
        metrics.knows(EngineIdentity(model: "a \"b\"\\\n", digest: "d", precision: "int8", version: "1"))
        let text = metrics.text([
            QueueDepth(task: "caption", waiting: 3, running: 2, done: 1, dead: 4, oldestSeconds: 61.5),
            QueueDepth(task: "vqa", model: "m", done: 1),
        ])
        #expect(text.contains("gloss_stage_rows_total{stage=\"extend\"} 300.0"))
        #expect(text.contains("gloss_engine_idle_seconds_total 4.0") && text.contains("gloss_database_up 1.0"))
        #expect(text.contains("gloss_queue_waiting{task=\"caption\",model=\"\"} 3.0"))
        #expect(text.contains("gloss_queue_oldest_seconds{task=\"caption\",model=\"\"} 61.5"))
        #expect(!text.contains("gloss_queue_oldest_seconds{task=\"vqa\""), "none is due")
        #expect(text.contains(#"model="a \"b\"\\\n","#))
        let label = /[a-z]+="(?:[^"\\]|\\.)*"/
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let plain = line.replacing(label, with: "l").replacing(/\{l(,l)*\}/, with: "")
            #expect(plain.wholeMatch(of: /(gloss|process)_[a-z_]+ [0-9.e+-]+/) != nil, "\(line)")
        }
    }

    @Test func theProcessKnowsItself() throws {
        let values = ProcessMetrics().values
        let start = try #require(values["process_start_time_seconds"])
        #expect(abs(Date().timeIntervalSince1970 - start) < 86_400 && start < Date().timeIntervalSince1970 + 2)
        #expect(try #require(values["process_cpu_seconds_total"]) > 0)
        #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
        #expect(try #require(values["process_open_fds"]) >= 3)
    }

    /// The queue is asked when somebody looks, and not more often than every 15 s; a database that is away leaves it out.
    @Test func theQueueIsAskedNowAndThen() async {
        let gauge = QueueGauge()
        let count = Counter()
        #expect(await gauge.depths().isEmpty, "nobody to ask yet")
        gauge.use {
            count.add()
            return [QueueDepth(task: "caption", waiting: 1)]
        }
        for _ in 0..<5 { #expect(await gauge.depths().count == 1) }
        #expect(count.value == 1)
    }

    private final class Counter: Sendable {
        private let count = Atomic(0)
        var value: Int { count.load(ordering: .relaxed) }
        func add() { count.add(1, ordering: .relaxed) }
    }
}
