import Console
import Foundation
import Inference

/// What this machine has.
struct Machine: Encodable {
    /// As Linux names it; nil where it does not.
    let processor: String?
    let threads: Int
    let instructionSet: String
    /// All that the processor has.
    let instructionSets: [String]
    /// Bytes.
    let memoryBytes, freeMemoryBytes: Int

    init(threads: Int) {
        processor = Self.name()
        self.threads = threads
        instructionSet = InstructionSet.best.rawValue
        instructionSets = InstructionSet.present.map(\.rawValue)
        (memoryBytes, freeMemoryBytes) = (MemoryUse.total, MemoryUse.available)
    }

    /// As a person reads it.
    var lines: [String] {
        let gigabytes = { (bytes: Int) in Formats.fixed(Double(bytes) / 1e9, 1) }
        return [
            "\(processor ?? "a processor without a name"), \(threads) thread\(threads == 1 ? "" : "s"); memory:"
                + " \(gigabytes(memoryBytes)) GB, \(gigabytes(freeMemoryBytes)) of them free",
            "instruction set \(instructionSet), of \(instructionSets.joined(separator: ", "))",
        ]
    }

    private static func name() -> String? {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").first { $0.hasPrefix("model name") }
            .flatMap { $0.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } }
    }

    enum CodingKeys: String, CodingKey {
        case processor, threads
        case instructionSet = "instruction_set"
        case instructionSets = "instruction_sets"
        case memoryBytes = "memory_bytes"
        case freeMemoryBytes = "free_memory_bytes"
    }
}
