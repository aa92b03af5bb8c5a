import Images

/// What is asked of a decoder: a file, and how its pixels are wanted.
struct DecodeRequest {
    let file: [UInt8]
    let limits: DecodeLimits
    /// Side of the image that the model takes, pixels; 0 asks only how many bytes decoding takes.
    let size: Int

    /// Bytes of the head.
    private static let headCount = 32

    /// Four numbers; the file follows.
    var head: [UInt8] {
        words([UInt64(file.count), UInt64(limits.maxPixels), UInt64(limits.background.rgb), UInt64(size)])
    }

    init(file: [UInt8], limits: DecodeLimits, size: Int) {
        self.file = file
        self.limits = limits
        self.size = size
    }

    /// Waits for the next request; nil at the end.
    init?(from pipe: Pipe) {
        guard let head = try? pipe.read(Self.headCount, by: nil) else { return nil }
        let numbers = stride(from: 0, to: Self.headCount, by: 8).map { word(head[$0..<$0 + 8]) }
        guard let file = try? pipe.read(Int(numbers[0]), by: nil) else { return nil }
        self.file = file
        limits = DecodeLimits(
            maxPixels: Int(numbers[1]), background: DecodeLimits.Colour(rgb: UInt32(numbers[2])))
        size = Int(numbers[3])
    }
}

/// What a decoder answers. Whoever reads it trusts nothing in it: a decoder may have been taken over by a file.
enum DecodeReply {
    /// What may be wrong with a file. All are permanent, so that no answer can hold a job up for ever.
    private static let codes: [ImageError.Code] = [
        .notAnImage, .unsupportedFormat, .truncated, .corrupt, .tooManyPixels,
    ]
    private static let longestMessage = 2000

    /// The reply to a request: the number 0 and the image's [size, size, 3] bytes, or the 8 of a number; or a code's number, the length of the message, the
    /// message. Nil where the decoder has no memory: then it had better end.
    static func bytes(_ result: Result<[UInt8], ImageError>) -> [UInt8]? {
        switch result {
        case .success(let pixels): return words([0, UInt64(pixels.count)]) + pixels
        case .failure(let error):
            guard let index = codes.firstIndex(of: error.code) else { return nil }
            let text = error.message.utf8.prefix(longestMessage)
            return words([UInt64(index + 1), UInt64(text.count)]) + text
        }
    }

    /// Reads the reply to a request. Nil where it makes no sense.
    static func read(
        from pipe: Pipe, size: Int, by deadline: ContinuousClock.Instant
    ) throws(Pipe.Failure) -> Result<[UInt8], ImageError>? {
        let head = try pipe.read(16, by: deadline)
        let (code, count) = (word(head[0..<8]), word(head[8..<16]))
        if code == 0 {
            guard count == UInt64(size == 0 ? 8 : 3 * size * size) else { return nil }
            return .success(try pipe.read(Int(count), by: deadline))
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
