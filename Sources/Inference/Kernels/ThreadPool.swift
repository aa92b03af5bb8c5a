import CKernels

/// Threads that compute together, the caller being one of them. They end with the pool.
final class ThreadPool: @unchecked Sendable {
    /// The caller included.
    let threadCount: Int
    private let pool: OpaquePointer

    /// - Parameter cpus: where its threads are kept, the calling ones included; empty: wherever the process may run.
    init(threadCount: Int, cpus: [Int] = []) {
        precondition(threadCount > 0)
        guard let pool = gloss_pool_create(Int64(threadCount), cpus.map(Int32.init), Int64(cpus.count)) else {
            preconditionFailure("no memory for a pool of threads")
        }
        self.threadCount = threadCount
        self.pool = pool
    }

    deinit { gloss_pool_destroy(pool) }

    /// Calls `body` with each of 0..<chunks once, on any of the threads and in any order, and returns when all are
    /// done. From inside a run, and while another thread has one, the caller computes alone.
    func run(chunks: Int, _ body: (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            withUnsafePointer(to: body) { context in
                gloss_pool_run(
                    pool, Int64(chunks), { $0!.assumingMemoryBound(to: ((Int) -> Void).self).pointee(Int($1)) },
                    UnsafeMutableRawPointer(mutating: context))
            }
        }
    }
}
