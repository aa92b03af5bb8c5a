import CFuzzer
import Foundation

/// Runs one target under libFuzzer: `Fuzz TARGET [libFuzzer's arguments]`. scripts/fuzz calls it, from the repository's folder.
let name = CommandLine.arguments.dropFirst().first ?? ""
guard let found = targets[name] else {
    print(targets.keys.sorted().joined(separator: "\n"))
    exit(name.isEmpty ? 0 : 64)
}
let target = found

var count = Int32(CommandLine.arguments.count - 1)
let words = ([CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)).map { strdup($0) } + [nil]
exit(
    words.withUnsafeBufferPointer { words in
        var arguments = UnsafeMutablePointer(mutating: words.baseAddress)
        return LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
            target(Array(UnsafeBufferPointer(start: bytes, count: count)))
            return 0
        }
    })
