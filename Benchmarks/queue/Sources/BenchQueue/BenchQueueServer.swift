import Foundation
import Storage

/// A PostgreSQL server of the benchmark's own: a temporary directory, a socket, no network, and what keeps commits
/// durable as it is by default. A shell holds it; when this process ends, however it does, so does the pipe that the shell
/// reads, and it takes the server and the directory away.
struct BenchQueueServer {
    /// Beside PostgreSQL's defaults: memory and WAL as on a machine of a few gigabytes.
    private static let options = "-c shared_buffers=1GB -c max_wal_size=8GB -c max_connections=50"

    private static let script = """
        trap '' INT TERM HUP
        root=$1 programs=$2
        as_postgres() {
            if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
        }
        exec 3<&0 </dev/null >"$root/log" 2>&1
        cd "$root"
        [ "$(id -u)" != 0 ] || chown postgres "$root"
        if as_postgres "$programs/initdb" -D "$root/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8; then
            as_postgres "$programs/postgres" -D "$root/data" -k "$root" -c listen_addresses= $3 3<&- &
            read -r _ <&3
            pid=$(head -n1 "$root/data/postmaster.pid") && kill -QUIT "$pid" && wait
        fi
        rm -rf "$root"
        """

    let settings: ConnectionSettings
    private let shell: Process
    private let lifeline: Pipe

    /// Starts the server.
    static func start() async throws -> BenchQueueServer {
        let root = FileManager.default.temporaryDirectory.appending(path: "gloss-bench-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
        let server = try BenchQueueServer(root: root.path, programs: try programs())
        try await server.waitUntilReady(log: root.appending(path: "log"))
        return server
    }

    private init(root: String, programs: String) throws {
        settings = ConnectionSettings(
            conninfo: "host=\(root) user=postgres dbname=postgres", applicationName: "bench-queue",
            statementTimeout: nil)
        lifeline = Pipe()
        shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", Self.script, "sh", root, programs, Self.options]
        shell.standardInput = lifeline
        try shell.run()
        try lifeline.fileHandleForReading.close()
    }

    private func waitUntilReady(log: URL) async throws {
        let session = Session(settings)
        let end = ContinuousClock.now + .seconds(60)
        while true {
            do {
                _ = try await session.query("select 1", context: "bench")
                return await session.close()
            } catch let error as StorageError {
                guard shell.isRunning, ContinuousClock.now < end else {
                    let said = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
                    throw CommandError(
                        .unavailable, "a private PostgreSQL does not start: \(error) \(said.suffix(500))")
                }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Ends the server and removes its directory.
    func stop() async {
        try? lifeline.fileHandleForWriting.close()
        while shell.isRunning { try? await Task.sleep(for: .milliseconds(20)) }
    }

    /// Debian's folder of the newest version; elsewhere the one on the path.
    private static func programs() throws -> String {
        let parent = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        let debian = versions.compactMap { Int($0) }.max().map { "\(parent)/\($0)/bin" }
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let found = ([debian].compactMap { $0 } + path).first {
            FileManager.default.isExecutableFile(atPath: $0 + "/initdb")
        }
        guard let found else {
            throw CommandError(.failed, "there is no PostgreSQL server on this machine; use --empty-database")
        }
        return found
    }
}
