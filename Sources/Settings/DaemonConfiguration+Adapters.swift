import Foundation
import Yams

extension DaemonConfiguration {
    /// Adapters by name: the mapping `adapters` of the file, or the variable above it, NAME=DIR,NAME=DIR.
    static func adapters(_ file: String?, _ variable: String?) throws -> [String: String] {
        func fail(_ what: String) -> ConfigurationError {
            ConfigurationError("configuration (\(file.map { "\($0), or " } ?? "")GLOSS_ADAPTERS): adapters \(what)")
        }
        var found: [(name: String, folder: String)] = []
        if let variable {
            for part in variable.split(separator: ",") {
                let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
                guard pair.count == 2 else { throw fail("has \(part), expected NAME=DIR") }
                found.append((pair[0], pair[1]))
            }
        } else if let file,
            let node = try Yams.compose(yaml: String(contentsOfFile: file, encoding: .utf8))?["adapters"]
        {
            guard let mapping = node.mapping else { throw fail("is not a mapping of names to folders") }
            for (name, folder) in mapping {
                guard let name = name.string, let folder = folder.string else {
                    throw fail("is not a mapping of names to folders")
                }
                found.append((name, folder))
            }
        }
        for (name, folder) in found where name.isEmpty || folder.isEmpty { throw fail("has an empty name or folder") }
        return try Dictionary(found.map { ($0.name, $0.folder) }) { _, _ in throw fail("has a name twice") }
    }
}
