import Foundation
import Inference
import Synchronization
import Work

/// The one thread that computes, with the scheduler on it: blocking, and away from the cooperative pool.
///
/// embedImage → prefill → extend happen here, a pass at a time; between two passes it looks for new queries and for those that are
/// no longer wanted.
final class InferenceThread: Sendable {
    private enum Command {
        case submit([Scheduler.Query])
        case cancel([Int])
        case letGo(Int64)
        case tellWaiting
    }

    private struct State {
        var commands: [Command] = []
        var isStopped = false
    }

    private let model: PaliGemma
    private let limits: Scheduler.Limits
    private let metrics: Metrics
    private let deliver: @Sendable (Event) -> Void
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let rounds = Atomic(0)

    /// `deliver` gets `answered` and `waiting`, and must not block.
    init(
        model: PaliGemma, limits: Scheduler.Limits, metrics: Metrics, deliver: @escaping @Sendable (Event) -> Void
    ) {
        (self.model, self.limits, self.metrics, self.deliver) = (model, limits, metrics, deliver)
    }

    func start() {
        let isStarted = DispatchSemaphore(value: 0)
        let thread = Thread {
            isStarted.wait()
            // From within, and once start() is over: else the system does not learn it.
            Thread.current.name = "gloss-inference"
            self.work()
        }
        thread.start()
        isStarted.signal()
    }

    /// Ends the thread after the present pass. Nothing is delivered after that pass.
    func stop() {
        state.withLock { $0.isStopped = true }
        wake.signal()
    }

    func submit(_ queries: [Scheduler.Query]) { send(.submit(queries)) }

    func cancel(_ queries: [Int]) { send(.cancel(queries)) }

    /// A holder asks no more about its images.
    func letGo(_ holder: Int64) { send(.letGo(holder)) }

    /// Asks which queries have not begun: the answer is a `waiting`.
    func tellWaiting() { send(.tellWaiting) }

    /// Grows every second at least, as long as the thread turns: with each round, and with each kernel of a pass.
    var turns: Int { rounds.load(ordering: .relaxed) + model.activity }

    private func send(_ command: Command) {
        state.withLock { $0.commands.append(command) }
        wake.signal()
    }

    private func work() {
        var scheduler = Scheduler(model: model, limits: limits)
        while let commands = takeCommands() {
            rounds.add(1, ordering: .relaxed)
            for command in commands { obey(command, &scheduler) }
            if scheduler.isIdle || scheduler.isHeldUp {
                // The time-out is for the metrics, as idleness counts while it lasts, and for the watchdog.
                metrics.timed(.idle) { _ = wake.wait(timeout: .now() + 1) }
            } else {
                metrics.passBegins()
                let ended = scheduler.step()
                metrics.computed(scheduler.statistics)
                for completion in ended { deliver(.answered(EngineAnswer(completion))) }
            }
        }
    }

    /// Nil: stop.
    private func takeCommands() -> [Command]? {
        state.withLock { state in
            defer { state.commands = [] }
            return state.isStopped ? nil : state.commands
        }
    }

    private func obey(_ command: Command, _ scheduler: inout Scheduler) {
        switch command {
        case .submit(let queries): for query in queries { scheduler.submit(query) }
        case .cancel(let ids): for id in ids { scheduler.cancel(id) }
        case .letGo(let holder): scheduler.letGo(holder)
        case .tellWaiting: deliver(.waiting(Set(scheduler.waitingQueries)))
        }
    }
}

extension EngineAnswer {
    /// What came of a query.
    fileprivate init(_ completion: Scheduler.Completion) {
        let cost = EngineCost(
            visionSeconds: completion.seconds.vision, prefillSeconds: completion.seconds.prefill,
            decodeSeconds: completion.seconds.extend, images: completion.work.images,
            prefills: completion.work.prefills, tokens: completion.work.tokens)
        self.init(query: completion.id, result: completion.result.mapError(EngineFailure.init), cost: cost)
    }
}

extension EngineFailure {
    fileprivate init(_ error: InferenceError) {
        let code =
            switch error.code {
            case .invalidModel: "invalid_model"
            case .unsupportedModel: "unsupported_model"
            case .invalidRequest: "invalid_request"
            case .outOfMemory: "out_of_memory"
            case .notFinite: "not_finite"
            }
        self.init(code: code, message: error.message, isEngineFault: error.disposition != .permanent)
    }
}
