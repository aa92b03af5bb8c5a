import ArgumentParser
import Foundation

/// Where the names of images come from.
enum NameSource: String, ExpressibleByArgument, CaseIterable {
    /// The last part of the image's URL.
    case url
    /// The key of the first job about it.
    case key
    /// The SHA-256 of the file.
    case sha256
}

/// Gives each image a file name that no other one has, and that every file system takes. Two images whose names differ in
/// the extension alone, or in the case of letters, would have one label file: the later one, by its number, gets a part of
/// its SHA-256.
struct ImageNames {
    private static let longest = 100
    private let source: NameSource
    /// Hashes of the stems: names take ten times as much memory. If two have one hash, one of them is longer than it need be.
    private var taken: Set<UInt64> = []

    init(_ source: NameSource) { self.source = source }

    /// The name of the next image.
    mutating func name(of image: ExportedImage) -> String {
        let name = Self.parts(text(of: image))
        let known = Self.extensions[image.format] ?? []
        let isNamed = known.contains(name.extension.lowercased())
        let end = isNamed ? name.extension : known.first ?? image.format
        // An extension that is no image's is a part of the name.
        var stem = isNamed || name.extension.isEmpty ? name.stem : "\(name.stem).\(name.extension)"
        if Self.isAnyImage(name.extension), !isNamed { stem = name.stem }
        stem = Self.cut(stem, to: Self.longest)
        if !taken.insert(Self.hash(stem)).inserted {
            stem += "-" + image.sha256.prefix(16)
            taken.insert(Self.hash(stem))
        }
        return "\(stem).\(end)"
    }

    private func text(of image: ExportedImage) -> String {
        guard let job = image.jobs.first, source != .sha256 else { return image.sha256 }
        if source == .key { return Self.safe(job.key ?? "") }
        return Self.plainPart(of: job.url) ?? Self.part(of: job.url) ?? String(image.sha256.prefix(16))
    }

    /// What `part` gives, for URLs that most are: quickly, since there may be millions; nil for others.
    static func plainPart(of url: String) -> String? {
        let bytes = url.utf8
        guard bytes.starts(with: "http".utf8), let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let part = bytes[bytes.index(after: slash)...]
        guard let first = part.first, first != UInt8(ascii: "."), part.last != UInt8(ascii: ".") else { return nil }
        let isPlain = part.allSatisfy { byte in
            48..<58 ~= byte || 65..<91 ~= byte || 97..<123 ~= byte || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
        // A slash behind a question mark is none of the path, nor is one of `https://`.
        guard isPlain, !bytes.contains(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }),
            bytes.lazy.filter({ $0 == UInt8(ascii: "/") }).count > 2
        else { return nil }
        return String(part)
    }

    /// The last part of a URL's path, as a file may be called; nil for a `data:` URL, which has none.
    static func part(of url: String) -> String? {
        guard url.prefix(5).lowercased() != "data:" else { return nil }
        let path = url.prefix { $0 != "?" && $0 != "#" }
        let part = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(3).last ?? ""
        return safe(part.removingPercentEncoding ?? String(part))
    }

    /// Without what a file system of any kind refuses.
    private static func safe(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = scalar.properties.generalCategory == .control
            let isRefused = isControl || "<>:\"/\\|?*".unicodeScalars.contains(scalar)
            scalars.append(isRefused ? "_" : scalar)
        }
        while scalars.first == "." || scalars.first == " " { scalars.removeFirst() }
        while scalars.last == "." || scalars.last == " " { scalars.removeLast() }
        return scalars.isEmpty ? "image" : String(scalars)
    }

    private static func parts(_ name: String) -> (stem: String, extension: String) {
        guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot != name.startIndex else { return (name, "") }
        return (String(name[..<dot]), String(name[name.utf8.index(after: dot)...]))
    }

    /// The first one is what a name gets that has none.
    private static let extensions = [
        "jpeg": ["jpg", "jpeg"], "png": ["png"], "webp": ["webp"], "gif": ["gif"], "bmp": ["bmp"], "avif": ["avif"],
        "tiff": ["tif", "tiff"], "heic": ["heic", "heif"],
    ]

    private static func isAnyImage(_ name: String) -> Bool {
        extensions.values.contains { $0.contains(name.lowercased()) }
    }

    private static func cut(_ text: String, to byteCount: Int) -> String {
        var text = text
        while text.utf8.count > byteCount { text.removeLast() }
        return text
    }

    /// FNV-1a, 64 bits, of the lower case: the same in every run.
    private static func hash(_ text: String) -> UInt64 {
        let isASCII = text.utf8.allSatisfy { $0 < 0x80 }
        return (isASCII ? text : text.lowercased()).utf8.reduce(0xCBF2_9CE4_8422_2325) { hash, byte in
            let lower = isASCII && 65..<91 ~= byte ? byte + 32 : byte
            return (hash ^ UInt64(lower)) &* 0x100_0000_01B3
        }
    }
}
