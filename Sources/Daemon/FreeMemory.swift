import Foundation

/// How much memory this process may still take.
enum FreeMemory {
    /// Bytes of keys and values when the configuration leaves it to us: a quarter of what is free, at most 4 GiB. At least 64 MiB: a
    /// query that needs more is computed alone anyway.
    static func keyValueBytes() -> Int { min(max(bytes() / 4, 64 << 20), 4 << 30) }

    /// Bytes that must be free for anything to be claimed: less is not even enough for one image on its way.
    static let least = 32 << 20

    /// Bytes free on this machine, or in the control groups that hold this process where those have less.
    static func bytes() -> Int {
        let machine = kilobytes("MemAvailable", in: read("/proc/meminfo") ?? "").map { $0 * 1024 }
        return min(machine ?? .max, group(path: groupPath(read("/proc/self/cgroup") ?? "")))
    }

    /// `/system.slice/glossd.service` from the line `0::/system.slice/glossd.service` (cgroup v2).
    static func groupPath(_ text: String) -> String {
        text.split(separator: "\n").first { $0.hasPrefix("0::/") }.map { String($0.dropFirst(3)) } ?? "/"
    }

    /// What is left in a control group: its limit less what it uses, without the file pages that the kernel can take back.
    static func left(limit: String, used: String, stat: String) -> Int? {
        guard let limit = Int(limit.trimmingCharacters(in: .whitespacesAndNewlines)),
            let used = Int(used.trimmingCharacters(in: .whitespacesAndNewlines))
        else { return nil }
        let files = stat.split(separator: "\n").first { $0.hasPrefix("inactive_file ") }
        let reclaimable = files.flatMap { Int($0.dropFirst(14)) } ?? 0
        return max(limit - max(used - reclaimable, 0), 0)
    }

    /// The least that is left in the group and in those around it.
    private static func group(path: String) -> Int {
        var names = path.split(separator: "/")
        var least = Int.max
        while true {
            let folder = "/sys/fs/cgroup/" + names.joined(separator: "/")
            let (used, stat) = (read(folder + "/memory.current") ?? "", read(folder + "/memory.stat") ?? "")
            // Above memory.high a process is slowed down until it hardly moves.
            for limit in ["/memory.max", "/memory.high"].compactMap({ read(folder + $0) }) {
                least = min(least, left(limit: limit, used: used, stat: stat) ?? .max)
            }
            if names.popLast() == nil { return least }
        }
    }

    static func kilobytes(_ name: String, in text: String) -> Int? {
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return line.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") }
    }

    private static func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
