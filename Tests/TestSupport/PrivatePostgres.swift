import CNames
import Foundation
import Storage

/// A PostgreSQL server of the tests' own: a temporary directory, a socket, no network. It goes away with the process,
/// however that ends.
public actor PrivatePostgres {
    /// The server that most tests share; each test makes itself a database in it.
    public static let shared = PrivatePostgres()

    private let port: Int?
    private let options: [String]
    private let isDebians: Bool
    private var place: ServerPlace?
    private var isRunning = false
    private var template: Task<Void, any Error>?
    private var databaseCount = 0

    /// A server that starts when first used. Tests that stop or kill one make their own.
    /// - Parameters:
    ///   - port: where on 127.0.0.1 it listens beside its socket; nil: nowhere.
    ///   - options: more settings, such as `ssl=on`.
    ///   - isDebians: whether it is Debian's own, also where the tests run on another one.
    public init(port: Int? = nil, options: [String] = [], isDebians: Bool = false) {
        self.port = port
        self.options = options
        self.isDebians = isDebians
    }

    /// Whether the server can speak TLS: some of PyPI's packages are built without.
    public static let hasTLS: Bool = {
        let file = NSTemporaryDirectory() + "gloss-pg-config-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: file) }
        let said = try? outputOf(ServerPlace.findBinaries() + "/pg_config", ["--configure"], file: file)
        return said.map { $0.contains("--with-openssl") || $0.contains("--with-ssl") } ?? false
    }()

    /// A new database.
    /// - Parameter migrated: whether it has the schema `gloss`.
    public func makeDatabase(migrated: Bool = true) async throws -> TestDatabase {
        let place = try runningPlace()
        databaseCount += 1
        let name = "test\(databaseCount)"
        if migrated {
            let template = self.template ?? Task { try await makeTemplate(place) }
            self.template = template
            try await template.value
        }
        let template = migrated ? "gloss_template" : "template0"
        try await runSQL("create database \(name) template \(template)", in: "postgres", place)
        return TestDatabase(name: name, socketDirectory: place.socketDirectory, port: port)
    }

    /// A new database of an encoding, with nothing in it.
    public func makeDatabase(encoding: String) async throws -> TestDatabase {
        let place = try runningPlace()
        databaseCount += 1
        let name = "test\(databaseCount)"
        try await runSQL(
            "create database \(name) template template0 encoding '\(encoding)' locale 'C'", in: "postgres", place)
        return TestDatabase(name: name, socketDirectory: place.socketDirectory, port: port)
    }

    /// Writes all of a database into a file, as pg_dump does.
    public func dump(_ database: TestDatabase, to file: String) throws {
        let place = try runningPlace()
        try place.run("pg_dump", ["-h", place.socketDirectory, "-U", "postgres", "-f", file, database.name])
    }

    /// A new database with what a file of `dump` holds. What it refuses is passed over, as psql does.
    public func restore(_ file: String) async throws -> TestDatabase {
        let database = try await makeDatabase(migrated: false)
        let place = try runningPlace()
        try place.run("psql", ["-q", "-h", place.socketDirectory, "-U", "postgres", "-d", database.name, "-f", file])
        return database
    }

    /// Starts the server.
    public func start() throws {
        _ = try runningPlace()
    }

    /// Stops the server as systemd would.
    public func stop() throws {
        try pgCtl("stop", "-m", "fast")
        isRunning = false
    }

    /// Kills the server with SIGKILL, as if the machine had lost its power.
    public func kill() throws {
        guard let place, let pid = place.postmasterPID else { return }
        // Its children would go on serving for a moment.
        for process in [pid] + place.children(of: pid) { Foundation.kill(process, SIGKILL) }
        isRunning = false
    }

    private func makeTemplate(_ place: ServerPlace) async throws {
        try await runSQL("create database gloss_template template template0", in: "postgres", place)
        let settings = TestDatabase(name: "gloss_template", socketDirectory: place.socketDirectory, port: port)
            .settings()
        _ = try await Migrator(settings, directory: TestDatabase.migrationsDirectory).apply()
        // Rescues need not wait for the server's youth to pass.
        try await runSQL(
            "update gloss.setting set value = '0' where name = 'restart_grace'", in: "gloss_template", place)
        for user in TestDatabase.User.allCases where user != .superuser {
            let membership = user.role.map { " in role \($0)" } ?? ""
            try await runSQL("create role \(user.rawValue) login\(membership)", in: "postgres", place)
        }
    }

    private func runSQL(_ sql: String, in database: String, _ place: ServerPlace) async throws {
        let session = Session(
            TestDatabase(name: database, socketDirectory: place.socketDirectory, port: port).settings())
        try await session.script(sql)
        await session.close()
    }

    private func runningPlace() throws -> ServerPlace {
        let place = try self.place ?? ServerPlace(isDebians: isDebians)
        self.place = place
        guard !isRunning else { return place }
        // After a kill the old server's children may hold the shared memory for a moment.
        var attempts = 0
        while true {
            do {
                try pgCtl("start", "-l", place.logFile, "-o", place.serverOptions(port: port, options))
                break
            } catch  where attempts < 20 {
                attempts += 1
                usleep(100_000)
            }
        }
        isRunning = true
        return place
    }

    private func pgCtl(_ arguments: String...) throws {
        guard let place else { return }
        try place.run("pg_ctl", ["-D", place.dataDirectory, "-w"] + arguments)
    }
}

