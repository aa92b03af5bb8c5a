import Annotation
import Queue

/// Jobs that the store is told of before the engine begins them. Should the daemon die, they are suspects.
struct Announcing {
    /// Announced and not yet on their way: they go together, one statement at a time.
    var waiting: [Lease] = []
    /// When the statement under way began.
    var sentAt: Instant?
    var sent: [Lease] = []
    var backoff = Backoff(.milliseconds(200), upTo: .seconds(5))
}

/// Finished views on their way to the store. They only save work: none of them is waited for.
struct Keeping {
    var waiting: [(view: ViewResponses, lease: Lease)] = []
    var sent: (view: ViewResponses, lease: Lease)?
    var backoff = Backoff(.milliseconds(500), upTo: .seconds(10))
}

/// From a job's images to its answers.
extension WorkState {
    // MARK: Announcements

    /// Takes jobs whose images are here to the engine, in order, as long as it has too little to compute at a time.
    mutating func announce() {
        for job in jobsInOrder where job.state == .ready && engineWants(job) {
            engineRowCount += job.rowCount
            jobs[job.lease]?.state = .announced(now)
            announcing.waiting.append(job.lease)
        }
        sendAnnouncement()
    }

    private func engineWants(_ job: HeldJob) -> Bool {
        guard phase == .working else { return false }
        if engineRowCount < settings.engineRows { return true }
        // What comes first overtakes what waits in the engine.
        let begun = jobs.values.filter { $0.state == .computing }
        return begun.allSatisfy { job.claimed.priority < $0.claimed.priority }
    }

    private mutating func sendAnnouncement() {
        guard announcing.sentAt == nil, announcing.backoff.isOver(now), let worker else { return }
        let sent = announcing.waiting.filter { isBeginning($0) }
        announcing.waiting = []
        guard !sent.isEmpty else { return }
        announcing.sent = sent
        announcing.sentAt = now
        emit(.begin(sent, by: worker))
    }

    private func isBeginning(_ lease: Lease) -> Bool {
        switch jobs[lease]?.state {
        case .announced, .computing: true
        default: false
        }
    }

    mutating func begun() {
        announcing.sentAt = nil
        announcing.backoff.succeeded()
        let sent = announcing.sent
        announcing.sent = []
        submit(sent)
    }

    mutating func beginFailed() {
        announcing.sentAt = nil
        announcing.backoff.failed(now, jitter: random.fraction())
        announcing.waiting = announcing.sent + announcing.waiting
        announcing.sent = []
    }

    /// The engine does not wait for a database that is silent.
    mutating func submitOverdue() {
        let isSilent = announcing.sentAt.map { now - $0 >= settings.beginPatience } ?? false
        submit(
            line.filter { lease in
                guard case .announced(let since) = jobs[lease]?.state else { return false }
                return isSilent || announcing.backoff.isFailing || now - since >= settings.beginPatience
            })
    }

    var announceDeadline: Instant? {
        let announced = jobs.values.compactMap { job -> Instant? in
            if case .announced(let since) = job.state { return since + settings.beginPatience }
            return nil
        }
        return (announced + [announcing.backoff.until].compactMap(\.self).filter { $0 > now }).min()
    }

    private mutating func submit(_ leases: [Lease]) {
        var submitted: [Lease] = []
        var left: [Lease] = []
        for lease in leases {
            guard let job = jobs[lease], case .announced = job.state else { continue }
            jobs[lease]?.state = .computing
            if job.queries.isEmpty { left.append(lease) }
            submitted.append(lease)
        }
        hand(submitted)
        // All views of these were finished before.
        for lease in left { finish(lease) }
    }

    /// Gives the engine what jobs ask now. As long as there may be more to ask about their images, they are kept here, and the
    /// engine keeps what it made of them.
    private mutating func hand(_ leases: [Lease]) {
        let asking = leases.compactMap { jobs[$0] }
        let submitted = asking.flatMap { job in job.queries.map { query in enqueue(query, of: job) } }
        if !submitted.isEmpty { emit(.submit(submitted)) }
        for job in asking where !job.mayAskOn {
            letGo(job.lease)
            handedOver(job.images.values)
        }
    }

