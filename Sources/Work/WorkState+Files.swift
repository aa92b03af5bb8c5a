import Annotation
import Queue

/// The files in which images are. One that several held jobs want is fetched once: what comes of the fetch is for all of them.
extension WorkState {
    /// A file from the moment that an image wants it.
    struct HeldFile {
        enum State: Hashable {
            /// It waits for its origin's turn.
            case queued
            case fetching
            case here(FetchedFile)
        }

        let url: String
        /// That of the URL; empty for a local file or a `data:` URL.
        let origin: String
        var state = State.queued
        /// Bytes reserved for it, however many want it.
        var byteCount = 0
        /// The images that want it, until they are decoded. A job that is not let in yet may want it, too.
        var images: [ImageID]

        /// What is known of it when it is here.
        var fetched: FetchedFile? {
            if case .here(let fetched) = state { fetched } else { nil }
        }
    }

    // MARK: Decisions

    mutating func startFetches() {
        guard phase == .working else { return }
        let bytes = settings.maxFileBytes
        while true {
            // The last quarter of the room is for origins of which nothing is under way, like the last quarter of the places.
            let room = budget.files
            var isFull = false
            let hasRoom = { isFirst in
                let fits = room.fits(bytes) && (isFirst || room.used + bytes <= room.limit - room.limit / 4)
                if !fits { isFull = true }
                return fits
            }
            if let id = origins.next(now, hasRoom: hasRoom), let file = files[id] {
                files[id]?.state = .fetching
                resize(id, bytes)
                emit(.fetch(id, url: file.url))
            } else if isFull, let idle = idleFiles.first(where: { files[$0]?.fetched != nil }) {
                drop(idle)
            } else {
                return
            }
        }
    }

    /// Gives up files that no held job wants. Those of jobs that are not let in yet are kept as long as there is room.
    mutating func giveUpFiles() {
        for id in idleFiles {
            guard let file = files[id] else { continue }
            if phase == .working, jobs.values.contains(where: { $0.state == .waiting && $0.wants(file.url) }) {
                continue
            }
            switch file.state {
            case .queued:
                origins.withdraw(id, file.origin)
                remove(id)
            case .fetching:
                // It keeps its room until it has ended.
                fileOf[file.url] = nil
                idleFiles.removeAll { $0 == id }
                emit(.cancelFetch(id))
            case .here: drop(id)
            }
        }
    }

    // MARK: Who wants it

    /// The file of a URL, which an image wants from now on: that one which is here or on its way, or a new one.
    mutating func file(of url: String, for image: ImageID) -> FileID {
        if let known = fileOf[url] {
            files[known]?.images.append(image)
            idleFiles.removeAll { $0 == known }
            return known
        }
        lastFile += 1
        let id = FileID(lastFile)
        let origin = originOf(url) ?? ""
        files[id] = HeldFile(url: url, origin: origin, images: [image])
        fileOf[url] = id
        origins.enqueue(id, origin, now)
        return id
    }

    /// An image wants its file no more.
    mutating func leaveFile(_ image: ImageID) {
        guard let id = images[image]?.file, let index = files[id]?.images.firstIndex(of: image) else { return }
        files[id]?.images.remove(at: index)
        if files[id]?.images.isEmpty == true { idleFiles.append(id) }
    }

    private mutating func drop(_ id: FileID) {
        emit(.discardFile(id))
        remove(id)
    }

    private mutating func remove(_ id: FileID) {
        guard let file = files.removeValue(forKey: id) else { return }
        if fileOf[file.url] == id { fileOf[file.url] = nil }
        idleFiles.removeAll { $0 == id }
        budget.files.giveBack(file.byteCount)
    }

    private mutating func resize(_ id: FileID, _ byteCount: Int) {
        guard let file = files[id] else { return }
        budget.files.giveBack(file.byteCount)
        budget.files.take(byteCount)
        files[id]?.byteCount = byteCount
    }

    // MARK: Events

    mutating func sized(_ id: FileID, _ byteCount: Int) {
        guard files[id]?.state == .fetching else { return }
        resize(id, min(max(byteCount, 0), settings.maxFileBytes))
    }

    mutating func fetched(_ id: FileID, _ fetched: FetchedFile) {
        guard let file = files[id], file.state == .fetching else { return }
        origins.ended(id, file.origin, seconds: fetched.seconds, now)
        files[id]?.state = .here(fetched)
        resize(id, fetched.byteCount)
        // It was given up, and came all the same.
        if fileOf[file.url] != id { drop(id) }
        if let origin = fetched.origin {
            for parked in origins.succeeded(origin, via: file.origin, url: file.url, now) { emit(.allow(parked)) }
            networkWorks(origin)
        }
        for image in files[id]?.images ?? [] { arrived(image, fetched) }
    }

    mutating func failed(_ id: FileID, _ failure: ImageFailure) {
        guard let file = files[id], file.state == .fetching else { return }
        origins.ended(id, file.origin, seconds: nil, now)
        remove(id)
        var leases: [Lease] = []
        for case let lease? in file.images.map({ images[$0]?.lease }) where !leases.contains(lease) {
            leases.append(lease)
        }
        if !leases.isEmpty { judge(leases, via: file.origin, url: file.url, failure) }
    }
}
