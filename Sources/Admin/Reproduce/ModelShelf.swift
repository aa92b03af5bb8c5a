import Annotation
import Foundation
import Inference
import Storage

/// The models, adapters and mask decoder of this machine, by their digests.
struct ModelShelf: Sendable {
    /// What a model is loaded as.
    struct Loading: Hashable, Sendable {
        /// That which gave the result; nil: a digest that this version does not make.
        var identity: ModelIdentity?
        /// The model's folder or file; nil: it is not here.
        var path: String?
    }

    /// A model's folder or packed file.
    private struct Place: Sendable {
        let path: String
        let fileDigest: String
    }

    private let models: [Place]
    private let adapters: [Place]
    let maskDecoder: VAEMaskDecoder?
    /// The arithmetic; nil: each result's own.
    private let precision: Precision?
    let threads: Int
    let instructionSet: InstructionSet

    /// Reads the files for their digests, and loads the mask decoder.
    init(
        models: [String], adapters: [String], maskDecoder: String?, precision: Precision?, threads: Int,
        instructionSet: InstructionSet
    ) throws(InferenceError) {
        self.models = try models.map { path throws(InferenceError) in
            Place(path: path, fileDigest: try PaliGemma.fileDigest(contentsOf: URL(filePath: path)))
        }
        self.adapters = try adapters.map { path throws(InferenceError) in
            Place(
                path: path, fileDigest: try Adapter.digest(contentsOf: URL(filePath: path, directoryHint: .isDirectory))
            )
        }
        self.maskDecoder = try maskDecoder.map { path throws(InferenceError) in
            try VAEMaskDecoder(contentsOf: URL(filePath: path))
        }
        (self.precision, self.threads, self.instructionSet) = (precision, threads, instructionSet)
    }

    /// The digests of the files of models and adapters.
    var fileDigests: [String] { (models + adapters).map(\.fileDigest) }

    /// Which model gives the results of a digest, and as what it is loaded.
    func loading(_ modelDigest: String) -> Loading {
        let identity = ModelIdentity(digest: modelDigest)
        return Loading(
            identity: identity, path: models.first { $0.fileDigest == identity?.fileDigest }?.path)
    }

    /// Loads a model, which takes seconds. A packed one that has not the wanted precision is loaded as it is packed.
    func load(_ loading: Loading) throws(InferenceError) -> PaliGemma? {
        guard let identity = loading.identity, let path = loading.path else { return nil }
        let wanted = precision ?? identity.precision
        do { return try load(path, wanted, identity.options) } catch {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue,
                let model = try? load(path, nil, identity.options), model.precision != wanted
            else { throw error }
            return model
        }
    }

    private func load(
        _ path: String, _ precision: Precision?, _ options: LoadOptions
    ) throws(InferenceError) -> PaliGemma {
        try PaliGemma(
            contentsOf: URL(filePath: path), precision: precision, options: options, threads: threads,
            instructionSet: instructionSet)
    }

    /// The adapters that results of a model ask for, by their digests; those that are not here are missing.
    func adapters(_ digests: Set<String>, for model: PaliGemma) throws(InferenceError) -> [String: Adapter] {
        var loaded: [String: Adapter] = [:]
        for place in adapters where digests.contains(place.fileDigest) && loaded[place.fileDigest] == nil {
            loaded[place.fileDigest] = try model.adapter(
                contentsOf: URL(filePath: place.path, directoryHint: .isDirectory))
        }
        return loaded
    }
}
