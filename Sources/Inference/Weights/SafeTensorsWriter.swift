import Foundation

/// Writes f32 tensors as a safetensors file, of any size, a part at a time.
struct SafeTensorsWriter {
    private let file: FileHandle
    private let partial: URL
    private let url: URL
    /// Numbers that are still to come.
    private var missing: Int

    /// Begins a file that replaces `url` once it is complete. The tensors' values follow, row-major, in this order.
    init(
        _ tensors: [(name: String, shape: [Int])], metadata: [String: String] = ["format": "pt"], to url: URL
    ) throws {
        let words = metadata.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",")
        var (header, offset) = (["\"__metadata__\":{\(words)}"], 0)
        for (name, shape) in tensors {
            let end = offset + shape.reduce(4, *)
            header.append("\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(offset),\(end)]}")
            offset = end
        }
        missing = offset / 4
        var json = Data("{\(header.joined(separator: ","))}".utf8)
        json.append(Data(repeating: 0x20, count: (8 - json.count % 8) % 8))
        var data = Data()
        withUnsafeBytes(of: UInt64(json.count).littleEndian) { data.append(contentsOf: $0) }
        self.url = url
        partial = url.deletingLastPathComponent().appending(path: ".\(url.lastPathComponent).partial")
        try (data + json).write(to: partial)
        file = try FileHandle(forWritingTo: partial)
        try file.seekToEnd()
    }

    mutating func append(_ values: [Float]) throws {
        missing -= values.count
        try values.withUnsafeBytes { try file.write(contentsOf: $0) }
    }

    func finish() throws {
        precondition(missing == 0, "not all values were written")
        try file.close()
        guard rename(partial.path, url.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// Takes the part that was written away.
    func cancel() { try? FileManager.default.removeItem(at: partial) }
}
