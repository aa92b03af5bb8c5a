import ArgumentParser
import Console
import Inference

/// `glossctl bench peaks`
struct BenchPeaks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peaks",
        abstract: "What the machine can do at best: arithmetic and memory.",
        discussion: """
            A multiply-add counts as two operations. Arithmetic is register to register; memory is 1 GiB read once, in \
            the fastest of several ways. All threads together, medians.

            EXAMPLES
              glossctl bench peaks
              glossctl bench peaks --threads 1 --json

            \(ExitStatus.help)
            """)

    @OptionGroup var format: FormatOptions

    @Option(help: "Threads to measure with. Default: one for each processor that it may use.")
    var threads: Int?
    @Option(help: "Seconds that it takes, about.")
    var seconds = 6.0

    func validate() throws {
        if let threads, !(1...1024 ~= threads) {
            throw ValidationError("--threads must be 1 to 1024, not \(threads).")
        }
        guard 0...3600 ~= seconds else { throw ValidationError("--seconds must be 0 to 3600, not \(seconds).") }
    }

    func run() throws {
        let peaks = MachinePeaks.measure(threads: threads ?? Processors.threadCount(), seconds: seconds)
        if format.json { return try JSONText.say(PeaksAnswer(peaks)) }
        var table = Table([.text("PEAK"), .number("PER SECOND"), .text("")])
        for (name, value) in [
            ("f32 AVX-512", peaks.f32AVX512), ("f32 AVX2", peaks.f32AVX2), ("f32 generic", peaks.f32Generic),
            ("bf16 VDPBF16PS", peaks.bf16), ("int8 VPDPBUSD, AVX-512", peaks.int8),
            ("int8 VPDPBUSD, AVX-VNNI", peaks.int8AVXVNNI), ("int8 VPMADDWD, AVX-512", peaks.int8AVX512),
            ("int8 VPMADDWD, AVX2", peaks.int8AVX2), ("int8 VPMADDUBSW, AVX2", peaks.int8AVX2Bytes),
            ("int8 SDOT, NEON", peaks.int8NEONDot), ("int8 USMMLA, NEON", peaks.int8NEONI8MM),
            ("bf16 AMX", peaks.bf16AMX), ("int8 AMX", peaks.int8AMX),
        ] {
            table.add([Table.Cell(name), Self.giga(value), "G operations"])
        }
        let (streams, distance) = (peaks.reading.streams, peaks.reading.prefetchDistance)
        let how = distance > 0 ? "prefetched \(distance) bytes ahead" : "not prefetched"
        table.add([
            "memory, read", Self.giga(peaks.memory), Table.Cell("GB, \(streams) a thread side by side, \(how)"),
        ])
        table.lines(width: nil, palette: .output).forEach(Console.say)
        Console.say(
            "\(peaks.threadCount) thread\(peaks.threadCount == 1 ? "" : "s"); the model would be computed by"
                + " \(InstructionSet.best), of \(InstructionSet.present.map(\.rawValue).joined(separator: ", "))")
    }

    private static func giga(_ value: Double?) -> Table.Cell {
        Table.Cell(value.map { Formats.fixed($0 / 1e9, 1) } ?? "–")
    }
}

/// Peaks as `--json` gives them: operations/s and bytes/s; without those that this CPU has not.
private struct PeaksAnswer: Encodable {
    let threads: Int
    let instructionSet: String
    let f32, f32Generic: Double
    let f32AVX512, f32AVX2, bf16, int8, int8AVXVNNI, int8AVX512, int8AVX2, int8AVX2Bytes: Double?
    let bf16AMX, int8AMX, int8NEONDot, int8NEONI8MM, memory: Double?

    init(_ peaks: MachinePeaks) {
        (threads, f32, f32Generic) = (peaks.threadCount, peaks.f32, peaks.f32Generic)
        (f32AVX512, f32AVX2) = (peaks.f32AVX512, peaks.f32AVX2)
        (bf16, int8, memory) = (peaks.bf16, peaks.int8, peaks.memory)
        (bf16AMX, int8AMX) = (peaks.bf16AMX, peaks.int8AMX)
        (int8AVXVNNI, int8AVX512, int8AVX2) = (peaks.int8AVXVNNI, peaks.int8AVX512, peaks.int8AVX2)
        int8AVX2Bytes = peaks.int8AVX2Bytes
        (int8NEONDot, int8NEONI8MM) = (peaks.int8NEONDot, peaks.int8NEONI8MM)
        instructionSet = InstructionSet.best.rawValue
    }

    enum CodingKeys: String, CodingKey {
        case threads, f32, bf16, int8
        case instructionSet = "instruction_set"
        case int8AVXVNNI = "int8_avx_vnni"
        case int8AVX512 = "int8_avx512"
        case int8AVX2 = "int8_avx2"
        case int8AVX2Bytes = "int8_avx2_bytes"
        case int8NEONDot = "int8_neon_dotprod"
        case int8NEONI8MM = "int8_neon_i8mm"
        case f32Generic = "f32_generic"
        case f32AVX512 = "f32_avx512"
        case f32AVX2 = "f32_avx2"
        case bf16AMX = "bf16_amx"
        case int8AMX = "int8_amx"
        case memory = "memory_bytes"
    }
}
