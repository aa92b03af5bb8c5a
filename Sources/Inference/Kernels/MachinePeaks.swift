import CKernels

/// What this machine can do at best, all threads together: the limits that the engine is held against.
///
/// Medians of several runs. Arithmetic is register to register; memory is read once, from a buffer far larger than any
/// cache.
public struct MachinePeaks: Sendable {
    /// Threads that it was measured with.
    public let threadCount: Int
    /// f32 fused multiply-adds by 512 bits, operations/s (a multiply-add is two); nil: this CPU has no AVX-512.
    public let f32AVX512: Double?
    /// The same by 256 bits.
    public let f32AVX2: Double?
    /// f32 by 128 bits: fused on arm64, a product and a sum on x86.
    public let f32Generic: Double
    /// bf16 products summed in f32 (VDPBF16PS), operations/s.
    public let bf16: Double?
    /// 8 bit products summed in 32 bits (VPDPBUSD), by 512 bits and by 256, operations/s.
    public let int8, int8AVXVNNI: Double?
    /// 16 bit products summed in 32 bits (VPMADDWD, VPADDD), by 512 bits and by 256: what computes int8 without VPDPBUSD.
    public let int8AVX512, int8AVX2: Double?
    /// 8 bit products summed exactly by VPMADDUBSW, operations/s: what computes int8 on Zen 1 and Zen 2.
    public let int8AVX2Bytes: Double?
    /// 8 bit products summed in 32 bits by Arm's SDOT and USMMLA, operations/s.
    public let int8NEONDot, int8NEONI8MM: Double?
    /// bf16 and 8 bit products by AMX's tiles (TDPBF16PS, TDPBSUD), operations/s.
    public let bf16AMX, int8AMX: Double?
    /// Memory read, bytes/s; nil: there is no memory to measure with.
    public let memory: Double?
    /// How it was read fastest.
    public let reading: MemoryReading

    /// f32 by the widest registers that there are, operations/s.
    public var f32: Double { f32AVX512 ?? f32AVX2 ?? f32Generic }

    /// The fastest that `precision` can be with the instructions of `set`, operations/s. Where it has none of its own, it
    /// is computed as f32.
    public func arithmetic(_ precision: Precision, _ set: InstructionSet) -> Double {
        let f32 =
            switch set {
            case .generic, .neonDot, .neonI8MM: f32Generic
            case .avx2, .avx2Bytes, .avxVNNI: f32AVX2
            case .avx512, .avx512VNNI, .avx512BF16, .amx: f32AVX512
            }
        let own: Double? =
            switch (precision, set) {
            case (.bf16, .avx512BF16): bf16
            case (.bf16AMX, .amx): bf16AMX
            case (.int8, .amx): int8AMX
            case (.int8, .avx512VNNI), (.int8, .avx512BF16): int8
            case (.int8, .avxVNNI): int8AVXVNNI
            case (.int8, .avx512): int8AVX512
            case (.int8, .avx2): int8AVX2
            case (.int8, .avx2Bytes): int8AVX2Bytes
            case (.int8, .neonDot): int8NEONDot
            case (.int8, .neonI8MM): int8NEONI8MM
            default: nil
            }
        return own ?? f32 ?? f32Generic
    }

    /// Measures for some `seconds`, on a machine that has nothing else to do.
    public static func measure(threads: Int = Processors.threadCount(), seconds: Double = 6) -> MachinePeaks {
        let bench = PeakBench(pool: ThreadPool(threadCount: threads), seconds: seconds / 14)
        let memory = bench.memory()
        return MachinePeaks(
            threadCount: threads, f32AVX512: bench.operations(GLOSS_PEAK_F32_AVX512),
            f32AVX2: bench.operations(GLOSS_PEAK_F32_AVX2), f32Generic: bench.operations(GLOSS_PEAK_F32_GENERIC) ?? 0,
            bf16: bench.operations(GLOSS_PEAK_BF16), int8: bench.operations(GLOSS_PEAK_INT8),
            int8AVXVNNI: bench.operations(GLOSS_PEAK_INT8_AVX_VNNI),
            int8AVX512: bench.operations(GLOSS_PEAK_INT8_AVX512), int8AVX2: bench.operations(GLOSS_PEAK_INT8_AVX2),
            int8AVX2Bytes: bench.operations(GLOSS_PEAK_INT8_AVX2_BYTES),
            int8NEONDot: bench.operations(GLOSS_PEAK_INT8_NEON_DOT),
            int8NEONI8MM: bench.operations(GLOSS_PEAK_INT8_NEON_I8MM),
            bf16AMX: bench.operations(GLOSS_PEAK_BF16_AMX), int8AMX: bench.operations(GLOSS_PEAK_INT8_AMX),
            memory: memory?.bytesPerSecond, reading: memory?.reading ?? MemoryReading(streams: 1, prefetchDistance: 0))
    }
}

/// A way to read memory.
public struct MemoryReading: Sendable, Equatable {
    /// Places that a thread reads from in turn.
    public let streams: Int
    /// Bytes that it prefetches ahead in each; 0: none.
    public let prefetchDistance: Int
}

private struct PeakBench {
    let pool: ThreadPool
    /// To spend on one kind of peak.
    let seconds: Double

    /// So many that threads end together, each long against its hand-over.
    private var chunks: Int { pool.threadCount * 32 }

    func operations(_ peak: gloss_peak) -> Double? {
        let each = gloss_peak_operations(peak)
        guard each > 0 else { return nil }
        let rounds: Int64 = 100_000  // a chunk takes some 0.7 ms
        let run = { pool.run(chunks: chunks) { _ in _ = gloss_peak_run(peak, rounds) } }
        return Double(Int64(chunks) * each * rounds) / median(seconds: seconds, run)
    }

    /// The fastest of several ways, measured again.
    func memory() -> (bytesPerSecond: Double, reading: MemoryReading)? {
        let bytes = 1 << 30
        guard let memory = gloss_peak_memory(Int64(bytes)) else { return nil }
        defer { gloss_peak_release(memory, Int64(bytes)) }
        nonisolated(unsafe) let base = memory
        let part = 16 << 20
        let read = { (way: MemoryReading, bytes: Int) in
            pool.run(chunks: bytes / part) {
                _ = gloss_peak_read(
                    base + $0 * part, Int64(part), Int64(way.streams), Int64(way.prefetchDistance))
            }
        }
        let ways = [1, 2, 4, 8].flatMap { streams in
            [0, 256, 512, 1024, 2048, 4096].map { MemoryReading(streams: streams, prefetchDistance: $0) }
        }
        let times = ways.map { way in median(seconds: 0) { read(way, bytes / 8) } }
        let best = ways[times.indices.min { times[$0] < times[$1] } ?? 0]
        return (Double(bytes) / median(seconds: seconds) { read(best, bytes) }, best)
    }

    /// Seconds of one of at least three runs, after one to warm up.
    private func median(seconds limit: Double, _ run: () -> Void) -> Double {
        run()
        let start = ContinuousClock.now
        var times: [Double] = []
        while times.count < 3 || (ContinuousClock.now - start) / .seconds(1) < limit {
            times.append(ContinuousClock().measure(run) / .seconds(1))
        }
        return times.sorted()[times.count / 2]
    }
}
