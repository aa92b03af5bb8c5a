import Images
import Inference

/// What is asked of a decoder first: what a file's header says. The decoder keeps the file for the order that follows.
struct DecodeRequest {
    let file: [UInt8]
    /// The background is the order's.
    let limits: DecodeLimits

    /// Bytes of the head.
    private static let headCount = 40

    /// Five numbers; the file follows.
    var head: [UInt8] {
        let formats = ImageFormat.allCases.enumerated().reduce(UInt64(0)) { mask, entry in
            limits.formats.contains(entry.element) ? mask | 1 << UInt64(entry.offset) : mask
        }
        return words([
            UInt64(file.count), UInt64(limits.maxPixels), formats, UInt64(limits.minSide),
            limits.maxAspectRatio.bitPattern,
        ])
    }

    init(file: [UInt8], limits: DecodeLimits) {
        self.file = file
        self.limits = limits
    }

    /// Waits for the next request; nil at the end.
    init?(from pipe: Pipe) {
        guard let head = try? pipe.read(Self.headCount, by: nil),
            let file = try? pipe.read(Int(word(head[0..<8])), by: nil)
        else { return nil }
        let numbers = stride(from: 8, to: Self.headCount, by: 8).map { word(head[$0..<$0 + 8]) }
        let formats = ImageFormat.allCases.enumerated().filter { numbers[1] >> UInt64($0.offset) & 1 == 1 }
        var limits = DecodeLimits(maxPixels: Int(numbers[0]), formats: Set(formats.map(\.element)))
        limits.minSide = Int(numbers[2])
        limits.maxAspectRatio = Double(bitPattern: numbers[3])
        self.init(file: file, limits: limits)
    }
}

/// What is asked of a decoder next: the pixels, or nothing.
struct DecodeOrder: Equatable {
    let background: DecodeLimits.Colour
    /// The pixels that are wanted; none: 0.
    let size: DecodedSize
    let resize: Resize
    /// A second picture that is wanted, resized by bicubic.
    let preview: DecodedSize

    /// The pixels are not wanted.
    static let nothing = DecodeOrder(background: .white, size: .zero, resize: .bicubic)

    var bytes: [UInt8] {
        words([
            UInt64(background.rgb), UInt64(size.width), UInt64(size.height),
            UInt64(Resize.allCases.firstIndex(of: resize) ?? 0), UInt64(preview.width), UInt64(preview.height),
        ])
    }

    init(background: DecodeLimits.Colour, size: DecodedSize, resize: Resize, preview: DecodedSize = .zero) {
        self.background = background
        self.size = size
        self.resize = resize
        self.preview = preview
    }

    /// Waits for the order; nil at the end.
    init?(from pipe: Pipe) {
        guard let bytes = try? pipe.read(48, by: nil), let index = Int(exactly: word(bytes[24..<32])),
            Resize.allCases.indices.contains(index)
        else { return nil }
        self.init(
            background: DecodeLimits.Colour(rgb: UInt32(word(bytes[0..<8]))),
            size: DecodedSize(width: Int(word(bytes[8..<16])), height: Int(word(bytes[16..<24]))),
            resize: Resize.allCases[index],
            preview: DecodedSize(width: Int(word(bytes[32..<40])), height: Int(word(bytes[40..<48]))))
    }
}

/// What a decoder answers. Whoever reads it trusts nothing in it: a decoder may have been taken over by a file.
enum DecodeReply {
    /// What may be wrong with a file. All are permanent, so that no answer can hold a job up for ever.
    private static let codes: [ImageError.Code] = [
        .notAnImage, .unsupportedFormat, .truncated, .corrupt, .tooManyPixels, .tooSmall, .aspectRatio,
    ]
    private static let longestMessage = 2000
    private static let headerCount = 40

    /// The number 0, the length of the content, the content; or a code's number, the length of the message, the message. Nil where the
    /// decoder has no memory: then it had better end.
    static func bytes(_ result: Result<[UInt8], ImageError>) -> [UInt8]? {
        switch result {
        case .success(let content): return words([0, UInt64(content.count)]) + content
        case .failure(let error):
            guard let index = codes.firstIndex(of: error.code) else { return nil }
            let text = error.message.utf8.prefix(longestMessage)
            return words([UInt64(index + 1), UInt64(text.count)]) + text
        }
    }

    /// The content of the first answer.
    static func content(of header: ImageHeader) -> [UInt8] {
        let format = ImageFormat.allCases.firstIndex(of: header.format) ?? 0
        return words([header.width, header.height, header.orientation, format, header.workingBytes].map { UInt64($0) })
    }

    /// Reads the first answer. Nil where it makes no sense.
    static func readHeader(
        from pipe: Pipe, limits: DecodeLimits, by deadline: ContinuousClock.Instant
    ) throws(Pipe.Failure) -> Result<ImageHeader, ImageError>? {
        switch try read(from: pipe, count: headerCount, by: deadline) {
        case .success(let content): header(content, limits).map { .success($0) }
        case .failure(let error): .failure(error)
        case nil: nil
        }
    }

    /// Reads the second answer: [height, width, 3] bytes, and those of the preview behind them. Nil where it makes no sense.
    static func readPixels(
        from pipe: Pipe, _ order: DecodeOrder, by deadline: ContinuousClock.Instant
    ) throws(Pipe.Failure) -> Result<[UInt8], ImageError>? {
        try read(from: pipe, count: order.size.byteCount + order.preview.byteCount, by: deadline)
    }

    private static func header(_ content: [UInt8], _ limits: DecodeLimits) -> ImageHeader? {
        let numbers = stride(from: 0, to: headerCount, by: 8).map { Int(clamping: word(content[$0..<$0 + 8])) }
        guard ImageFormat.allCases.indices.contains(numbers[3]) else { return nil }
        let header = ImageHeader(
            width: numbers[0], height: numbers[1], orientation: numbers[2], format: ImageFormat.allCases[numbers[3]],
            workingBytes: numbers[4])
        return header.isPossible(within: limits) ? header : nil
    }

    private static func read(
        from pipe: Pipe, count expected: Int, by deadline: ContinuousClock.Instant
    ) throws(Pipe.Failure) -> Result<[UInt8], ImageError>? {
        let head = try pipe.read(16, by: deadline)
        let (code, count) = (word(head[0..<8]), word(head[8..<16]))
        if code == 0 {
            guard count == UInt64(expected) else { return nil }
            return .success(try pipe.read(expected, by: deadline))
        }
        guard code <= UInt64(codes.count), count <= UInt64(longestMessage) else { return nil }
        let text = String(decoding: try pipe.read(Int(count), by: deadline), as: UTF8.self)
        return .failure(ImageError(codes[Int(code) - 1], text.filter { !$0.isNewline && $0 != "\0" }))
    }
}

/// Numbers of eight bytes each; both sides are the same program on the same machine.
func words(_ numbers: [UInt64]) -> [UInt8] {
    numbers.flatMap { number in withUnsafeBytes(of: number) { Array($0) } }
}

func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
