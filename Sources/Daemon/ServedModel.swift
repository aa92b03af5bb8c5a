import Annotation
import Foundation
import Inference

/// A model, and its adapters by name: one base in memory, beside which they compute.
struct ServedModel: Sendable {
    let model: PaliGemma
    let adapters: [String: Adapter]

    /// Reads the adapters' folders.
    init(_ model: PaliGemma, adapters folders: [String: String]) throws(InferenceError) {
        self.model = model
        var adapters: [String: Adapter] = [:]
        for (name, folder) in folders.sorted(by: { $0.key < $1.key }) {
            adapters[name] = try model.adapter(contentsOf: URL(filePath: folder, directoryHint: .isDirectory))
        }
        self.adapters = adapters
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
