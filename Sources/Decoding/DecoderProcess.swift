import CSandbox
import Glibc
import Images

/// A child that decodes, one image after the other. Used by one thread at a time, which it blocks.
final class DecoderProcess: Sendable {
    let pid: pid_t
    private let pipe: Pipe

    /// Starts one. Throws ``ImageError`` (`localFailure`): no descriptors, no processes.
    ///
    /// - Parameters:
    ///   - executable: this program.
    ///   - memory: the most that it may take, bytes.
    init(executable: String, memory: Int) throws(ImageError) {
        guard let (mine, its) = Pipe.pair() else { throw Self.failure(errno) }
        defer { its.close() }
        let words = DecoderMain.arguments(memory: memory).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        let code = csandbox_spawn(executable, words, its.descriptor, &child)
        guard code == 0 else {
            mine.close()
            throw Self.failure(code)
        }
        pid = child
        pipe = mine
    }

    private static func failure(_ code: Int32) -> ImageError {
        ImageError(.localFailure, "no decoder can be started: \(String(cString: strerror(code)))")
    }

    /// Closes it in for good: what it does not survive, nobody waits for.
    deinit {
        pipe.close()
        kill(pid, SIGKILL)
        while waitpid(pid, nil, 0) < 0 && errno == EINTR {}
    }

    /// Whether it has not ended.
    var isAlive: Bool { ending() == nil }

    /// Hands a file over and asks for its header. An order must follow, unless the answer is an error.
    ///
    /// Throws why there will be no answer; then this decoder is good for nothing any more.
    ///
    /// - Parameter processorTime: seconds of a processor that this file may cost, until its pixels are there.
    func open(
        _ request: DecodeRequest, processorTime: Int, by deadline: ContinuousClock.Instant
    ) throws(Lost) -> Result<ImageHeader, ImageError> {
        // Where the system does not let us, the clock alone has to do.
        _ = csandbox_limit_processor_time(pid, UInt32(clamping: processorTime))
        return try exchange([request.head, request.file], by: deadline) { () throws(Pipe.Failure) in
            try DecodeReply.readHeader(from: pipe, limits: request.limits, by: deadline)
        }
    }

    /// Asks for the pixels of the file. Throws as `open` does.
    func decode(
        _ order: DecodeOrder, by deadline: ContinuousClock.Instant
    ) throws(Lost) -> Result<[UInt8], ImageError> {
        try exchange([order.bytes], by: deadline) { () throws(Pipe.Failure) in
            try DecodeReply.readPixels(from: pipe, order, by: deadline)
        }
    }

    /// The pixels of the file are not wanted. Throws as `open` does.
    func dismiss(by deadline: ContinuousClock.Instant) throws(Lost) {
        do { try pipe.write(DecodeOrder.nothing.bytes, by: deadline) } catch { throw loss(error) }
    }

    /// Seconds of a processor that it has used so far.
    var processorTime: Double { Double(csandbox_processor_time(pid)) / 1e9 }

    private func exchange<Content>(
        _ messages: [[UInt8]], by deadline: ContinuousClock.Instant,
        _ read: () throws(Pipe.Failure) -> Result<Content, ImageError>?
    ) throws(Lost) -> Result<Content, ImageError> {
        let reply: Result<Content, ImageError>?
        do {
            for message in messages { try pipe.write(message, by: deadline) }
            reply = try read()
        } catch {
            throw loss(error)
        }
        guard let reply else { throw .senseless }
        return reply
    }

    private func loss(_ failure: Pipe.Failure) -> Lost {
        switch failure {
        case .late: .late
        case .closed: ended(within: .seconds(1)) ?? .senseless
        }
    }

    /// How it ended. One that a file took over may close its socket and stay: nobody waits for it.
    private func ended(within patience: Duration) -> Lost? {
        let deadline = ContinuousClock.now + patience
        while true {
            if let ending = ending() { return ending }
            guard ContinuousClock.now < deadline else { return nil }
            usleep(1000)
        }
    }

    /// Why an image was not decoded.
    enum Lost: Error, Equatable {
        case late, senseless
        case killed(signal: Int32)
        /// 0: it was out of memory. Otherwise it could not close itself in, for this reason.
        case exited(status: Int32)
    }

    /// How it ended, and nil if it did not. It stays to be waited for, so that its number is nobody else's.
    private func ending() -> Lost? {
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT | WNOHANG) < 0 && errno == EINTR {}
        guard info.si_signo == SIGCHLD else { return nil }
        let status = info._sifields._sigchld.si_status
        return info.si_code == Int32(CLD_EXITED) ? .exited(status: status) : .killed(signal: status)
    }
}
