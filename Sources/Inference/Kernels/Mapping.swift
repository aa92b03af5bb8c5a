import Foundation

/// A file mapped into memory, read-only: its pages are shared by all processes that map it.
///
/// Sendable unchecked: nobody writes.
final class Mapping: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer

    init(_ url: URL) throws(InferenceError) {
        func fail() -> InferenceError {
            InferenceError(.invalidModel, "\(url.path): \(String(cString: strerror(errno)))")
        }
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fail() }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw fail() }
        let count = Int(status.st_size)
        guard count > 0 else { throw InferenceError(.invalidModel, "\(url.path): the file is empty") }
        guard let base = mmap(nil, count, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0), base != MAP_FAILED
        else {
            throw fail()
        }
        bytes = UnsafeRawBufferPointer(start: base, count: count)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count) }
}
