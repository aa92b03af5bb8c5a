import CCurl
import Synchronization

/// The fetch thread: takes requests from the mailbox, admits them, and drives curl. Blocks its own thread only.
final class FetchLoop {
    private let policy: FetchPolicy
    private let mailbox: Mailbox
    private let multi: MultiHandle
    private let clock = ContinuousClock()
    private var admission: Admission<UInt64, ContinuousClock.Instant>
    private var waiting: [UInt64: Request] = [:]
    private var running: [UInt64: Transfer] = [:]
    private var runningIDs: [UnsafeMutableRawPointer: UInt64] = [:]
    private var lastSeen = ContinuousClock.now

    private init(policy: FetchPolicy, mailbox: Mailbox) throws(ImageError) {
        self.policy = policy
        self.mailbox = mailbox
        multi = try MultiHandle()
        admission = Admission(
            maxConcurrent: policy.maxConcurrent, perHostConcurrency: policy.perHostConcurrency,
            perHostDelay: policy.perHostDelay)
        mailbox.attach(multi)
    }

    /// The thread's body: returns once the mailbox is closed and every request has its answer.
    static func run(policy: FetchPolicy, mailbox: Mailbox) {
        do {
            try FetchLoop(policy: policy, mailbox: mailbox).run()
        } catch {
            mailbox.close()
            for case .submit(let request) in mailbox.take().commands {
                request.answer(.failure(error))
            }
        }
    }

    private func run() {
        while true {
            mailbox.turns.add(1, ordering: .relaxed)
            let (commands, isClosed) = mailbox.take()
            commands.forEach(obey)
            if isClosed { break }
            noticeStandstill()
            admit()
            multi.perform()
            noticeStandstill()
            if !settle() { multi.poll(milliseconds: patience) }
        }
        (Array(waiting.keys) + Array(running.keys)).forEach(cancel)
        mailbox.detach()  // here, while the handle surely lives
    }

    /// A round takes a second. When one takes much longer, it was we who stood still (stopped, suspended, starved), and no host is to
    /// blame for what is late then.
    private func noticeStandstill() {
        let pause = clock.now - lastSeen
        lastSeen = clock.now
        guard pause > Self.standstill else { return }
        for transfer in running.values { transfer.standstill = max(transfer.standstill ?? .zero, pause) }
    }

    private static let standstill = Duration.seconds(3)

    private func obey(_ command: Mailbox.Command) {
        switch command {
        case .submit(let request): enqueue(request)
        case .cancel(let id): cancel(id)
        case .share(let count): admission.sharers = count
        }
    }

    private func enqueue(_ request: Request) {
        waiting[request.id] = request
        admission.enqueue(request.id, host: request.url.host)
    }

    private func admit() {
        while let id = admission.next(now: clock.now) {
            guard let request = waiting.removeValue(forKey: id) else {
                preconditionFailure("admitted an unknown request")
            }
            do {
                try start(request)
            } catch {
                finish(request, .failure(error))
            }
        }
    }

    private func start(_ request: Request) throws(ImageError) {
        let transfer = try Transfer(request, policy: policy)
        multi.add(transfer.easy)
        running[request.id] = transfer
        runningIDs[transfer.easy.raw] = request.id
    }

    /// Deals with the transfers that have ended; false when there are none.
    private func settle() -> Bool {
        var didSettle = false
        while let (easy, code) = multi.nextFinished() {
            didSettle = true
            guard let transfer = runningIDs[easy].flatMap({ running[$0] }) else { continue }
            let outcome = transfer.conclude(code)
            stop(transfer)
            switch outcome {
            case .fetched(let body): finish(transfer.request, .success(body))
            case .failed(let error): finish(transfer.request, .failure(error))
            case .redirect(let target, let duration): follow(transfer.request, to: target, after: duration)
            }
        }
        return didSettle
    }

    /// Judges a redirect's target like a first request, and puts it in its own host's line.
    private func follow(_ request: Request, to target: String, after duration: Duration) {
        admission.finish(host: request.url.host, now: clock.now)
        do {
            enqueue(try request.redirected(to: target, after: duration, policy: policy))
        } catch {
            request.answer(.failure(error))
        }
    }

    private func stop(_ transfer: Transfer) {
        multi.remove(transfer.easy)
        runningIDs[transfer.easy.raw] = nil
        running[transfer.request.id] = nil
    }

    private func finish(_ request: Request, _ result: Result<FetchedBody, ImageError>) {
        admission.finish(host: request.url.host, now: clock.now)
        request.answer(result)
    }

    /// Unknown ids are those that have had their answer.
    private func cancel(_ id: UInt64) {
        let error = ImageError(.cancelled, "the fetch was cancelled")
        if let request = waiting.removeValue(forKey: id) {
            let wasWaiting = admission.withdraw(id, host: request.url.host, now: clock.now)
            precondition(wasWaiting, "a waiting request was in no line")
            request.answer(.failure(error))
        } else if let transfer = running[id] {
            stop(transfer)
            finish(transfer.request, .failure(error))
        }
    }

    /// How long nothing may happen: until a host's delay ends, and a second at most, so that a standstill shows.
    private var patience: Int32 {
        guard let start = admission.nextStart() else { return 1000 }
        return Int32(min(max(0, clock.now.duration(to: start).milliseconds + 1), 1000))
    }
}

extension Request {
    /// The rest of the fetch, at the redirect's target. Throws what `FetchURL` throws, `tooManyRedirects`, `timeout`.
    func redirected(to target: String, after duration: Duration, policy: FetchPolicy) throws(ImageError) -> Request {
        var next = self
        next.redirectCount += 1
        next.spent += duration
        guard next.redirectCount <= policy.maxRedirects else {
            throw ImageError(.tooManyRedirects, "\(url.name) redirects again after \(policy.maxRedirects) redirects")
        }
        guard next.spent < policy.totalTimeout else {
            throw ImageError(.timeout, "\(url.name) took longer than \(policy.totalTimeout)")
        }
        next.url = try FetchURL(target, policy: policy, redirectedFrom: url.name)
        next.origin = url.name
        return next
    }
}
