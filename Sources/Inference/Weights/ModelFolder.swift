import Foundation

/// A Hugging Face folder.
struct ModelFolder: ModelFiles {
    let url: URL
    /// Its weights' files, in the index's order; one where there is no index.
    let weightFiles: [String]
    /// Whether an index is there beside the single file, and is not read.
    private let hasSpareIndex: Bool

    var path: String { url.path(percentEncoded: false).trimmingSuffix("/") }

    private static let single = "model.safetensors"
    private static let index = "model.safetensors.index.json"

    /// Finds the weights: the single file, else those that the index names, which is transformers' order. Throws what
    /// the folder is, where it is no such model.
    init(_ url: URL) throws(InferenceError) {
        self.url = url
        let names = Set((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? [])
        if let other = ForeignFormat.ofFolder(url, names) { throw InferenceError(.invalidModel, other) }
        hasSpareIndex = names.contains(Self.single) && names.contains(Self.index)
        guard !names.contains(Self.single), names.contains(Self.index) else {
            weightFiles = [Self.single]
            return
        }
        let index = url.appending(path: Self.index)
        weightFiles = try Checkpoint.fileNames(index: mapFile(index), path: index.path)
    }

    func contents(_ name: String) throws(InferenceError) -> Data? {
        let file = url.appending(path: name)
        return FileManager.default.fileExists(atPath: file.path) ? try mapFile(file) : nil
    }

    /// Its model's identity: see `modelDigest`.
    func digest(_ description: ModelDescription) throws(InferenceError) -> String {
        try modelDigest(folder: url, names: weightFiles + description.names)
    }

    /// What an owner should know, though the model loads.
    var warnings: [String] {
        hasSpareIndex
            ? ["\(path) has both \(Self.single), which is read, and \(Self.index), which is not: as in transformers"]
            : []
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) && count > suffix.count ? String(dropLast(suffix.count)) : self
    }
}
