import Glibc

/// One end of a socket between two processes: whole messages, and never longer than until a deadline.
struct Pipe: Sendable {
    let descriptor: Int32

    /// Why nothing came or went.
    enum Failure: Error {
        /// The other side is gone.
        case closed
        case late
    }

    /// Two ends, each closed in programs that are started. Nil where there are no descriptors left.
    static func pair() -> (Pipe, Pipe)? {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            return nil
        }
        return (Pipe(descriptor: ends[0]), Pipe(descriptor: ends[1]))
    }

    func close() { _ = Glibc.close(descriptor) }

    func write(_ bytes: [UInt8], by deadline: ContinuousClock.Instant?) throws(Failure) {
        var done = 0
        while done < bytes.count {
            if let deadline { try wait(for: POLLOUT, by: deadline) }
            let count = bytes[done...].withUnsafeBytes { bytes in
                deadline == nil
                    ? Glibc.write(descriptor, bytes.baseAddress, bytes.count)
                    : send(
                        descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)
                    )
            }
            if count > 0 { done += count } else if ![EINTR, EAGAIN].contains(errno) { throw .closed }
        }
    }

    /// `count` bytes; there is room for no more than have come.
    func read(_ count: Int, by deadline: ContinuousClock.Instant?) throws(Failure) -> [UInt8] {
        var failure: Failure?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            do throws(Failure) {
                while done < count {
                    if let deadline { try wait(for: POLLIN, by: deadline) }
                    let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + done }, count - done)
                    if got > 0 { done += got } else if got == 0 || ![EINTR, EAGAIN].contains(errno) { throw .closed }
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private func wait(for event: Int32, by deadline: ContinuousClock.Instant) throws(Failure) {
        while true {
            let left = ContinuousClock.now.duration(to: deadline)
            guard left > .zero else { throw .late }
            var entry = pollfd(fd: descriptor, events: Int16(event), revents: 0)
            let milliseconds = Int32(clamping: Int(left.components.seconds) * 1000 + 1000)
            if poll(&entry, 1, milliseconds) > 0 { return }
        }
    }
}
