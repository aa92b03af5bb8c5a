import Foundation
import Testing
import TestSupport

/// The built glossctl, run from outside as a person would.
struct Tool {
    /// How a run ended.
    struct Run {
        let status: Int32
        let output: String
        let errors: String

        /// The lines of standard output as JSON.
        func json() throws -> [[String: Any]] {
            try output.split(separator: "\n").map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
        }
    }

    /// Beside the test bundle, which is this program.
    static let path: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("glossctl").path
    }()

    /// What every run gets as --database; nil leaves it out.
    var database: String?

    /// On a database, as one of gloss's roles.
    init(_ database: TestDatabase? = nil, as user: TestDatabase.User = .admin) {
        self.database = database?.conninfo(as: user)
    }

    /// Runs glossctl to its end.
    /// - Parameters:
    ///   - input: standard input.
    ///   - environment: more variables; the test's own GLOSS_ and PG variables are left out.
    func callAsFunction(
        _ arguments: String..., input: String = "", environment: [String: String] = [:]
    ) async throws -> Run {
        let database = self.database.map { ["--database", $0] } ?? []
        return try await Self.run(Self.path, arguments + database, input: input, environment: environment)
    }

    /// Runs a program to its end. Its output goes to files: pipes could fill up.
    ///
    /// By posix_spawn and not by Foundation's Process, which learns of a child's end by a socket that every other
    /// child inherits, so that a PostgreSQL that starts at the same time keeps it waiting for ever.
    static func run(
        _ program: String, _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) async throws -> Run {
        let folder = try TemporaryFolder()
        let files = [try folder.write("in", input), try folder.write("out", ""), try folder.write("err", "")]
        let variables = ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("GLOSS_") && !$0.key.hasPrefix("PG") }
            .merging(environment) { $1 }
        let child = try spawn([program] + arguments, variables.map { "\($0)=\($1)" }, files: files)
        let status = await withCheckedContinuation { done in
            Thread.detachNewThread {
                var status: Int32 = 0
                while waitpid(child, &status, 0) < 0 && errno == EINTR {}
                done.resume(returning: status)
            }
        }
        let exitCode = status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
        return Run(status: exitCode, output: try folder.read("out"), errors: try folder.read("err"))
    }

    /// Starts a program with its three standard files.
    private static func spawn(_ arguments: [String], _ environment: [String], files: [String]) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, file) in files.enumerated() {
            let flags = descriptor == 0 ? O_RDONLY : O_WRONLY
            posix_spawn_file_actions_addopen(&actions, Int32(descriptor), file, flags, 0)
        }
        let (argv, envp) = (arguments.map { strdup($0) } + [nil], environment.map { strdup($0) } + [nil])
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let failure = posix_spawn(&child, arguments[0], &actions, nil, argv, envp)
        try #require(failure == 0, "\(arguments[0]): \(String(cString: strerror(failure)))")
        return child
    }
}

/// A folder that goes away with its owner.
final class TemporaryFolder: Sendable {
    let path = NSTemporaryDirectory() + "gloss-admin-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and returns its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: file(name))), as: UTF8.self)
    }

    func file(_ name: String) -> String { path + "/" + name }
}

/// Files of the source tree.
enum Tree {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let model = root.appendingPathComponent("Tests/Fixtures/tiny/model").path

    /// A test image.
    static func image(_ name: String) -> String { root.appendingPathComponent("Tests/Fixtures/images/\(name)").path }
}
