import CKernels
import Foundation

/// The processors that this process may compute on.
public enum Processors {
    /// Numbers of the CPUs that it may run on (sched_getaffinity), ascending; empty where the system does not say.
    public static func allowed() -> [Int] {
        var cpus = [Int32](repeating: 0, count: 1024)
        let count = Int(gloss_allowed_cpus(&cpus, Int64(cpus.count)))
        return cpus.prefix(count).map(Int.init)
    }

    /// How many threads to compute with: as many as there are CPUs (of `cpus`, if there are any), and no more than the
    /// cgroup's quota, rounded up: two threads use up a quota of 1.5 CPUs and are halted together for a quarter of the
    /// time; one would leave a third of it unused. (Go and Java round up too.)
    public static func threadCount(cpus: [Int] = []) -> Int {
        let allowed = allowed().count
        let present = !cpus.isEmpty ? cpus.count : allowed > 0 ? allowed : ProcessInfo.processInfo.activeProcessorCount
        let quota = CPUQuota.current().map { Int($0.rounded(.up)) } ?? present
        return max(1, min(present, quota))
    }

    /// CPUs of a list such as `0-3,8`, ascending, each once; nil if it is not one, or names a CPU above 1023.
    public static func list(_ text: String) -> [Int]? {
        var cpus: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false).map {
                Int($0.trimmingCharacters(in: .whitespaces))
            }
            guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], 0 <= first, first <= last,
                last < 1024
            else { return nil }
            cpus.formUnion(first...last)
        }
        return cpus.sorted()
    }
}

/// How much processor time the cgroup may have, in CPUs.
enum CPUQuota {
    /// The least quota of this process's cgroup and those above it; nil: none.
    static func current() -> Double? {
        read { try? String(contentsOfFile: $0, encoding: .utf8) }
    }

    /// - Parameter contents: of the file at a path; nil if it can't be read.
    static func read(_ contents: (String) -> String?) -> Double? {
        paths(contents("/proc/self/cgroup") ?? "").compactMap { path in
            switch path {
            case .unified(let folder): contents("\(folder)/cpu.max").flatMap(unified)
            case .legacy(let folder):
                legacy(contents("\(folder)/cpu.cfs_quota_us") ?? "", contents("\(folder)/cpu.cfs_period_us") ?? "")
            }
        }.min()
    }

    /// A folder with a quota, of cgroup v2 or v1.
    enum Path: Equatable {
        case unified(String)
        case legacy(String)
    }

    /// The folders that /proc/self/cgroup names, and those above: in a container the named one may not be visible, but
    /// the root is the container's own.
    static func paths(_ cgroup: String) -> [Path] {
        cgroup.split(separator: "\n").flatMap { line -> [Path] in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return [] }
            let above = ancestors(fields[2])
            if fields[0] == "0" && fields[1].isEmpty { return above.map { .unified("/sys/fs/cgroup\($0)") } }
            guard fields[1].split(separator: ",").contains("cpu") else { return [] }
            return above.map { .legacy("/sys/fs/cgroup/\(fields[1])\($0)") }
        }
    }

    /// "/a/b": "/a/b", "/a", "".
    private static func ancestors(_ path: Substring) -> [String] {
        let names = path.split(separator: "/")
        return (0...names.count).reversed().map { count in names.prefix(count).map { "/\($0)" }.joined() }
    }

    /// cpu.max: `max 100000` or `150000 100000`, microseconds of each period.
    static func unified(_ text: String) -> Double? {
        let fields = text.split(whereSeparator: \.isWhitespace)
        return fields.count == 2 ? ratio(Double(fields[0]), Double(fields[1])) : nil
    }

    /// cpu.cfs_quota_us (−1: none) and cpu.cfs_period_us.
    static func legacy(_ quota: String, _ period: String) -> Double? {
        ratio(
            Double(quota.trimmingCharacters(in: .whitespacesAndNewlines)),
            Double(period.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    private static func ratio(_ quota: Double?, _ period: Double?) -> Double? {
        guard let quota, let period, quota > 0, period > 0 else { return nil }
        return quota / period
    }
}
