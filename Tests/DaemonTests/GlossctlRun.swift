import Foundation
import TestSupport

/// The built glossctl, run to its end.
struct GlossctlRun {
    let status: Int32
    let output: String
    let errors: String

    init(_ arguments: [String]) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "glossctl-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (out, err) = (folder.appending(path: "out"), folder.appending(path: "err"))
        let program = GlossdProcess.binary.deletingLastPathComponent().appending(path: "glossctl")
        let child = try ChildProcess(
            program.path, arguments, environment: ["PATH": "/usr/bin:/bin"], output: out.path, error: err.path)
        status = await child.wait()
        output = String(decoding: try Data(contentsOf: out), as: UTF8.self)
        errors = String(decoding: try Data(contentsOf: err), as: UTF8.self)
    }

    /// The lines of standard output as JSON objects.
    func json() throws -> [[String: Any]] {
        try output.split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }
}
