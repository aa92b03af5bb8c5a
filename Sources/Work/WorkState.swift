import Annotation
import Queue

/// Everything that a daemon decides: which jobs it holds, what they cost, and what comes next.
///
/// It is a value without I/O, clock or chance. An event goes in and effects come out; whoever carries them out decides nothing, and
/// nothing waits inside a decision. Events change the state first (`take`); then `decide` starts whatever the state allows, so that
/// no event needs to know what others wait for, and many events at once cost one decision.
public struct WorkState: Sendable {
    enum Phase: Hashable {
        case idle, registering, working
        case draining(until: Instant)
        /// The last statements; the end comes at `until` at the latest.
        case leaving(until: Instant, StopReason)
        case stopped
    }

    /// An image from the moment that its job is let in.
    struct HeldImage {
        enum State: Hashable {
            /// It waits for its file.
            case waiting
            /// The file is here, and the image waits for a decoder.
            case fetched
            /// A decoder reads the header.
            case measuring
            /// The decoder waits for memory.
            case measured
            case decoding
            /// The decoder was told to give up.
            case refused
            case decoded
            /// The engine has it.
            case submitted
        }

        let lease: Lease
        let index: Int
        let file: FileID
        var state = State.waiting
        /// Bytes reserved for the pixels.
        var pixelBytes = 0
        /// Bytes that decoding takes.
        var decodeBytes = 0
        var killedDecoderCount = 0
        /// Its job is gone; what is under way for it ends by itself.
        var isAbandoned = false
    }

    /// A query that the engine has.
    struct HeldQuery {
        let lease: Lease
        let asked: TaskQuery
        let rowCount: Int
        let mostTokens: Int
    }

    let settings: WorkSettings
    let engine: EngineDescription
    let originOf: @Sendable (String) -> String?
    var random: SeededNumbers

    var phase = Phase.idle
    var worker: WorkerID?
    var jobs: [Lease: HeldJob] = [:]
    /// The held jobs in order.
    var line: [Lease] = []
    var images: [ImageID: HeldImage] = [:]
    var files: [FileID: HeldFile] = [:]
    /// The files that are on their way or here, by their URL.
    var fileOf: [String: FileID] = [:]
    /// Files that no image wants now, the oldest first.
    var idleFiles: [FileID] = []
    var queries: [Int: HeldQuery] = [:]
    var lastImage = 0, lastFile = 0, lastQuery = 0

    var budget: Budget
    var origins: Origins
    var costs = Costs()
    var reachability = Reachability<Lease>()
    var holdups: [HoldUp.Cause: HoldUp] = [:]
    /// The part of the network whose outage holds this daemon up.
    var outagePart: ImageFailure.NetworkPart?
    /// Decoders at work.
    var decoderCount = 0
    /// Images whose files are here and that are not decoded, in the order of their arrival.
    var decodable: [ImageID] = []
    /// Responses that the engine was given and has not finished, those of announced jobs included.
    var engineRowCount = 0

    var claiming: Claiming
    var announcing = Announcing()
    var keeping = Keeping()
    var recording = Recording()
    var life: Life

    var isMeasuringMemory = false
    var timer: Instant?
    var lastStatus: WorkStatus?
    var now: Instant
    private var effects: [Effect] = []

    /// A daemon that has not begun.
    /// - Parameters:
    ///   - originOf: the origin of a URL, `scheme://host[:port]`; nil for a local file or a URL that is none.
    ///   - seed: of the random numbers that spread the tries of many daemons.
    public init(
        _ settings: WorkSettings, engine: EngineDescription, originOf: @escaping @Sendable (String) -> String?,
        seed: UInt64, now: Instant
    ) {
        self.settings = settings
        self.engine = engine
        self.originOf = originOf
        random = SeededNumbers(seed: seed)
        budget = Budget(settings)
        origins = Origins(settings)
        claiming = Claiming(bytes: settings.claimBytes)
        life = Life(longestPause: settings.rescueAfter / 2)
        self.now = now
    }

    /// Takes note of what happened, in its order; what to do next, in order.
    public mutating func handle(_ events: [Event], now: Instant) -> [Effect] {
        guard phase != .stopped else { return [] }
        self.now = max(now, self.now)
        effects = []
        for event in events where phase != .stopped { take(event) }
        if phase != .stopped { decide() }
        defer { effects = [] }
        return effects
    }

    mutating func emit(_ effect: Effect) { effects.append(effect) }

