/// A row that passes by: values in PostgreSQL's text format, kept until the next row comes.
public struct StreamedRow: Sendable {
    /// The values as UTF-8, one behind the other.
    public private(set) var bytes: [UInt8] = []
    /// Where each value ends; −1: it is NULL.
    private var ends: [Int32] = []
    /// Where each value begins.
    private var starts: [Int32] = []

    /// How many columns it has.
    public var count: Int { ends.count }

    /// Where a value lies in ``bytes``; nil: it is NULL.
    public func range(_ column: Int) -> Range<Int>? {
        ends[column] < 0 ? nil : Int(starts[column])..<Int(ends[column])
    }

    /// A value; nil is NULL.
    public subscript(column: Int) -> String? {
        range(column).map { String(decoding: bytes[$0], as: UTF8.self) }
    }

    /// All values; nil is NULL.
    public var values: [String?] { (0..<count).map { self[$0] } }

    /// Takes the place of the row before.
    /// - Parameter line: a line of COPY's text format, with its end.
    mutating func read(_ line: UnsafeRawBufferPointer) {
        bytes.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        bytes.append(contentsOf: line)
        var (at, end, start, isNull) = (0, 0, 0, false)
        bytes.withUnsafeMutableBufferPointer { bytes in
            // What is behind `end` is not read yet: values only become shorter.
            while at < bytes.count {
                let byte = bytes[at]
                at += 1
                switch byte {
                case UInt8(ascii: "\t"), UInt8(ascii: "\n"):
                    starts.append(Int32(start))
                    ends.append(isNull ? -1 : Int32(end))
                    (start, isNull) = (end, false)
                case UInt8(ascii: "\\") where at < bytes.count:
                    let letter = bytes[at]
                    at += 1
                    if letter == UInt8(ascii: "N") {
                        isNull = true
                    } else {
                        bytes[end] = Self.unescaped(letter)
                        end += 1
                    }
                default:
                    bytes[end] = byte
                    end += 1
                }
            }
        }
        bytes.removeSubrange(end...)
    }

    /// What a backslash and this letter stand for.
    private static func unescaped(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "v"): 0x0B
        default: letter
        }
    }
}
