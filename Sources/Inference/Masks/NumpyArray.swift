import Foundation

/// A `.npy` file: an array of f32 in C order, format 1 to 3. Pickles are refused: to read one runs its code.
struct NumpyArray {
    let shape: [Int]
    let values: [Float]

    /// Reads a file's bytes; `name` is named in errors.
    init(_ bytes: [UInt8], name: String) throws(InferenceError) {
        func error(_ what: String) -> InferenceError { InferenceError(.invalidModel, "\(name): \(what)") }
        guard bytes.count >= 12, bytes.starts(with: [0x93] + "NUMPY".utf8), (1...3).contains(bytes[6]) else {
            throw error("not a .npy file of format 1 to 3")
        }
        let lengthBytes = bytes[6] == 1 ? 2 : 4
        let length = bytes[8..<8 + lengthBytes].reversed().reduce(0) { $0 << 8 | Int($1) }
        let start = 8 + lengthBytes + length
        guard start <= bytes.count else { throw error("the header is truncated") }
        let header = String(decoding: bytes[8 + lengthBytes..<start], as: UTF8.self)
        let type = header.firstMatch(of: #/'descr': *'([^']*)'/#).map { String($0.1) } ?? "a record"
        guard !type.contains("O") else { throw error("is a pickle, which is not read: only numbers are") }
        guard type == "<f4" else { throw error("is of type \(type), expected <f4") }
        guard header.contains(#/'fortran_order': *False/#) else { throw error("is in Fortran order, expected C order") }
        guard let list = header.firstMatch(of: #/'shape': *\(([0-9, ]*)\)/#)?.1 else { throw error("has no shape") }
        shape = list.split(separator: ",").compactMap { Int($0.filter { $0 != " " }) }
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw error("shape \(shape) is not valid") }
            count = product
        }
        guard count.multipliedReportingOverflow(by: 4) == (bytes.count - start, false) else {
            throw error("shape \(shape) does not fit its \(bytes.count - start) bytes")
        }
        let body = Array(bytes[start...])
        values = floats(from: body.span.bytes, type: .f32)
    }
}
