import Foundation

/// A folder that is written beside its place and renamed into it when it is whole. Until then an earlier export stands
/// there, or nothing.
final class ExportFolder: Sendable {
    /// The file by which an export is known.
    static let manifestName = "manifest.json"

    /// Where it will be.
    let path: String
    /// Where it is written.
    private let partial: String

    /// Makes the folder. What stands at its place must be an export, or empty.
    init(_ path: String) throws(CommandError) {
        let url = URL(fileURLWithPath: path).standardizedFileURL
        self.path = url.path
        let parent = url.deletingLastPathComponent()
        partial = parent.appendingPathComponent(".\(url.lastPathComponent).partial-\(getpid())").path
        try Self.checkPlace(self.path, as: path)
        do {
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        } catch {
            throw CommandError(.failed, "\(path) cannot be made: \(parent.path) is no folder and cannot become one")
        }
        guard mkdir(partial, 0o755) == 0 else {
            throw CommandError(.failed, "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
    }

    private static func checkPlace(_ place: String, as path: String) throws(CommandError) {
        var status = stat()
        guard lstat(place, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw CommandError(.failed, "\(path) exists and is no folder") }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: place) else {
            throw CommandError(.failed, "\(path) exists and cannot be read")
        }
        // Its name alone says nothing: other programs, too, have a manifest.json, and what stands here will be removed.
        guard names.isEmpty || Manifest.isThere(in: place) else {
            throw CommandError(
                .failed,
                "\(path) exists and is no export: it has files and no \(manifestName) of one; name another --output")
        }
    }

    /// The place of a file or folder within, while it is written.
    func place(_ name: String) -> String { "\(partial)/\(name)" }

    /// Makes a folder within, and those on the way.
    func makeFolder(_ name: String) throws(CommandError) {
        do {
            try FileManager.default.createDirectory(atPath: place(name), withIntermediateDirectories: true)
        } catch {
            throw CommandError(.failed, "\(place(name)) cannot be made")
        }
    }

    /// Opens a file within for writing.
    func file(_ name: String) throws(CommandError) -> OutputFile { try OutputFile(place(name)) }

    /// Puts the whole folder into its place.
    func finish() throws(CommandError) {
        // A folder that is not empty is never replaced in one step: an earlier export first makes room.
        let earlier = partial + "-earlier"
        let hasEarlier = rename(path, earlier) == 0
        guard rename(partial, path) == 0 else {
            let failure = failure()
            if hasEarlier { _ = rename(earlier, path) }
            throw failure
        }
        if hasEarlier { try? FileManager.default.removeItem(atPath: earlier) }
    }

    private func failure() -> CommandError {
        CommandError(.failed, "\(path) cannot be put in its place: \(String(cString: strerror(errno)))")
    }

    /// Removes what was written. Whoever still writes finds no folder.
    func discard() {
        let doomed = partial + "-removed"
        guard rename(partial, doomed) == 0 else { return }
        try? FileManager.default.removeItem(atPath: doomed)
    }

    /// Removes what was written when a signal ends the program.
    /// - Returns: what has to be kept as long as that is to hold.
    func discardWhenInterrupted() -> [any DispatchSourceSignal] {
        [SIGINT, SIGTERM, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                self.discard()
                signal(number, SIG_DFL)
                // To the process: this thread blocks signals.
                kill(getpid(), number)
            }
            source.activate()
            return source
        }
    }
}
