import Foundation

/// Memory as Linux counts it, bytes; 0 where it does not say.
enum MemoryUse {
    /// The most that this process had in memory.
    static var peakResident: Int { bytes(of: "VmHWM", in: read("/proc/self/status")) }

    /// All that the machine has.
    static var total: Int { bytes(of: "MemTotal", in: read("/proc/meminfo")) }

    /// What the machine could give without swapping.
    static var available: Int { bytes(of: "MemAvailable", in: read("/proc/meminfo")) }

    /// The value of a line such as `VmHWM:\t13456404 kB`. A tab or blanks come before it, as many as its width leaves.
    static func bytes(of name: String, in text: String) -> Int {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }

    private static func read(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
}
