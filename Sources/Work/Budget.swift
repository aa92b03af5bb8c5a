/// A limit and what is used of it. What alone is larger than the limit fits when nothing else is there.
struct Ration {
    let limit: Int
    private(set) var used = 0

    init(limit: Int) { self.limit = limit }

    func fits(_ amount: Int) -> Bool { used == 0 || used + amount <= limit }

    mutating func take(_ amount: Int) { used += amount }

    mutating func giveBack(_ amount: Int) {
        used -= amount
        precondition(used >= 0, "more was given back than taken")
    }
}

/// What a daemon's images take, from the first byte of a fetch to the job's report.
struct Budget {
    /// Bytes of files: reserved when a fetch begins, given back when the file is decoded.
    var files: Ration
    /// Bytes of pixels: reserved for all images of a job before the first is fetched, given back when the job leaves. A job that had only
    /// a part of its images could wait for ever for room that others like it hold.
    var pixels: Ration
    /// Bytes that decoding takes beside the file and the pixels.
    var decoding = 0
    /// Bytes that this process may still take, and when that was found out.
    private(set) var memory: (free: Int, at: Instant)?

    init(_ settings: WorkSettings) {
        files = Ration(limit: settings.fileBytes)
        pixels = Ration(limit: settings.pixelBytes)
    }

    mutating func measured(free: Int, at now: Instant) { memory = (free, now) }

    /// Free bytes, if they were measured within the last second.
    func freeMemory(_ now: Instant) -> Int? {
        memory.flatMap { now - $0.at < .seconds(1) ? $0.free : nil }
    }
}
