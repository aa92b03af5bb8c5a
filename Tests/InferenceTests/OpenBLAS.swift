import Foundation

/// OpenBLAS, where scripts/bootstrap has installed it: another implementation of f32 products. Gloss itself does not use it.
struct OpenBLAS: Sendable {
    private typealias SGEMM =
        @convention(c) (
            _ order: Int32, _ transposeA: Int32, _ transposeB: Int32, _ m: Int32, _ n: Int32, _ k: Int32,
            _ alpha: Float,
            _ a: UnsafePointer<Float>, _ lda: Int32, _ b: UnsafePointer<Float>, _ ldb: Int32, _ beta: Float,
            _ c: UnsafeMutablePointer<Float>, _ ldc: Int32
        ) -> Void
    private let sgemm: SGEMM

    /// Nil: it is not installed.
    static let installed = OpenBLAS()

    private init?() {
        guard let library = dlopen("libopenblas.so.0", RTLD_NOW), let found = dlsym(library, "cblas_sgemm"),
            let setThreads = dlsym(library, "openblas_set_num_threads")
        else { return nil }
        // Its own threads would spin beside those of the other tests.
        unsafeBitCast(setThreads, to: (@convention(c) (Int32) -> Void).self)(1)
        sgemm = unsafeBitCast(found, to: SGEMM.self)
    }

    /// x · Wᵀ of x [m, k] and W [n, k], row by row; or x · W of W [k, n].
    func product(_ x: [Float], _ w: [Float], m: Int, n: Int, k: Int, isTransposed: Bool = true) -> [Float] {
        precondition(x.count == m * k && w.count == n * k)
        let (rowMajor, plain, transposed) = (Int32(101), Int32(111), Int32(112))
        return [Float](unsafeUninitializedCapacity: m * n) { y, initialized in
            sgemm(
                rowMajor, plain, isTransposed ? transposed : plain, Int32(m), Int32(n), Int32(k), 1, x, Int32(k), w,
                Int32(isTransposed ? k : n), 0, y.baseAddress!, Int32(n))
            initialized = m * n
        }
    }
}
