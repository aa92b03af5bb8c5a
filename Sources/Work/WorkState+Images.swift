import Annotation
import Queue

/// From a claimed job to its images: which are let in, in what order they are decoded, and what they take.
extension WorkState {
    // MARK: Decisions

    /// Lets jobs in, in order, as long as there is room for all images of each. One whose origins have no place now lets the others pass.
    mutating func admitJobs() {
        guard phase == .working else { return }
        for lease in line {
            guard let job = jobs[lease], job.state == .waiting, !isBlocked(job) else { continue }
            let bytes = job.imageIndices.count * settings.imageBytes
            guard bytes == 0 || budget.pixels.fits(bytes) else { return }
            admit(job)
        }
    }

    /// Whether no origin of a job has a place for one more file, and the job needs one that is neither here nor on its way.
    func isBlocked(_ job: HeldJob) -> Bool {
        !job.origins.isEmpty && job.origins.allSatisfy { origins.spareCount($0, for: job.urls, now) == 0 }
            && job.urls.contains { fileOf[$0] == nil }
    }

    private mutating func admit(_ job: HeldJob) {
        jobs[job.lease]?.state = job.imageIndices.isEmpty ? .ready : .fetching
        jobs[job.lease]?.movedAt = now
        for index in job.imageIndices {
            lastImage += 1
            let id = ImageID(lastImage)
            let file = file(of: job.claimed.spec.imageURLs[index], for: id)
            images[id] = HeldImage(lease: job.lease, index: index, file: file, pixelBytes: settings.imageBytes)
            budget.pixels.take(settings.imageBytes)
            jobs[job.lease]?.images[index] = id
            if let fetched = files[file]?.fetched { arrived(id, fetched) }
        }
    }

    /// Hands files to the decoders in the order of their jobs, as far as there is memory.
    mutating func startDecoders() {
        guard !decodable.isEmpty else { return }
        // What is measured waits for memory in order: small images must not keep a large one waiting for ever.
        var hasMemory = true
        for id in decodableInOrder {
            guard let image = images[id], let job = jobs[image.lease] else { continue }
            if image.state == .measured {
                if hasMemory { hasMemory = decodeIfThereIsMemory(id, image.decodeBytes) }
            } else if decoderCount < settings.decoders {
                images[id]?.state = .measuring
                decoderCount += 1
                let spec = job.claimed.spec
                emit(.decode(id, of: image.file, background: spec.background, drawnBox: spec.drawnBox))
            }
        }
    }

    private mutating func decodeIfThereIsMemory(_ id: ImageID, _ bytes: Int) -> Bool {
        guard let free = budget.freeMemory(now) else {
            measureMemory()
            return false
        }
        if budget.decoding + bytes <= free {
            images[id]?.state = .decoding
            budget.decoding += bytes
            emit(.proceed(id))
            return true
        }
        // Memory that the system can't give would be the end of the daemon.
        if budget.decoding == 0 {
            let reason = "decoding takes up to \(bytes >> 20) MB of memory, and \(free >> 20) MB are free"
            let failure = ImageFailure(code: "out_of_memory", message: reason, blame: .machine(wantedBytes: bytes))
            if let lease = images[id]?.lease { judge([lease], failure) }
        }
        return false
    }

    private var decodableInOrder: [ImageID] {
        decodable.filter { images[$0]?.state == .fetched || images[$0]?.state == .measured }
            .compactMap { id in images[id].flatMap { jobs[$0.lease] }.map { (id, $0) } }
            .sorted { $0.1.lease == $1.1.lease ? $0.0 < $1.0 : HeldJob.comesFirst($0.1, $1.1) }.map(\.0)
    }

    // MARK: Events

    /// The file of an image is here.
    mutating func arrived(_ id: ImageID, _ fetched: FetchedFile) {
        guard let image = images[id] else { return }
        images[id]?.state = .fetched
        decodable.append(id)
        jobs[image.lease]?.fetched(fetched)
        jobs[image.lease]?.movedAt = now
    }

    mutating func measured(_ id: ImageID, _ decodeBytes: Int) {
        guard let image = images[id], image.state == .measuring else { return }
        images[id]?.state = .measured
        images[id]?.decodeBytes = decodeBytes
        if image.isAbandoned { refuse(id) }
    }