/// Where a private server lives, and the process that removes it when this one ends.
final class ServerPlace: Sendable {
    let root: String
    private let binaries: String
    private let lifeline: Lifeline

    var dataDirectory: String { root + "/data" }
    var socketDirectory: String { root }
    var logFile: String { root + "/log" }
    func serverOptions(port: Int?, _ more: [String]) -> String {
        let address = port.map { ["listen_addresses=127.0.0.1", "port=\($0)"] } ?? ["listen_addresses=''"]
        let settings = [
            "fsync=off", "full_page_writes=off", "max_connections=600", "shared_buffers=64MB",
            "log_min_messages=warning",
        ]
        return "-k \(root)" + (address + settings + more).map { " -c \($0)" }.joined()
    }

    init(isDebians: Bool) throws {
        binaries = try Self.findBinaries(isDebians: isDebians)
        root = NSTemporaryDirectory() + "gloss-pg-" + UUID().uuidString.prefix(8)
        lifeline = Lifeline()
        try FileManager.default.createDirectory(
            atPath: root, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        if getuid() == 0 { try execute("/bin/chown", ["postgres:postgres", root]) }
        try startUndertaker()
        try run(
            "initdb",
            ["-D", dataDirectory, "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
    }

    var postmasterPID: pid_t? {
        let file = try? String(contentsOfFile: dataDirectory + "/postmaster.pid", encoding: .utf8)
        return file?.split(separator: "\n").first.flatMap { pid_t($0) }
    }

    /// The processes whose parent is `parent`.
    func children(of parent: pid_t) -> [pid_t] {
        let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return processes.compactMap { pid_t($0) }.filter { process in
            let stat = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
            // pid (name) state parent …, where the name may hold anything.
            let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 1 && pid_t(fields[1]) == parent
        }
    }

    /// Runs one of PostgreSQL's programs, as the user postgres if this is root.
    func run(_ program: String, _ arguments: [String]) throws {
        let path = binaries + "/" + program
        if getuid() == 0 {
            let change = ["--reuid=postgres", "--regid=postgres", "--clear-groups", path]
            try execute("/usr/bin/setpriv", change + arguments)
        } else {
            try execute(path, arguments)
        }
    }

    /// A shell that waits for this process to end, since a killed test cannot clean up.
    private func startUndertaker() throws {
        let script = """
            trap '' INT TERM HUP; read line; pid=$(head -n1 '\(root)/data/postmaster.pid' 2>/dev/null) \
            && kill -QUIT "$pid"; sleep 0.3; rm -rf '\(root)'
            """
        _ = try spawn("/bin/sh", ["-c", script], input: lifeline.reader, output: "/dev/null")
    }

    /// The folder of a server's programs: that of `scripts/test --postgres`, or Debian's newest.
    static func findBinaries(isDebians: Bool = false) throws -> String {
        if !isDebians, let named = ProcessInfo.processInfo.environment["GLOSS_TEST_POSTGRES"] { return named + "/bin" }
        let parent = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        let newest = versions.compactMap { Int($0) }.filter { $0 >= 15 }.max()
        guard let newest else { throw TestSupportError("no PostgreSQL 15 or later in \(parent)") }
        return "\(parent)/\(newest)/bin"
    }

    private func execute(_ path: String, _ arguments: [String]) throws {
        _ = try outputOf(path, arguments, file: root + "/output")
    }
}

/// Runs a program to its end and returns what it said.
/// - Parameter file: where that is kept meanwhile.
private func outputOf(_ path: String, _ arguments: [String], file: String) throws -> String {
    let child = try spawn(path, arguments, output: file)
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 && errno == EINTR {}
    let said = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
    guard status == 0 else { throw TestSupportError("\(path) \(arguments.joined(separator: " ")): \(said)") }
    return said
}

/// A pipe that nobody inherits: its end is the end of this process.
final class Lifeline: Sendable {
    let reader: Int32
    private let writer: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        let status = pipe(&ends)
        precondition(status == 0, "no file descriptors left")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reader, writer) = (ends[0], ends[1])
    }
}

/// Starts a program in /. Foundation's Process is of no use here: it waits for grandchildren, and so for the server.
/// - Parameter output: a file for what it says; a pipe would never end, since the server inherits it.
private func spawn(_ path: String, _ arguments: [String], input: Int32? = nil, output: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
        posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // A server's connection that a child inherits stays open when the server closes it.
    spawn_close_from(&actions, 3)
    let texts = (["/bin/sh", "-c", "cd / && exec \"$0\" \"$@\"", path] + arguments).map { strdup($0) } + [nil]
    defer { for text in texts { free(text) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, "/bin/sh", &actions, nil, texts, environ)
    guard status == 0 else { throw TestSupportError("\(path): \(String(cString: strerror(status)))") }
    return child
}

/// A test's surroundings are broken.
public struct TestSupportError: Error, CustomStringConvertible {
    /// What is broken.
    public let description: String

    /// An error that says `description`.
    public init(_ description: String) { self.description = description }
}
