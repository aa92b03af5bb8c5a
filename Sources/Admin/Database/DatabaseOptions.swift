import ArgumentParser
import Foundation
import Storage

/// How to reach the database; the same for every command that needs it.
struct DatabaseOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A PostgreSQL connection string or URI. Default: $GLOSS_DATABASE, else libpq's PG* environment.",
            valueName: "conninfo"))
    var database: String?

    /// Settings for a connection.
    /// - Parameter statementTimeout: nil for statements that may take as long as there are rows.
    func settings(statementTimeout: Duration? = .seconds(30)) -> ConnectionSettings {
        let conninfo = database ?? ProcessInfo.processInfo.environment["GLOSS_DATABASE"] ?? ""
        return ConnectionSettings(
            conninfo: conninfo, applicationName: "glossctl", statementTimeout: statementTimeout)
    }

    /// The queue behind it; it connects when first asked.
    func administration(statementTimeout: Duration? = .seconds(30)) -> Administration {
        Administration(settings(statementTimeout: statementTimeout))
    }
}

/// Where the migrations are.
struct MigrationsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where the migrations are. Default: beside this program, else \(Migrator.installedDirectory), else ./migrations.",
            valueName: "dir"))
    var directory: String?

    /// The directory that was named, or the first usual one that is there.
    var found: String? {
        directory
            ?? (Self.beside(Self.program) + [Migrator.installedDirectory, "migrations"])
            .first { FileManager.default.fileExists(atPath: $0) }
    }

    /// Where a program's own migrations may be: share/gloss/migrations beside its bin, or the sources that it was built
    /// from, some folders above .build.
    static func beside(_ program: URL) -> [String] {
        let folder = program.deletingLastPathComponent()
        var places = [folder.deletingLastPathComponent().appending(path: "share/gloss/migrations").path]
        var parent = folder
        while parent.path != "/" {
            let isBuild = parent.lastPathComponent.hasPrefix(".build")
            parent = parent.deletingLastPathComponent()
            if isBuild { places.append(parent.appending(path: "migrations").path) }
        }
        return places
    }

    /// This program's file.
    private static var program: URL {
        let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: path ?? CommandLine.arguments[0])
    }
}

/// Whether a program reads the answer.
struct FormatOptions: ParsableArguments {
    @Flag(help: "Answer in JSON, one object a line.")
    var json = false
}
