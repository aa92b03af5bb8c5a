import Foundation

/// An adapter of PEFT: adapter_config.json and adapter_model.safetensors, checked against the model that it is for.
struct AdapterFolder {
    /// One module's matrices, for W + B · A.
    struct Factors {
        /// [rank, inputs].
        let a: [Float]
        /// [outputs, rank], times the scale.
        let b: [Float]
        let rank: Int

        /// W + B · A, in f32; W [outputs, inputs].
        func added(to weights: [Float]) -> [Float] {
            let (outputs, inputs) = (b.count / rank, a.count / rank)
            precondition(weights.count == outputs * inputs)
            var sums = weights
            sums.withUnsafeMutableBufferPointer { sums in
                nonisolated(unsafe) let base = sums.baseAddress!
                DispatchQueue.concurrentPerform(iterations: outputs) { output in
                    let row = base + output * inputs
                    let product = UnsafeMutableBufferPointer<Float>.allocate(capacity: inputs)
                    defer { product.deallocate() }
                    product.initialize(repeating: 0)
                    for k in 0..<rank {
                        let factor = b[output * rank + k]
                        for input in 0..<inputs { product[input] += factor * a[k * inputs + input] }
                    }
                    for input in 0..<inputs { row[input] += product[input] }
                }
            }
            return sums
        }
    }

    /// A module's two tensors.
    private struct Pair {
        var a: SafeTensorsFile.Entry?
        var b: SafeTensorsFile.Entry?
        /// As the file names the module.
        let module: String
        var scale: Float = 0
    }

    /// `sha256sum adapter_config.json adapter_model.safetensors | sha256sum`.
    let digest: String
    /// The model that it was trained on, as its trainer named it.
    var base: String? { configuration.base }
    private let configuration: AdapterConfiguration
    private let file: SafeTensorsFile
    /// By the canonical name of the matrix.
    private var pairs: [String: Pair] = [:]
    /// The projector's tensors, where they are saved whole, by canonical name.
    private var saved: [String: SafeTensorsFile.Entry] = [:]

    static let weightsName = "adapter_model.safetensors"
    private static let wrapper = "base_model.model."

    /// Reads and checks all of the adapter.
    init(_ url: URL, for model: ModelConfiguration) throws(InferenceError) {
        let config = url.appending(path: AdapterConfiguration.name)
        guard FileManager.default.fileExists(atPath: config.path) else {
            throw InferenceError(
                .invalidModel, "\(url.path): no \(AdapterConfiguration.name): it is no folder of an adapter of PEFT")
        }
        configuration = try AdapterConfiguration(try mapFile(config), path: config.path)
        let weights = url.appending(path: Self.weightsName)
        if !FileManager.default.fileExists(atPath: weights.path),
            FileManager.default.fileExists(atPath: url.appending(path: "adapter_model.bin").path)
        {
            throw InferenceError(
                .unsupportedModel,
                "\(url.path): adapter_model.bin is a pickle of PyTorch, which Gloss does not read; load it with peft and save"
                    + " it anew with save_pretrained, which writes safetensors")
        }
        file = try SafeTensorsFile(weights)
        digest = try Self.digest(url)
        for name in file.entries.keys.sorted() { try sort(name) }
        try checkPairs(model)
        try checkSaved(model)
    }

    /// The digest of the adapter in a folder.
    static func digest(_ folder: URL) throws(InferenceError) -> String {
        try modelDigest(folder: folder, names: [AdapterConfiguration.name, weightsName])
    }

    /// Whether it changes how images are seen.
    var touchesImages: Bool { !saved.isEmpty || pairs.keys.contains { !$0.hasPrefix("language_model.") } }

    /// Puts a tensor where it belongs.
    private mutating func sort(_ name: String) throws(InferenceError) {
        let (entry, path) = (file.entries[name]!, file.url.path)
        func fail(_ what: String) -> InferenceError {
            InferenceError(.unsupportedModel, "\(path): tensor \(name): \(what)")
        }
        guard name.hasPrefix(Self.wrapper) else { throw fail("expected a name that begins with \(Self.wrapper)") }
        let inner = String(name.dropFirst(Self.wrapper.count))
        guard let part = [".lora_A.weight", ".lora_B.weight"].first(where: inner.hasSuffix) else {
            return try sortSaved(inner, entry, fail)
        }
        let module = String(inner.dropLast(part.count))
        // The pooling head gives nothing to the tokens.
        guard let matrix = TensorName.canonical(module + ".weight") else { return }
        guard try configuration.adapts(module) else {
            throw fail("target_modules and layers_to_transform of \(AdapterConfiguration.name) do not name this module")
        }
        var pair = pairs[matrix] ?? Pair(module: module)
        guard pair.module == module else { throw fail("the module stands there also as \(pair.module)") }
        if part == ".lora_A.weight" { pair.a = entry } else { pair.b = entry }
        pairs[matrix] = pair
    }

    private mutating func sortSaved(
        _ inner: String, _ entry: SafeTensorsFile.Entry, _ fail: (String) -> InferenceError
    ) throws(InferenceError) {
        if inner.contains("lora_magnitude_vector") { throw fail("DoRA is not computed") }
        if inner.contains("lora_embedding_") { throw fail("an adapted embedding is not computed") }
        if inner.contains(".lora_") { throw fail("only lora_A.weight and lora_B.weight are computed") }
        guard let canonical = TensorName.canonical(inner) else { return }
        guard TensorName.savedProjector.contains(canonical), !configuration.savedModules.isEmpty else {
            throw fail("of the modules that are saved whole (modules_to_save) only the projector is computed")
        }
        saved[canonical] = entry
    }

