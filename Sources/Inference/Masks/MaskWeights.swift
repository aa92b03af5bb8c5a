import Foundation

/// The tensors of a mask decoder's file, .npz or .safetensors, by the names of big_vision's vae-oid.npz.
struct MaskWeights {
    /// A tensor: values in row-major order.
    struct Tensor {
        let shape: [Int]
        let values: [Float]
    }

    private enum Source {
        case numpy(ZipArchive)
        case safetensors(SafeTensorsFile)
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    let digest: String
    private let source: Source
    private let path: String

    /// Opens a file.
    init(contentsOf url: URL) throws(InferenceError) {
        path = url.path
        let data = try mapFile(url)
        digest = sha256([UInt8](data))
        // A .npz is a zip file: "PK".
        source =
            data.starts(with: [0x50, 0x4B])
            ? .numpy(try ZipArchive(data, path: url.path)) : .safetensors(try SafeTensorsFile(data, url))
    }

    /// A tensor of four dimensions, or of two or one.
    /// - Throws: `InferenceError` if it is missing, has another number of dimensions, or a number that is not finite.
    func tensor(_ name: String, dimensions: Int) throws(InferenceError) -> Tensor {
        let found = try read(name)
        guard found.shape.count == dimensions, !found.shape.contains(0) else {
            throw error("\(name) has the shape \(found.shape), expected \(dimensions) dimensions")
        }
        guard found.values.allSatisfy(\.isFinite) else { throw error("\(name) has a number that is not finite") }
        return found
    }

    /// What is wrong with the file.
    func error(_ what: String) -> InferenceError {
        InferenceError(.invalidModel, "\(path): \(what); a mask decoder has the tensors of big_vision's vae-oid.npz")
    }

    private func read(_ name: String) throws(InferenceError) -> Tensor {
        switch source {
        case .numpy(let archive):
            guard let bytes = try archive.contents(name + ".npy") else { throw error("there is no tensor \(name)") }
            let array = try NumpyArray(bytes, name: "\(path): \(name)")
            return Tensor(shape: array.shape, values: array.values)
        case .safetensors(let file):
            guard let entry = file.entries[name] else { throw error("there is no tensor \(name)") }
            guard entry.shape != [-1] else { throw error("\(name) is not of floats") }
            return Tensor(
                shape: entry.shape, values: file.withBytes(of: entry) { floats(from: $0, type: entry.type) })
        }
    }
}
