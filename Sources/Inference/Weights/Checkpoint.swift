import Foundation

/// The tensors of a Hugging Face folder, single or sharded, by canonical name.
///
/// Loading takes each tensor once; `finish` reports those that nobody took.
struct Checkpoint: WeightSource {
    /// How matrices are to be held.
    let precision: Precision
    private let files: [SafeTensorsFile]
    private let places: [String: (file: Int, name: String)]
    private var taken: Set<String> = []

    /// - Parameter precision: nil: bf16 where all tensors are stored so, else f32.
    init(folder: URL, precision: Precision?) throws(InferenceError) {
        let names = try Self.fileNames(folder)
        var files: [SafeTensorsFile] = []
        var places: [String: (file: Int, name: String)] = [:]
        for (index, name) in names.enumerated() {
            let file = try SafeTensorsFile(folder.appending(path: name))
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

    /// The weight files of a folder: those that the index names, or the single one.
    static func fileNames(_ folder: URL) throws(InferenceError) -> [String] {
        let index = folder.appending(path: "model.safetensors.index.json")
        guard FileManager.default.fileExists(atPath: index.path) else { return ["model.safetensors"] }
        return try fileNames(index: mapFile(index), path: index.path)
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

    /// Values of a tensor of exactly `shape`.
    mutating func vector(_ name: String, shape: [Int]) throws(InferenceError) -> [Float] {
        let (file, entry) = try take(name, shape: shape)
        return file.withBytes(of: entry) { floats(from: $0, type: entry.type) }
    }

    /// Matrices with `inputs` columns, stacked in this order into one: [rows of each, added up].
    mutating func matrix(_ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?) throws(InferenceError)
        -> PackedWeights
    {
        let (packed, found) = try take(parts, inputs: inputs, shape: shape, isGated: false)
        var row = 0
        for (part, (file, entry)) in zip(parts, found) {
            file.withBytes(of: entry) { packed.fill(at: row, rows: part.rows, from: $0, type: entry.type) }
            row += part.rows
        }
        return packed
    }

    /// Gate and up, two matrices of one size, interleaved as GEGLU takes them.
    mutating func gatedPair(_ parts: [(name: String, rows: Int)], inputs: Int) throws(InferenceError) -> PackedWeights {
        let (packed, found) = try take(parts, inputs: inputs, shape: nil, isGated: true)
        for (gate, (file, entry)) in found.enumerated() {
            file.withBytes(of: entry) {
                packed.fill(at: 0, rows: parts[gate].rows, gate: gate, from: $0, type: entry.type)
            }
        }
        return packed
    }

    private mutating func take(
        _ parts: [(name: String, rows: Int)], inputs: Int, shape: [Int]?, isGated: Bool
    ) throws(InferenceError) -> (PackedWeights, [(SafeTensorsFile, SafeTensorsFile.Entry)]) {
        var found: [(SafeTensorsFile, SafeTensorsFile.Entry)] = []
        for part in parts { found.append(try take(part.name, shape: shape ?? [part.rows, inputs])) }
        let stored: StoredType = found.allSatisfy { $0.1.type == .bf16 } ? .bf16 : .f32
        let shape = WeightShape(
            outputs: parts.reduce(0) { $0 + $1.rows }, inputs: inputs, type: precision.weightType(stored),
            isGated: isGated)
        return (PackedWeights(shape), found)
    }

    /// Refuses tensors that no part of the model took: the checkpoint is of another kind than its configuration says.
    func finish() throws(InferenceError) {
        let extra = places.filter { !taken.contains($0.key) }.sorted { $0.key < $1.key }
        guard let first = extra.first else { return }
        throw InferenceError(
            .invalidModel,
            "\(files[first.value.file].url.lastPathComponent): tensor \(first.value.name) is not part of the model that config.json"
                + " describes (\(extra.count) such tensors)")
    }

    private mutating func take(
        _ name: String, shape: [Int]
    ) throws(InferenceError) -> (SafeTensorsFile, SafeTensorsFile.Entry) {
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
        return (files[place.file], entry)
    }
}