    private mutating func take(_ event: Event) {
        switch event {
        case .started: phase = phase == .idle ? .registering : phase
        case .drainBegan: beginDrain()
        case .timer: timer = nil
        case .memory(let free): tookMemory(free)
        case .registered(let worker): registered(worker)
        case .claimed(let jobs, let worker): claimed(jobs, by: worker)
        case .releasedUnheld(let count): releasedUnheld(count)
        case .wokenUp(let isNotified): wokenUp(isNotified: isNotified)
        case .begun: begun()
        case .checkpointed(let lease, let holds): checkpointed(lease, holds: holds)
        case .recorded(let receipts): recorded(receipts)
        case .heartbeatAnswered(let reply, let worker): heartbeatAnswered(reply, by: worker)
        case .rescued(let report): rescued(report)
        case .parked(let origin): origins.confirmed(origin, now)
        case .deregistered: if case .leaving(_, let reason) = phase { stop(reason) }
        case .storeFailed(let statement, let problem): storeFailed(statement, problem)
        case .fileSized(let file, let byteCount): sized(file, byteCount)
        case .fileFetched(let file, let fetched): self.fetched(file, fetched)
        case .fileFailed(let file, let failure): failed(file, failure)
        case .imageMeasured(let image, let decodeBytes): measured(image, decodeBytes)
        case .imageDecoded(let image, let decoded): self.decoded(image, decoded)
        case .imageFailed(let image, let failure): failed(image, failure)
        case .answered(let answer): answered(answer)
        case .waiting(let queries): releaseUnbegun(waiting: queries)
        }
    }

    /// Starts everything that the state allows. Each step looks at the state alone.
    private mutating func decide() {
        decideLife()
        guard phase != .stopped else { return }
        watchMemory()
        settleDoubts()
        releaseJobsOfParkedOrigins()
        releaseSurplus()
        admitJobs()
        giveUpFiles()
        startFetches()
        startDecoders()
        announce()
        submitOverdue()
        keepViews()
        decideClaim()
        record()
        giveUpFiles()
        decideEnd()
        guard phase != .stopped else { return }
        updateStatus()
        updateTimer()
    }

    // MARK: What others see

    /// Leases held, and how far their jobs are.
    public var phases: [Lease: JobPhase] { jobs.mapValues(\.phase) }

    mutating func updateStatus() {
        var status = WorkStatus()
        status.phase =
            switch phase {
            case .idle, .registering: .registering
            case .working: .working
            case .draining, .leaving: .draining
            case .stopped: .stopped
            }
        status.failing = life.failing
        status.holdup = holdupReason
        guard status != lastStatus else { return }
        lastStatus = status
        emit(.status(status))
    }

    /// Sets the timer to the next time at which a decision changes without an event.
    private mutating func updateTimer() {
        let times: [Instant?] = [
            lifeDeadline, reachability.nextDeadline, origins.nextStart(now), admissionDeadline, holdupDeadline,
            stallDeadline, announceDeadline, lookDeadline, keeping.backoff.until, recording.backoff.until,
            claiming.backoff.until,
        ]
        guard let next = times.compactMap(\.self).filter({ $0 > now }).min() else { return }
        guard timer.map({ next < $0 || $0 <= now }) ?? true else { return }
        timer = next
        emit(.setTimer(next))
    }

    // MARK: Jobs

    /// The held jobs in order.
    var jobsInOrder: [HeldJob] { line.compactMap { jobs[$0] } }

    mutating func add(_ job: HeldJob) {
        jobs[job.lease] = job
        let place = line.firstIndex { HeldJob.comesFirst(job, jobs[$0]!) } ?? line.endIndex
        line.insert(job.lease, at: place)
    }

    mutating func remove(_ lease: Lease) {
        jobs[lease] = nil
        line.removeAll { $0 == lease }
        if !jobs.values.contains(where: { $0.state != .reporting }) { claiming.mayHaveWork = true }
    }

    /// Ends a job here: takes it out of everything, and hands its outcome to the store.
    mutating func report(_ lease: Lease, _ outcome: Outcome) {
        guard let job = jobs[lease], job.state != .reporting else { return }
        leave(lease)
        jobs[lease]?.state = .reporting
        recording.outbox.append(JobReport(job.claimed, outcome))
    }

    mutating func release(_ lease: Lease, _ release: Release) { report(lease, .released(release)) }

    /// Forgets jobs whose leases are gone. Those that are being recorded may be gone because they are recorded: the receipt tells.
    mutating func lose(_ leases: [Lease]) {
        let lost = leases.filter { jobs[$0].map { $0.state != .reporting } ?? false }
        guard !lost.isEmpty else { return }
        for lease in lost {
            leave(lease)
            remove(lease)
        }
        emit(.note(.lost(lost)))
    }

    /// Takes a job out of the engine, its images out of memory, and its doubts out of the way.
    private mutating func leave(_ lease: Lease) {
        guard let job = jobs[lease] else { return }
        if case .announced = job.state { engineRowCount -= job.rowCount }
        if !job.asked.isEmpty {
            let left = job.asked.sorted()
            for query in left { forget(query) }
            emit(.cancelQueries(left))
        }
        jobs[lease]?.asked = []
        letGo(lease)
        for image in job.images.values.sorted() { abandon(image) }
        for doubt in reachability.take(lease) { origins.settleDoubt(doubt.origin) }
    }
}
