import Foundation

/// One safetensors file, mapped into memory: u64 header length, JSON header, raw little-endian row-major data.
///
/// Source: https://github.com/huggingface/safetensors#format. Nothing is allocated by a length that the file states
/// before it is checked against the file's size.
struct SafeTensorsFile {
    /// Where a tensor lies, checked against the file.
    struct Entry {
        let type: StoredType
        let shape: [Int]
        let range: Range<Int>
    }

    let url: URL
    let entries: [String: Entry]
    /// What wrote it, by its own metadata: "pt" for transformers.
    let format: String?
    private let data: Data

    init(_ url: URL) throws(InferenceError) { try self.init(mapFile(url), url) }

    /// A file's bytes; `url` is named in errors.
    init(_ data: Data, _ url: URL) throws(InferenceError) {
        self.url = url
        self.data = data
        (entries, format) = try Self.readHeader(data, url)
    }

    /// The bytes of `entry`.
    func withBytes<R>(of entry: Entry, _ body: (RawSpan) -> R) -> R {
        let range = data.startIndex + entry.range.lowerBound..<data.startIndex + entry.range.upperBound
        return body(data.bytes.extracting(range))
    }

    private static func readHeader(_ data: Data, _ url: URL) throws(InferenceError) -> ([String: Entry], String?) {
        let name = url.lastPathComponent
        guard data.count >= 8 else {
            throw InferenceError(.invalidModel, "\(name): \(data.count) bytes are too few for a safetensors file")
        }
        let length = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length >= 2, length <= 100_000_000, length <= UInt64(data.count - 8) else {
            throw InferenceError(
                .invalidModel,
                "\(name): not a safetensors file, or truncated: it states a header of \(length) bytes in a"
                    + " file of \(data.count)"
            )
        }
        let start = 8 + Int(length)
        let header: [String: HeaderValue]
        do {
            header = try JSONDecoder().decode([String: HeaderValue].self, from: data[8..<start])
        } catch {
            throw InferenceError(.invalidModel, "\(name): the safetensors header is not valid: \(error)")
        }
        var entries: [String: Entry] = [:]
        var format: String?
        for (tensor, value) in header {
            switch value {
            case .tensor(let stated): entries[tensor] = try check(tensor, stated, start: start, size: data.count, name)
            case .metadata(let metadata): format = metadata["format"]
            }
        }
        return (entries, format)
    }

    private static func check(
        _ tensor: String, _ stated: HeaderTensor, start: Int, size: Int, _ name: String
    ) throws(InferenceError) -> Entry {
        func fail(_ what: String) -> InferenceError {
            InferenceError(.invalidModel, "\(name): tensor \(tensor): \(what)")
        }
        let types: [String: StoredType] = ["F32": .f32, "F16": .f16, "BF16": .bf16]
        // Buffers of integers (position_ids) are never read: any type that is not a float may stand there.
        let byteCount = types[stated.dtype]?.byteCount
        guard stated.data_offsets.count == 2, let low = stated.data_offsets.first, let high = stated.data_offsets.last,
            low >= 0, low <= high, high <= size - start
        else {
            throw fail(
                "data_offsets \(stated.data_offsets) do not lie within the \(size - start) bytes of data; is the"
                    + " file truncated?"
            )
        }
        guard let byteCount, let type = types[stated.dtype] else {
            return Entry(type: .f32, shape: [-1], range: start + low..<start + high)
        }
        var expected = byteCount
        for extent in stated.shape {
            let (product, overflow) = expected.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow else { throw fail("shape \(stated.shape) is not valid") }
            expected = product
        }
        guard expected == high - low else {
            throw fail("shape \(stated.shape) of \(stated.dtype) needs \(expected) bytes, found \(high - low)")
        }
        return Entry(type: type, shape: stated.shape, range: start + low..<start + high)
    }
}

private struct HeaderTensor: Decodable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
}

/// A header's value: a tensor, or `__metadata__`.
private enum HeaderValue: Decodable {
    case tensor(HeaderTensor)
    case metadata([String: String])

    init(from decoder: any Decoder) throws {
        if let metadata = try? [String: String](from: decoder) {
            self = .metadata(metadata)
        } else {
            self = .tensor(try HeaderTensor(from: decoder))
        }
    }
}

/// A file's bytes, mapped; the error names the path and the system's reason.
func mapFile(_ url: URL) throws(InferenceError) -> Data {
    let data: Data
    do {
        data = try Data(contentsOf: url, options: .alwaysMapped)
    } catch {
        let missing = !FileManager.default.fileExists(atPath: url.path)
        throw InferenceError(.invalidModel, "\(url.path): \(missing ? "no such file" : "can't be read: \(error)")")
    }
    try ForeignFormat.refusePointer(data, path: url.path)
    return data
}
