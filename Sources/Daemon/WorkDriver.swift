import Annotation
import Foundation
import Inference
import Queue
import ServiceLifecycle
import Storage
import Work

/// The database refuses for good: nothing succeeds until a person changes rights, schema or configuration.
struct DatabaseRefusal: Error, CustomStringConvertible {
    let description: String
}

/// Carries out what the work decides, and hands back what came of it. It decides nothing.
struct WorkDriver: Service {
    let state: WorkState
    let inbox: Inbox
    let store: any JobStore
    let description: WorkerDescription
    let images: ImageTable
    let engine: InferenceThread
    /// By name.
    var adapters: [String: Adapter] = [:]
    let fetcher: Fetching
    let metrics: Metrics
    let journal: Journal
    let watchdog: Watchdog

    /// What of the fetcher the driver needs itself.
    struct Fetching: Sendable {
        let share: @Sendable (Int) -> Void
        let park: @Sendable (String, Duration) -> Void
        let unpark: @Sendable (String) -> Void
        /// The hosts that asked for patience since this was called last.
        let takeCuts: @Sendable () -> [HostCut]
        /// The other daemons could not be told.
        let putBack: @Sendable ([HostCut]) -> Void
        let learn: @Sendable ([HostAllowance]) -> Void
    }

    func run() async throws {
        engine.start()
        defer {
            engine.stop()
            images.close()
        }
        try await withGracefulShutdownHandler {
            try await work()
        } onGracefulShutdown: {
            inbox.put(.drainBegan)
        }
    }

    private func work() async throws {
        var state = state
        var timer: Task<Void, Never>?
        defer { timer?.cancel() }
        inbox.put(.started)
        while let events = await inbox.next() {
            for effect in metrics.timed(.decide, { state.handle(events, now: .now) }) {
                switch effect {
                case .setTimer(let instant):
                    timer?.cancel()
                    timer = Task {
                        guard (try? await Task.sleep(until: instant, clock: .continuous)) != nil else { return }
                        inbox.put(.timer)
                    }
                case .stop(.asTold): return
                case .stop(.refused(let reason)): throw DatabaseRefusal(description: reason)
                default: carryOut(effect)
                }
            }
        }
    }

    private func carryOut(_ effect: Effect) {
        switch effect {
        case .fetch(let file, let url): images.fetch(file, url)
        case .cancelFetch(let file): images.cancelFetch(file)
        case .discardFile(let file): images.discardFile(file)
        case .decode(let image, let file, let background, let box):
            images.decode(image, of: file, background: background, drawnBox: box)
        case .proceed(let image): images.proceed(image)
        case .refuse(let image): images.proceed(image, false)
        case .discard(let image): images.discard(image)
        case .avoid(let origin, let pause): fetcher.park(origin, pause)
        case .allow(let origin): fetcher.unpark(origin)
        case .share(let count): fetcher.share(count)
        case .submit(let queries): engine.submit(queries.map { schedulerQuery($0) })
        case .cancelQueries(let queries): engine.cancel(queries)
        case .letGo(let holder): engine.letGo(holder)
        case .askWaiting: engine.tellWaiting()
        case .measureMemory: Task { inbox.put(.memory(free: FreeMemory.bytes())) }
        case .status(let status): show(status)
        case .note(let note): journal.note(note)
        default: carryOutStatement(effect)
        }
    }

    private func schedulerQuery(_ query: EngineQuery) -> Scheduler.Query {
        Scheduler.Query(
            id: query.id, images: query.images.compactMap { images.image($0) }, prompt: query.prompt,
            settings: query.settings, options: query.options, priority: query.priority,
            adapter: query.adapter.map { adapters[$0]! }, holder: query.holder)
    }

    private func show(_ status: WorkStatus) {
        let before = metrics.status.work?.phase
        metrics.status.work = status
        let sign: String? =
            switch (before, status.phase) {
            case (.registering, .working): "READY=1"
            case (.working, .draining): "STOPPING=1"
            // systemd may wait for the database as long as we do; two minutes are enough for the next try.
            case (_, .registering): "EXTEND_TIMEOUT_USEC=120000000"
            default: nil
            }
        Systemd.notify([sign].compactMap(\.self), status: metrics.statusLine)
    }

    private func carryOutStatement(_ effect: Effect) {
        switch effect {
        case .register: run(.register) { .registered(try await store.register(description)) }
        case .claim(let budget, let worker):
            run(.claim, as: .claim) { .claimed(try await store.claim(budget, by: worker), by: worker) }
        case .releaseUnheld(let leases, let worker):
            run(.releaseUnheld) { .releasedUnheld(count: try await store.releaseUnheld(worker, holding: leases)) }
        case .waitForWork(let timeout): wait(timeout)
        case .begin(let leases, let worker):
            run(.begin) {
                try await store.begin(leases, by: worker)
                return .begun
            }
        case .checkpoint(let view, let lease, let worker):
            run(.checkpoint) {
                .checkpointed(lease, holds: try await store.checkpoint(view, under: lease, by: worker))
            }
        case .record(let reports, let worker):
            run(.record, as: .record) { .recorded(try await store.record(reports, by: worker)) }
        case .heartbeat(var heartbeat, let worker):
            heartbeat.stages = metrics.stages
            heartbeat.cuts = fetcher.takeCuts()
            run(.heartbeat) { [heartbeat] in
                do {
                    let reply = try await store.heartbeat(worker, heartbeat)
                    fetcher.learn(reply.allowances)
                    return .heartbeatAnswered(reply, by: worker)
                } catch {
                    fetcher.putBack(heartbeat.cuts)
                    throw error
                }
            }
        case .rescue: run(.rescue) { .rescued(try await store.rescue()) }
        case .park(let origin, let pause, let reason):
            run(.park) {
                try await store.park(origin: origin, for: pause, reason: reason)
                return .parked(origin: origin)
            }
        case .deregister(let worker):
            run(.deregister) {
                try await store.deregister(worker)
                return .deregistered
            }
        default: preconditionFailure("nobody carries out \(effect)")
        }
    }

    /// Runs a statement beside everything else, and hands its answer in.
    private func run(
        _ statement: Statement, as stage: Stage? = nil, _ body: @escaping @Sendable () async throws -> Event
    ) {
        Task {
            let call = watchdog.began(statement.rawValue)
            defer { watchdog.ended(call) }
            let start = ContinuousClock.now
            do {
                let event = try await body()
                if let stage { metrics.spent(stage, since: start) }
                inbox.put(event)
            } catch {
                inbox.put(.storeFailed(statement, StoreProblem(error, statement)))
            }
        }
    }

    private func wait(_ timeout: Duration) {
        Task {
            let start = ContinuousClock.now
            try? await store.waitForWork(timeout: timeout)
            // Before its time: there was a notification.
            inbox.put(.wokenUp(isNotified: .now - start < timeout))
        }
    }
}

extension StoreProblem {
    fileprivate init(_ error: any Error, _ statement: Statement) {
        guard let error = error as? StorageError else {
            self.init(.passing, "\(error)")
            return
        }
        let kind: Kind =
            switch error.disposition {
            case _ where error.isTooLarge: .tooLarge
            case .retry: .passing
            // A worker that may not register will not work.
            case .permanent: statement == .register ? .final : .passing
            case .fatal: .final
            }
        self.init(kind, error.description)
    }
}
