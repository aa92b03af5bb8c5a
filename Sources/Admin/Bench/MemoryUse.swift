import Foundation

/// Memory as Linux counts it, bytes; 0 where it does not say.
enum MemoryUse {
    /// The most that this process had in memory.
    static var peakResident: Int { value("VmHWM", in: "/proc/self/status") }

    /// All that the machine has.
    static var total: Int { value("MemTotal", in: "/proc/meminfo") }

    /// What the machine could give without swapping.
    static var available: Int { value("MemAvailable", in: "/proc/meminfo") }

    private static func value(_ name: String, in path: String) -> Int {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
}
