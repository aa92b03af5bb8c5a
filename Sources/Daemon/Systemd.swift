import CSystemd

/// What systemd is told. Without systemd nothing happens.
enum Systemd {
    /// Lines such as `READY=1`, `STATUS=…`, `WATCHDOG=1`, `STOPPING=1`.
    static func notify(_ state: String) { _ = sd_notify(0, state) }
}
