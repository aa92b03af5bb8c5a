import CKernels

/// Instructions that the kernels are compiled for, those of x86 and then those of Arm, slowest first. Results have the same
/// bits by each.
public enum InstructionSet: String, Sendable, CaseIterable, CustomStringConvertible {
    /// C without vector instructions beyond the platform's own: SSE2, or NEON with fused multiply-add.
    case generic
    /// AVX2 and FMA; int8 by VPMADDWD.
    case avx2
    /// The same with int8 by VPMADDUBSW, for Zen 1 and Zen 2.
    case avx2Bytes = "avx2-bytes"
    /// The same with VPDPBUSD.
    case avxVNNI = "avx-vnni"
    /// AVX-512 F, BW, DQ and VL; int8 by VPMADDWD.
    case avx512
    /// The same with VPDPBUSD.
    case avx512VNNI = "avx512-vnni"
    /// The same with VDPBF16PS.
    case avx512BF16 = "avx512-bf16"
    /// The tiles of AMX, for int8 and bf16-amx; avx512-vnni for the rest.
    case amx
    /// NEON; int8 by SDOT.
    case neonDot = "neon-dotprod"
    /// The same with int8 by USMMLA.
    case neonI8MM = "neon-i8mm"

    /// The fastest one that this processor has and that has given the products of plain C in this process.
    public static var best: InstructionSet { InstructionSet(gloss_best_isa()) }
    /// All that this processor has.
    public static var present: [InstructionSet] { allCases.filter { gloss_has_isa($0.kernel) } }
    /// Those that this processor has and that would be faster than the best one, but give other products than plain C.
    public static var refused: [InstructionSet] {
        let bits = gloss_refused_isas()
        return allCases.filter { bits & 1 << $0.kernel.rawValue != 0 }
    }

    /// The name, as options and logs have it.
    public var description: String { rawValue }

    var kernel: gloss_isa {
        switch self {
        case .generic: GLOSS_GENERIC
        case .avx2: GLOSS_AVX2
        case .avx2Bytes: GLOSS_AVX2_BYTES
        case .avxVNNI: GLOSS_AVX_VNNI
        case .avx512: GLOSS_AVX512
        case .avx512VNNI: GLOSS_AVX512_VNNI
        case .avx512BF16: GLOSS_AVX512_BF16
        case .amx: GLOSS_AMX
        case .neonDot: GLOSS_NEON_DOT
        case .neonI8MM: GLOSS_NEON_I8MM
        }
    }

    init(_ kernel: gloss_isa) { self = Self.allCases.first { $0.kernel == kernel } ?? .generic }
}

extension Precision {
    /// Why it is a poor choice on a processor with these instructions; nil: it is none.
    public func drawback(on set: InstructionSet) -> String? {
        switch (self, set) {
        case (_, .generic):
            "this processor has none of the instructions that the kernels use (AVX2; on Arm dotprod): int8 is slower than f32, and on x86 everything is many times slower"
        case (.bf16, .amx):
            "this processor has AMX: precision bf16-amx is several times as fast as bf16, with other last bits; int8 uses it by itself"
        case (.bf16, .avx512BF16), (.bf16AMX, .amx), (.f32, _), (.int8, _): nil
        case (.bf16, _):
            "this processor has no fast bf16 instructions (\(set)): precision bf16 is no faster than f32; int8 is"
        case (.bf16AMX, _):
            "this processor has no AMX (\(set)): precision bf16-amx is slower than bf16; int8 is fast on most processors"
        }
    }
}
