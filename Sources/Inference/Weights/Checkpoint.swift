import Foundation

/// The tensors of a Hugging Face folder, single or sharded, by canonical name.
///
/// Loading takes each tensor once; `finish` reports those that nobody took.
struct Checkpoint: WeightSource {
    /// How matrices are to be held.
    let precision: Precision
    private let files: [SafeTensorsFile]
    private var places: [String: (file: Int, name: String)]
    private var taken: Set<String> = []
    /// What is merged into the matrices.
    private let adapter: AdapterFolder?

    /// - Parameters:
    ///   - precision: nil: bf16 where all tensors are stored so, else f32.
    ///   - adapter: merged into the matrices in f32, before they are rounded.
    init(_ folder: ModelFolder, precision: Precision?, adapter: AdapterFolder? = nil) throws(InferenceError) {
        self.adapter = adapter
        let names = folder.weightFiles
        var files: [SafeTensorsFile] = []
        var places: [String: (file: Int, name: String)] = [:]
        for (index, name) in names.enumerated() {
            let file = try SafeTensorsFile(folder.url.appending(path: name))
            if file.format == "mlx" {
                throw InferenceError(
                    .unsupportedModel,
                    "\(name): written by MLX, which stores weights in an order of its own; give the model that it was"
                        + " converted from")
            }
            if let wrapper = ForeignFormat.ofNames(file.entries.keys) {
                throw InferenceError(.invalidModel, "\(name): \(wrapper)")
            }
            for tensor in file.entries.keys {
                guard let canonical = TensorName.canonical(tensor) else { continue }
                if let other = places[canonical] {
                    throw InferenceError(
                        .invalidModel,
                        "\(name): tensor \(tensor) stands also in \(names[other.file]) as \(other.name)")
                }
                places[canonical] = (index, tensor)
            }
            files.append(file)
        }
        self.files = files
        self.places = places
        let isBF16 = places.values.allSatisfy { files[$0.file].entries[$0.name]?.type == .bf16 }
        self.precision = precision ?? (isBF16 ? .bf16 : .f32)
    }

    /// The files that an index names; `path` is the index's own, for errors.
    static func fileNames(index: Data, path: String) throws(InferenceError) -> [String] {
        struct Index: Decodable { let weight_map: [String: String] }
        let names: [String]
        do { names = Set(try JSONDecoder().decode(Index.self, from: index).weight_map.values).sorted() } catch {
            throw InferenceError(.invalidModel, "\(path): not a valid index: \(describe(error))")
        }
        guard names.allSatisfy({ !$0.contains("/") && $0 != ".." }) else {
            throw InferenceError(.invalidModel, "\(path): weight_map names a file outside of its folder")
        }
        return names
    }

    /// Settles what the head is: a matrix of its own where it differs from the embedding, and the one of the two that
    /// is there for both, where they are tied. transformers 5 does the same.
    mutating func settleHead(isTied: Bool) throws(InferenceError) {
        switch (places[TensorName.tokenEmbedding], places[TensorName.head]) {
        case (let embedding?, let head?):
            if areEqual(embedding, head) { places[TensorName.head] = nil }
        case (nil, let head?) where isTied:
            places[TensorName.tokenEmbedding] = head
            places[TensorName.head] = nil
        case (.some, nil) where !isTied:
            throw missing("lm_head.weight")
        case (nil, .some): throw missing(TensorName.tokenEmbedding)
        default: break
        }
    }

    private func missing(_ name: String) -> InferenceError {
        InferenceError(
            .invalidModel,
            "\(files.map(\.url.lastPathComponent).joined(separator: ", ")): tensor \(name) is missing, and config.json's"
                + " tie_word_embeddings is false, so that no other tensor may take its place")
    }

    private func areEqual(_ one: (file: Int, name: String), _ other: (file: Int, name: String)) -> Bool {
        guard let a = files[one.file].entries[one.name], let b = files[other.file].entries[other.name],
            a.type == b.type, a.shape == b.shape
        else { return false }
        return files[one.file].withBytes(of: a) { first in
            files[other.file].withBytes(of: b) { second in
                first.withUnsafeBytes { first in second.withUnsafeBytes { first.elementsEqual($0) } }
            }
        }
    }

    func contains(_ name: String) -> Bool { places[name] != nil }

    /// Values of a tensor of exactly `shape`.
    mutating func vector(_ name: String, shape: [Int]) throws(InferenceError) -> [Float] {
        let tensor = try take(name, shape: shape)
        let values = tensor.file.withBytes(of: tensor.entry) { floats(from: $0, type: tensor.entry.type) }
        try tensor.refuse(values.count { !$0.isFinite })
        return values
    }