    mutating func decoded(_ id: ImageID, _ decoded: DecodedImage) {
        guard let image = images[id], image.state == .decoding else { return }
        endDecoding(id)
        images[id]?.state = .decoded
        leaveFile(id)
        resume(.machine)
        budget.pixels.giveBack(image.pixelBytes)
        budget.pixels.take(decoded.byteCount)
        images[id]?.pixelBytes = decoded.byteCount
        if image.isAbandoned { return discard(id) }
        if jobs[image.lease]?.contradicts(decoded, index: image.index) == true { return startOver(image.lease) }
        jobs[image.lease]?.took(decoded, index: image.index)
        jobs[image.lease]?.movedAt = now
        if let job = jobs[image.lease], job.state == .fetching, job.hasAllImages { jobs[image.lease]?.state = .ready }
    }

    /// Begins a job anew, and forgets what earlier attempts finished: they saw other images than are there now.
    private mutating func startOver(_ lease: Lease) {
        guard let job = jobs[lease] else { return }
        for image in job.images.values.sorted() { abandon(image) }
        jobs[lease] = HeldJob(job.claimed.keepingViews { _ in false }, engine: engine, originOf: originOf, now: now)
    }

    mutating func failed(_ id: ImageID, _ failure: ImageFailure) {
        guard let image = images[id] else { return }
        switch image.state {
        case .measuring, .measured, .decoding, .refused: endDecoding(id)
        case .waiting, .fetched, .decoded, .submitted: return
        }
        if image.isAbandoned { return discard(id) }
        if failure.blame == .killedDecoder, image.killedDecoderCount == 0 {
            // Another decoder may have better luck; killing two is the image's doing.
            images[id]?.killedDecoderCount = 1
            images[id]?.state = .fetched
            return decodable.append(id)
        }
        images[id]?.state = .decoded
        judge([image.lease], failure)
    }

    private mutating func endDecoding(_ id: ImageID) {
        decoderCount -= 1
        if images[id]?.state == .decoding { budget.decoding -= images[id]?.decodeBytes ?? 0 }
        decodable.removeAll { $0 == id }
    }

    // MARK: Room

    /// Gives up an image. A decoder that is at work for it ends by itself, and the image keeps its room until then.
    mutating func abandon(_ id: ImageID) {
        guard let image = images[id], !image.isAbandoned else { return }
        images[id]?.isAbandoned = true
        switch image.state {
        case .waiting, .fetched, .submitted: forget(id)
        case .measured: refuse(id)
        case .measuring, .decoding, .refused: break
        case .decoded: discard(id)
        }
    }

    private mutating func refuse(_ id: ImageID) {
        images[id]?.state = .refused
        emit(.refuse(id))
    }

    private mutating func discard(_ id: ImageID) {
        emit(.discard(id))
        forget(id)
    }

    private mutating func forget(_ id: ImageID) {
        leaveFile(id)
        guard let image = images.removeValue(forKey: id) else { return }
        decodable.removeAll { $0 == id }
        budget.pixels.giveBack(image.pixelBytes)
    }

    /// The engine has these images: only their room is still kept.
    mutating func handedOver(_ ids: some Sequence<ImageID>) {
        for id in ids.sorted() {
            images[id]?.state = .submitted
            emit(.discard(id))
        }
    }

    // MARK: Memory

    mutating func measureMemory() {
        guard !isMeasuringMemory else { return }
        isMeasuringMemory = true
        emit(.measureMemory)
    }

    mutating func tookMemory(_ free: Int) {
        isMeasuringMemory = false
        budget.measured(free: free, at: now)
        if let wanted = holdups[.memory]?.wantedBytes, free >= wanted { resume(.memory) }
    }

    /// Looks again while there was not enough memory.
    mutating func watchMemory() {
        if holdups[.memory] != nil, budget.freeMemory(now) == nil { measureMemory() }
    }

    /// Whether there is memory for one more job.
    mutating func hasMemory() -> Bool {
        guard let free = budget.freeMemory(now) else {
            measureMemory()
            return false
        }
        guard free < settings.leastMemory else { return true }
        holdUp(.memory, "only \(free >> 20) MB of memory are free", wantedBytes: settings.leastMemory)
        return false
    }
}