    private mutating func enqueue(_ query: TaskQuery, of job: HeldJob) -> EngineQuery {
        lastQuery += 1
        let settings = query.settings
        queries[lastQuery] = HeldQuery(
            lease: job.lease, asked: query, rowCount: query.rowCount,
            mostTokens: query.rowCount * settings.maxTokens)
        jobs[job.lease]?.asked.insert(lastQuery)
        if job.mayAskOn { jobs[job.lease]?.holdsImages = true }
        return EngineQuery(
            id: lastQuery, images: query.images.compactMap { job.images[$0] }, prompt: query.prompt, settings: settings,
            options: query.options,
            // What asks on comes before its equals: the engine still knows its images, and a job that ends makes room.
            priority: 2 * job.claimed.priority - (query.stage > 1 ? 1 : 0),
            adapter: job.identity.adapterDigest == nil ? nil : job.identity.model,
            holder: job.mayAskOn ? job.lease.fence : nil)
    }

    /// The engine need not keep the images of a job that asks no more.
    mutating func letGo(_ lease: Lease) {
        guard jobs[lease]?.holdsImages == true else { return }
        jobs[lease]?.holdsImages = false
        emit(.letGo(lease.fence))
    }

    // MARK: Answers

    mutating func answered(_ answer: EngineAnswer) {
        guard let query = queries[answer.query], let job = jobs[query.lease] else { return }
        forget(answer.query)
        jobs[query.lease]?.asked.remove(answer.query)
        switch answer.result {
        case .success(let generations):
            resume(.engine)
            costs.add(answer.cost, of: job.claimed.spec.task, mostTokens: query.mostTokens)
            emit(.note(.answered(tokens: generations.reduce(0) { $0 + $1.tokens.count })))
            jobs[query.lease]?.took(generations, query.asked, cost: answer.cost)
            goOn(query.lease)
        case .failure(let failure) where failure.isEngineFault:
            holdUp(.engine, failure.message)
            release(
                query.lease,
                Release(.outage, reason: failure.message, code: failure.code, delay: .seconds(60)))
        case .failure(let failure):
            report(
                query.lease,
                .failed(Failure(code: failure.code, reason: failure.message, disposition: .permanent)))
        }
    }

    /// After an answer: waits for the others, asks on, or ends.
    private mutating func goOn(_ lease: Lease) {
        if jobs[lease]?.asked.isEmpty == true {
            let engine = engine
            jobs[lease]?.plan(engine)
            guard let job = jobs[lease], !job.queries.isEmpty else { return finish(lease) }
            engineRowCount += job.rowCount
            hand([lease])
        }
        keepFinishedViews(lease)
    }

    private mutating func finish(_ lease: Lease) {
        guard let job = jobs[lease] else { return }
        claiming.window = min(claiming.window + 1, settings.maxJobs)
        report(lease, job.outcome(engine))
    }

    /// The engine has this query no more.
    mutating func forget(_ query: Int) {
        guard let held = queries.removeValue(forKey: query) else { return }
        engineRowCount -= held.rowCount
    }

    /// Gives back jobs of which nothing is answered and nothing is being computed, if these queries wait.
    mutating func releaseUnbegun(waiting: Set<Int>) {
        guard phase != .working else { return }
        for job in jobsInOrder where job.state == .computing && !job.hasAnswers && job.asked.isSubset(of: waiting) {
            release(job.lease, shutdown)
        }
    }

    // MARK: Checkpoints

    private mutating func keepFinishedViews(_ lease: Lease) {
        let engine = engine
        guard phase == .working, let views = jobs[lease]?.takeFinishedViews(engine) else { return }
        keeping.waiting += views.map { ($0, lease) }
    }

    mutating func keepViews() {
        guard phase == .working, let worker else { return keeping.waiting = [] }
        guard keeping.sent == nil, keeping.backoff.isOver(now) else { return }
        keeping.waiting.removeAll { jobs[$0.lease]?.state != .computing }
        guard !keeping.waiting.isEmpty else { return }
        let first = keeping.waiting.removeFirst()
        keeping.sent = first
        emit(.checkpoint(first.view, first.lease, by: worker))
    }

    mutating func checkpointed(_ lease: Lease, holds: Bool) {
        keeping.sent = nil
        keeping.backoff.succeeded()
        if !holds { lose([lease]) }
    }

    mutating func checkpointFailed(_ problem: StoreProblem) {
        guard let sent = keeping.sent else { return }
        keeping.sent = nil
        keeping.backoff.failed(now, jitter: random.fraction())
        if problem.kind == .passing {
            keeping.waiting.insert(sent, at: 0)
        } else {
            emit(.note(.checkpointFailed(sent.lease.job, view: sent.view.view, problem.message)))
        }
    }
}