    /// Matrices with `inputs` columns, stacked in this order into one: [rows of each, added up].
    mutating func matrix(_ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?) throws(InferenceError)
        -> PackedWeights
    {
        let (packed, tensors) = try take(parts, inputs: inputs, shape: shape, isGated: false)
        var row = 0
        for (part, tensor) in zip(parts, tensors) {
            try tensor.fill(packed, at: row, rows: part.rows)
            row += part.rows
        }
        try refuseScales(of: packed, tensors)
        return packed
    }

    /// Gate and up, two matrices of one size, interleaved as GEGLU takes them.
    mutating func gatedPair(_ parts: [(name: String, rows: Int)], inputs: Int) throws(InferenceError) -> PackedWeights {
        let (packed, tensors) = try take(parts, inputs: inputs, shape: nil, isGated: true)
        for (gate, tensor) in tensors.enumerated() {
            try tensor.fill(packed, at: 0, rows: parts[gate].rows, gate: gate)
        }
        try refuseScales(of: packed, tensors)
        return packed
    }

    /// Numbers near f32's end may exceed it once they are rotated.
    private func refuseScales(of packed: PackedWeights, _ tensors: [Tensor]) throws(InferenceError) {
        let count = packed.notFiniteScaleCount
        guard count > 0 else { return }
        throw InferenceError(
            .invalidModel,
            "\(tensors.map(\.name).joined(separator: ", ")): \(count) rows have numbers too large for int8's scales")
    }

    private mutating func take(
        _ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?, isGated: Bool
    ) throws(InferenceError) -> (PackedWeights, [Tensor]) {
        var found: [Tensor] = []
        for part in parts { found.append(try take(part.name, shape: shape ?? [part.rows, inputs])) }
        // What is merged has more digits than the base.
        let stored: StoredType = found.allSatisfy { $0.entry.type == .bf16 && $0.added == nil } ? .bf16 : .f32
        let shape = WeightShape(
            outputs: parts.reduce(0) { $0 + $1.rows }, inputs: inputs, type: precision.weightType(stored),
            isGated: isGated)
        return (try PackedWeights(shape), found)
    }

    /// A tensor, and the name that its file has for it.
    private struct Tensor {
        let file: SafeTensorsFile
        let entry: SafeTensorsFile.Entry
        let name: String
        /// What an adapter adds.
        var added: AdapterFolder.Factors?

        func fill(_ packed: PackedWeights, at row: Int, rows: Int, gate: Int? = nil) throws(InferenceError) {
            let count = file.withBytes(of: entry) { bytes in
                guard let added else {
                    return packed.fill(at: row, rows: rows, gate: gate, from: bytes, type: entry.type)
                }
                let sums = added.added(to: floats(from: bytes, type: entry.type))
                return sums.withUnsafeBytes { packed.fill(at: row, rows: rows, gate: gate, from: $0.bytes, type: .f32) }
            }
            try refuse(count)
        }

        /// Throws where numbers are not finite: nothing that a model answers with them is.
        func refuse(_ notFiniteCount: Int) throws(InferenceError) {
            guard notFiniteCount > 0 else { return }
            let total = entry.shape.reduce(1, *)
            throw InferenceError(
                .invalidModel,
                "\(file.url.lastPathComponent): tensor \(name): \(notFiniteCount) of \(total) numbers are not finite")
        }
    }

    /// Refuses tensors that no part of the model took: the checkpoint is of another kind than its configuration says.
    func finish() throws(InferenceError) {
        let extra = places.filter { !taken.contains($0.key) }.sorted { $0.key < $1.key }
        guard let first = extra.first else { return }
        throw InferenceError(
            .invalidModel,
            "\(files[first.value.file].url.lastPathComponent): tensor \(first.value.name) is not part of the model that"
                + " config.json describes (\(extra.count) such tensors)")
    }

    private mutating func take(_ name: String, shape: [Int]) throws(InferenceError) -> Tensor {
        guard let place = places[name], let entry = files[place.file].entries[place.name] else {
            let names = files.map(\.url.lastPathComponent).joined(separator: ", ")
            throw InferenceError(.invalidModel, "\(names): tensor \(name) (shape \(shape)) is missing")
        }
        guard entry.shape == shape else {
            let file = files[place.file].url.lastPathComponent
            let found = entry.shape == [-1] ? "a type that is not F32, F16 or BF16" : "shape \(entry.shape)"
            throw InferenceError(
                .invalidModel, "\(file): tensor \(place.name): expected shape \(shape), found \(found)")
        }
        taken.insert(name)
        if let saved = adapter?.savedTensor(name) { return Tensor(file: saved.file, entry: saved.entry, name: name) }
        return Tensor(
            file: files[place.file], entry: entry, name: place.name, added: adapter?.factors(of: name))
    }
}
