import CKernels

/// Which instructions of a processor the kernels use. Results do not depend on it. Each set has all that stand before it.
public enum InstructionSet: String, Sendable, CaseIterable {
    /// Every processor's.
    case generic
    /// AVX2 and FMA.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512
    /// With BF16 and VNNI.
    case avx512Dot = "avx512-dot"
    /// With AMX.
    case amx

    /// The best that this processor has: what is used unless another one is asked for.
    public static var best: InstructionSet { allCases[Int(gloss_best_isa().rawValue)] }

    /// Those that this processor has.
    public static var available: [InstructionSet] { Array(allCases.prefix(through: Int(gloss_best_isa().rawValue))) }

    var isa: gloss_isa { gloss_isa(rawValue: gloss_isa.RawValue(Self.allCases.firstIndex(of: self)!)) }
}
