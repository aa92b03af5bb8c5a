import Annotation
import Foundation
import Inference

/// A model, its adapters by name (one base in memory, beside which they compute), and what makes masks of its codes.
struct ServedModel: Sendable {
    let model: PaliGemma
    let adapters: [String: Adapter]
    /// nil: boxes have codes alone.
    let maskDecoder: VAEMaskDecoder?

    /// Reads the adapters' folders and the mask decoder's file; an empty path is none.
    init(_ model: PaliGemma, adapters folders: [String: String], maskDecoder file: String = "") throws(InferenceError) {
        self.model = model
        maskDecoder = try Self.maskDecoder(file)
        var adapters: [String: Adapter] = [:]
        for (name, folder) in folders.sorted(by: { $0.key < $1.key }) {
            adapters[name] = try model.adapter(contentsOf: URL(filePath: folder, directoryHint: .isDirectory))
        }
        self.adapters = adapters
    }

    /// The mask decoder in a file; nil: the path is empty.
    static func maskDecoder(_ file: String) throws(InferenceError) -> VAEMaskDecoder? {
        file.isEmpty ? nil : try VAEMaskDecoder(contentsOf: URL(filePath: file))
    }

    /// What results of each adapter name, by its name.
    func identities(_ base: EngineIdentity) -> [String: EngineIdentity] {
        Dictionary(
            uniqueKeysWithValues: adapters.map { name, adapter in
                var identity = base
                (identity.model, identity.adapterDigest) = (name, adapter.digest)
                return (name, identity)
            })
    }
}
