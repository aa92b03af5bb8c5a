import Foundation

/// What a model's digest says: which files, and how they are loaded.
public struct ModelIdentity: Hashable, Sendable {
    /// Identity of the files: sha256, 64 hexadecimal digits.
    public let fileDigest: String
    /// The arithmetic.
    public let precision: Precision
    /// What the files leave open.
    public let options: LoadOptions

    /// Reads a digest as `PaliGemma.digest` makes it; nil: it is not one that this version makes.
    public init?(digest: String) {
        let fileDigest = String(digest.prefix { $0 != "-" })
        for precision in Precision.allCases {
            for resize in Resize.allCases {
                for window in LoadOptions.Window.allCases {
                    let options = LoadOptions(window: window, resize: resize)
                    guard Self.digest(fileDigest, precision, options.allWords) == digest else { continue }
                    (self.fileDigest, self.precision, self.options) = (fileDigest, precision, options)
                    return
                }
            }
        }
        return nil
    }

    /// The digest of a model: of its files, the arithmetic, and the words of options that change numbers.
    static func digest(_ fileDigest: String, _ precision: Precision, _ words: [String]) -> String {
        ([fileDigest, precision.rawValue] + words).joined(separator: "-")
    }
}

extension PaliGemma {
    /// Identity of the files of the model at `url`, which is not loaded: what `fileDigest` of the loaded one is. All of
    /// its files are read.
    public static func fileDigest(contentsOf url: URL) throws(InferenceError) -> String {
        if url.isRegularFile { return try PackedFile(url).header.fileDigest }
        let folder = try ModelFolder(url)
        return try folder.digest(ModelDescription(folder))
    }
}

extension Adapter {
    /// Identity of the files of the adapter in `folder`, which is not loaded: what `digest` of the loaded one is.
    public static func digest(contentsOf folder: URL) throws(InferenceError) -> String {
        try AdapterFolder.digest(folder)
    }
}
