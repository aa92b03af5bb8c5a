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
    var isAlive: Bool { ending(flags: WNOHANG) == nil }

    /// Decodes one image.
    ///
    /// Throws why there will be no answer; then this decoder is good for nothing any more.
    func decode(_ request: DecodeRequest, by deadline: ContinuousClock.Instant) throws(Lost) -> Result<
        [UInt8], ImageError
    > {
        do {
            try pipe.write(request.head, by: deadline)
            try pipe.write(request.file, by: deadline)
            guard let reply = try DecodeReply.read(from: pipe, size: request.size, by: deadline) else {
                throw Lost.senseless
            }
            return reply
        } catch {
            switch error {
            case let lost as Lost: throw lost
            case Pipe.Failure.late: throw .late
            default: throw ending(flags: 0) ?? .senseless
            }
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
    private func ending(flags: Int32) -> Lost? {
        var info = siginfo_t()
        while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT | flags) < 0 && errno == EINTR {}
        guard info.si_signo == SIGCHLD else { return nil }
        let status = info._sifields._sigchld.si_status
        return info.si_code == Int32(CLD_EXITED) ? .exited(status: status) : .killed(signal: status)
    }
}
