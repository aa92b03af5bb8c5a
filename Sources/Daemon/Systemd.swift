import CSystemd

/// What systemd is told. Without systemd nothing happens.
enum Systemd {
    /// Lines such as `READY=1`, `WATCHDOG=1`, `STOPPING=1`, and what `systemctl status` shows.
    static func notify(_ assignments: [String] = [], status: String) {
        // A line break in a status would begin another assignment.
        let line = status.split(whereSeparator: \.isNewline).joined(separator: " ")
        _ = sd_notify(0, (assignments + ["STATUS=\(line)"]).joined(separator: "\n"))
    }
}
