import Dispatch
import Glibc

/// Files under the directories that the policy names.
enum LocalFile {
    /// Reads a whole file, off the cooperative pool.
    ///
    /// Throws ``ImageError``: `pathNotAllowed`, `fileNotFound`, `tooLarge`, `emptyBody`, `localFailure`.
    static func read(_ url: FetchURL, policy: FetchPolicy) async throws(ImageError) -> FetchedBody {
        let result: Result<FetchedBody, ImageError> = await withCheckedContinuation { reply in
            DispatchQueue.global().async {
                reply.resume(returning: Result { () throws(ImageError) in try readNow(url, policy) })
            }
        }
        return try result.get()
    }

    private static func readNow(_ url: FetchURL, _ policy: FetchPolicy) throws(ImageError) -> FetchedBody {
        let clock = ContinuousClock()
        let start = clock.now
        // Judged before it is opened, because opening a device or a pipe can act, and once more when it is open,
        // because a link can change in between.
        try judge(resolved(url.path), policy)
        let file = try Descriptor(opening: url.path)
        try judge(resolved(file.link), policy)
        let bytes = try file.contents(atMost: policy.maxBytes)
        guard !bytes.isEmpty else { throw ImageError(.emptyBody, "the local file is empty") }
        return FetchedBody(
            bytes: bytes, finalURL: url.text, contentType: nil, remoteAddress: nil, duration: clock.now - start)
    }

    /// The path without symbolic links and dots.
    private static func resolved(_ path: String) throws(ImageError) -> String {
        guard !path.utf8.contains(0) else { throw ImageError(.invalidURL, "invalid file URL: it contains a NUL") }
        guard let real = realpath(path, nil) else { throw Descriptor.failure("found", errno) }
        defer { free(real) }
        return String(cString: real)
    }

    private static func judge(_ path: String, _ policy: FetchPolicy) throws(ImageError) {
        for root in policy.localRoots {
            guard let real = try? resolved(root) else { continue }
            if path.hasPrefix(real.hasSuffix("/") ? real : real + "/") { return }
        }
        throw ImageError(.pathNotAllowed, "the local file is not under an allowed directory")
    }
}

/// An open file.
private struct Descriptor: ~Copyable {
    private let number: Int32

    init(opening path: String) throws(ImageError) {
        number = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard number >= 0 else { throw Self.failure("opened", errno) }
    }

    deinit { close(number) }

    /// Where the kernel says what is open.
    var link: String { "/proc/self/fd/\(number)" }

    func contents(atMost limit: Int) throws(ImageError) -> [UInt8] {
        var status = stat()
        guard fstat(number, &status) == 0 else { throw Self.failure("read", errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ImageError(.fileNotFound, "not a regular file") }
        let tooLarge = ImageError(.tooLarge, "the local file has more than \(limit) bytes")
        guard status.st_size <= limit else { throw tooLarge }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(status.st_size) + 1)
        while true {
            let count = try append(to: &bytes)
            guard count > 0 else { return bytes }
            guard bytes.count <= limit else { throw tooLarge }
        }
    }

    private func append(to bytes: inout [UInt8]) throws(ImageError) -> Int {
        var result = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 20) { target, count in
            repeat { result = Glibc.read(number, target.baseAddress, 1 << 20) } while result < 0 && errno == EINTR
            count = max(result, 0)
        }
        guard result >= 0 else { throw Self.failure("read", errno) }
        bytes.append(contentsOf: chunk)
        return chunk.count
    }

    static func failure(_ verb: String, _ code: Int32) -> ImageError {
        let why = String(cString: strerror(code))
        let isMissing = [ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG, ENXIO, EISDIR].contains(code)
        return ImageError(isMissing ? .fileNotFound : .localFailure, "the local file cannot be \(verb): \(why)")
    }
}