    private mutating func checkPairs(_ model: ModelConfiguration) throws(InferenceError) {
        let layers = model.adaptableMatrices
        for (matrix, pair) in pairs.sorted(by: { $0.key < $1.key }) {
            func fail(_ what: String) -> InferenceError {
                InferenceError(.invalidModel, "\(file.url.path): \(pair.module): \(what)")
            }
            guard let size = layers[matrix] else {
                throw fail("the model has no layer of this name that an adapter may change")
            }
            guard let a = pair.a else { throw fail("lora_A.weight is missing") }
            guard let b = pair.b else { throw fail("lora_B.weight is missing") }
            let rank = a.shape.first ?? 0
            guard a.shape == [rank, size.inputs], b.shape == [size.outputs, rank], rank > 0 else {
                throw fail(
                    "expected lora_A.weight of shape [rank, \(size.inputs)] and lora_B.weight of shape"
                        + " [\(size.outputs), rank] in F32, F16 or BF16, found \(a.shape) and \(b.shape); was it trained on"
                        + " another model?")
            }
            for (half, entry) in [("lora_A", a), ("lora_B", b)] { try refuseNotFinite(entry, "\(pair.module).\(half)") }
            pairs[matrix]!.scale = try configuration.scale(of: pair.module, rank: rank)
        }
    }

    private func checkSaved(_ model: ModelConfiguration) throws(InferenceError) {
        guard !configuration.savedModules.isEmpty else { return }
        let shapes = [[model.text.width, model.vision.width], [model.text.width]]
        for (name, shape) in zip(TensorName.savedProjector, shapes) {
            guard let entry = saved[name] else {
                throw InferenceError(
                    .unsupportedModel,
                    "\(file.url.path): modules_to_save is \(configuration.savedModules), but there is no tensor \(name): only"
                        + " the projector may be saved whole")
            }
            guard entry.shape == shape else {
                throw InferenceError(
                    .invalidModel,
                    "\(file.url.path): tensor \(name): expected shape \(shape), found \(entry.shape)")
            }
            try refuseNotFinite(entry, name)
        }
        if pairs[TensorName.savedProjector[0]] != nil {
            throw InferenceError(.invalidModel, "\(file.url.path): the projector is saved whole, and adapted as well")
        }
    }

    private func refuseNotFinite(_ entry: SafeTensorsFile.Entry, _ name: String) throws(InferenceError) {
        let total = entry.shape.reduce(1, *)
        let count = file.withBytes(of: entry) { bytes in
            bytes.withUnsafeBytes { countNotFinite($0.baseAddress!, entry.type.kernelType, total) }
        }
        guard count > 0 else { return }
        throw InferenceError(
            .invalidModel, "\(file.url.path): tensor \(name): \(count) of \(total) numbers are not finite")
    }

    /// The identity of a model that it is merged into.
    func digest(mergedInto model: String) -> String { sha256(Array("\(model)\n\(digest)\n".utf8)) }

    /// The matrices of what is added to the matrix `name`; nil: nothing.
    func factors(of name: String) -> Factors? {
        guard let pair = pairs[name], let a = pair.a, let b = pair.b else { return nil }
        let scaled = floats(b).map { $0 * pair.scale }
        return Factors(a: floats(a), b: scaled, rank: a.shape[0])
    }

    /// A tensor that stands in the place of the model's own.
    func savedTensor(_ name: String) -> (file: SafeTensorsFile, entry: SafeTensorsFile.Entry)? {
        saved[name].map { (file, $0) }
    }

    private func floats(_ entry: SafeTensorsFile.Entry) -> [Float] {
        file.withBytes(of: entry) { Inference.floats(from: $0, type: entry.type) }
    }
}

extension ModelConfiguration {
    /// The matrices that an adapter may change, by canonical name.
    fileprivate var adaptableMatrices: [String: (outputs: Int, inputs: Int)] {
        var found: [String: (outputs: Int, inputs: Int)] = [:]
        let (queries, keys) = (text.heads * text.headSize, text.kvHeads * text.headSize)
        for index in 0..<text.layers {
            let name = TensorName.text(index)
            for (part, outputs) in zip(TensorName.textProjections, [queries, keys, keys]) {
                found[name + part] = (outputs, text.width)
            }
            found[name + TensorName.textOutput] = (text.width, queries)
            for part in TensorName.gateAndUp { found[name + part] = (text.mlp, text.width) }
            found[name + TensorName.down] = (text.width, text.mlp)
        }
        for index in 0..<vision.layers {
            let name = TensorName.vision(index)
            for part in TensorName.visionProjections + [TensorName.visionOutput] {
                found[name + part + ".weight"] = (vision.width, vision.width)
            }
            found[name + TensorName.fc1 + ".weight"] = (vision.mlp, vision.width)
            found[name + TensorName.fc2 + ".weight"] = (vision.width, vision.mlp)
        }
        found[TensorName.savedProjector[0]] = (text.width, vision.width)
        return found
    }
}
