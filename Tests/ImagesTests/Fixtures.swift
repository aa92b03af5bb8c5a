import Foundation

@testable import Images

/// The encoded images under Tests/Fixtures/images, and what they must decode to.
enum Fixtures {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/images")

    static let names: [String] = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { !$0.hasSuffix(".safetensors") }.sorted()

    static func file(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appending(path: name))) }

    /// Pillow's decode of a fixture, upright and on white.
    static func decoded(_ name: String) throws -> RGBImage {
        struct Entry: Decodable {
            let shape: [Int]
            let data_offsets: [Int]
        }
        // safetensors: the header's length (u64, little-endian), the header in JSON, the data.
        let file = try Data(contentsOf: folder.appending(path: "decoded.safetensors"))
        let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let entries = try JSONDecoder().decode([String: Entry].self, from: file[8..<8 + length])
        guard let entry = entries[name] else { throw CocoaError(.fileNoSuchFile) }
        let data = file[(8 + length + entry.data_offsets[0])..<(8 + length + entry.data_offsets[1])]
        return RGBImage(width: entry.shape[1], height: entry.shape[0], pixels: [UInt8](data))
    }
}

/// The largest difference between two images' channels; nil when their sizes differ.
func largestDifference(_ a: RGBImage, _ b: RGBImage) -> Int? {
    guard a.width == b.width, a.height == b.height else { return nil }
    return zip(a.pixels, b.pixels).map { abs(Int($0) - Int($1)) }.max()
}

/// The error that `work` throws; nil when it throws none.
func imageError(_ work: () throws -> some Any) -> ImageError? {
    do {
        _ = try work()
        return nil
    } catch {
        return error as? ImageError
    }
}
