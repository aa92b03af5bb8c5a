import Foundation

/// The images and categories of a ground truth in COCO's format. Its annotations, which are most of such a file, are
/// skipped unread.
struct COCOTruth {
    /// A category.
    struct Category: Decodable {
        var id: Int
        var name: String
    }

    /// An image.
    struct Image: Decodable {
        var id: Int
        var file_name: String?
        var width: Int?
        var height: Int?
    }

    let path: String
    private(set) var categories: [Category] = []
    private var images: [Int: Image] = [:]
    /// Numbers by file name, as it stands; by its last part; and by that without its extension. Nil: several have it.
    private var byName: [String: Int] = [:]
    private var byLastPart: [String: Int?] = [:]
    private var byStem: [String: Int?] = [:]

    /// - Throws: `CommandError` (`badData`) that says what is wrong where.
    init(_ path: String) throws {
        self.path = path
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) else {
            throw CommandError(.badData, "\(path): cannot be read")
        }
        do {
            try data.withUnsafeBytes { try read($0) }
        } catch let fault as JSONScanner.Fault {
            throw CommandError(.badData, "\(path), byte \(fault.place): \(fault.problem)")
        }
        guard !images.isEmpty else {
            throw CommandError(.badData, "\(path): has no images, so it is no ground truth in COCO's format")
        }
        let names = categories.map(\.name)
        guard Set(names).count == names.count else {
            throw CommandError(.badData, "\(path): two categories have one name")
        }
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer) throws {
        func decoded<Value: Decodable>(_ range: Range<Int>, _ needs: String) throws -> Value {
            guard let value = try? JSONDecoder().decode(Value.self, from: Data(bytes[range])) else {
                throw JSONScanner.Fault(place: range.lowerBound, problem: needs)
            }
            return value
        }
        var scanner = JSONScanner(bytes)
        try scanner.eachMember { name, scanner in
            switch name {
            case "images":
                try scanner.eachElement { range in
                    try add(try decoded(range, "an image needs an id, a whole number, and a file_name, a text"))
                }
            case "categories":
                try scanner.eachElement { range in
                    categories.append(try decoded(range, "a category needs an id, a whole number, and a name, a text"))
                }
            default: try scanner.skipValue()
            }
        }
    }

    private mutating func add(_ image: Image) throws(CommandError) {
        guard images.updateValue(image, forKey: image.id) == nil else {
            throw CommandError(.badData, "\(path): two images have the id \(image.id)")
        }
        guard let name = image.file_name else { return }
        byName[name] = image.id
        let last = Self.lastPart(name)
        byLastPart[last] = byLastPart[last] == nil ? image.id : .some(nil)
        let stem = Self.stem(last)
        byStem[stem] = byStem[stem] == nil ? image.id : .some(nil)
    }

    var imageCount: Int { images.count }

    /// The image that a job was about: its key is a file name, with or without extension, or a number; or its URL ends in
    /// a file name. Nil: none, or several.
    func image(of job: ExportedJob) -> Image? {
        let url = job.url.prefix { $0 != "?" && $0 != "#" }
        let path = url.removingPercentEncoding ?? String(url)
        let found = job.key.flatMap { number(ofKey: $0) } ?? number(ofPath: path)
        return found.flatMap { images[$0] }
    }

    private func number(ofKey key: String) -> Int? {
        if let number = byName[key] { return number }
        if case .some(.some(let number)) = byLastPart[key] { return number }
        if case .some(.some(let number)) = byStem[key] { return number }
        return Int(key).flatMap { images[$0] == nil ? nil : $0 }
    }

    private func number(ofPath path: String) -> Int? {
        if case .some(.some(let number)) = byLastPart[Self.lastPart(path)] { return number }
        return Self.ends(of: path).lazy.compactMap { byName[$0] }.first
    }

    private static func lastPart(_ name: String) -> String { String(name.split(separator: "/").last ?? "") }

    private static func stem(_ name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
        return String(name[..<dot])
    }

    /// `a/b/c.jpg`, `b/c.jpg` of a path.
    private static func ends(of path: String) -> [String] {
        let parts = path.split(separator: "/")
        return (0..<max(0, parts.count - 1)).map { parts[$0...].joined(separator: "/") }
    }
}

/// Walks through JSON without keeping it.
struct JSONScanner {
    /// What is wrong, and where: a byte, from 0.
    struct Fault: Error {
        var place: Int
        var problem: String
    }

    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Hands over the members of the object that comes next, by name; `body` reads or skips the value.
    mutating func eachMember(_ body: (String, inout JSONScanner) throws -> Void) throws {
        try expect("{")
        if try takes("}") { return }
        repeat {
            let name = try string()
            try expect(":")
            try body(name, &self)
        } while try takes(",")
        try expect("}")
    }

    /// Hands over where each element of the array that comes next is.
    mutating func eachElement(_ body: (Range<Int>) throws -> Void) throws {
        try expect("[")
        if try takes("]") { return }
        repeat {
            skipBlanks()
            let start = place
            try skipValue()
            try body(start..<place)
        } while try takes(",")
        try expect("]")
    }

    /// Goes on behind the value that comes next. What is within is not checked beyond quotes and brackets.
    mutating func skipValue() throws {
        skipBlanks()
        guard place < bytes.count else { throw fault("the file ends too early") }
        var depth = 0
        repeat {
            guard place < bytes.count else { throw fault("the file ends too early") }
            switch bytes[place] {
            case UInt8(ascii: "\""): try skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                place += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { throw fault("a value is missing") }
                depth -= 1
                place += 1
            case UInt8(ascii: ","), UInt8(ascii: ":"):
                guard depth > 0 else { throw fault("a value is missing") }
                place += 1
            case 0x20, 0x09, 0x0A, 0x0D: place += 1
            default: while place < bytes.count, !Self.endsScalar(bytes[place]) { place += 1 }
            }
        } while depth > 0
    }

    private static func endsScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "["),
            UInt8(ascii: "{"), UInt8(ascii: "\""), 0x20, 0x09, 0x0A, 0x0D:
            true
        default: false
        }
    }

    private mutating func string() throws -> String {
        skipBlanks()
        let start = place
        guard place < bytes.count, bytes[place] == UInt8(ascii: "\"") else { throw fault("a name is missing") }
        try skipString()
        guard let text = try? JSONDecoder().decode(String.self, from: Data(bytes[start..<place])) else {
            throw fault("a name cannot be read")
        }
        return text
    }

    private mutating func skipString() throws {
        place += 1
        while place < bytes.count, bytes[place] != UInt8(ascii: "\"") {
            place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard place < bytes.count else { throw fault("a string is not closed") }
        place += 1
    }

    private mutating func takes(_ character: Unicode.Scalar) throws -> Bool {
        skipBlanks()
        guard place < bytes.count else { throw fault("the file ends too early") }
        guard bytes[place] == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard try takes(character) else { throw fault("\(character) is missing") }
    }

    private mutating func skipBlanks() {
        while place < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[place]) { place += 1 }
    }

    private func fault(_ problem: String) -> Fault { Fault(place: min(place, bytes.count), problem: problem) }
}
