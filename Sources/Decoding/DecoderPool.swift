import Foundation
import Images
import Inference
import Synchronization

/// An image's pixels as they were asked for, and what its file says.
package struct DecodedImage: Sendable {
    /// [height, width, 3] bytes.
    package let pixels: [UInt8]
    package let size: DecodedSize
    /// The same of the preview; nil: none was asked for.
    package let preview: (pixels: [UInt8], size: DecodedSize)?
    package let header: ImageHeader

    init(_ bytes: [UInt8], _ order: DecodeOrder, _ header: ImageHeader) {
        let count = order.size.byteCount
        size = order.size
        self.header = header
        pixels = order.preview == .zero ? bytes : Array(bytes[..<count])
        preview = order.preview == .zero ? nil : (pixels: Array(bytes[count...]), size: order.preview)
    }
}

/// How many pixels are wanted of an image.
package struct DecodedSize: Sendable, Equatable {
    package let width: Int
    package let height: Int

    package init(width: Int, height: Int) { (self.width, self.height) = (width, height) }

    /// Nothing at all.
    static let zero = DecodedSize(width: 0, height: 0)

    /// Of its pixels, three each.
    var byteCount: Int { 3 * width * height }

    /// A square, as models take it.
    package init(side: Int) { self.init(width: side, height: side) }

    /// The image's own shape, no side longer than so many pixels, and no larger than the image.
    package init(of header: ImageHeader, within longest: Int) {
        let scale = min(1, Double(longest) / Double(max(header.width, header.height)))
        func scaled(_ side: Int) -> Int { max(1, Int((Double(side) * scale).rounded())) }
        self.init(width: scaled(header.width), height: scaled(header.height))
    }
}

/// Decodes images in processes that hold nothing worth taking: no connection, no password, no descriptor but the one to here.
/// docs/security.md says why.
package final class DecoderPool: Sendable {
    /// What one image may cost.
    package struct Limits {
        /// What is decoded.
        package var images: DecodeLimits
        /// Files that are not wanted, by their SHA-256 in hexadecimal digits: they stand for images that are gone.
        package var placeholders: Set<String>
        /// Seconds of a processor. What takes longer is no image that anybody made to be looked at.
        var processorTime: Int
        /// How long decoding may take by the clock, on a machine that is busy.
        var patience: Duration

        package init(
            _ images: DecodeLimits, placeholders: Set<String> = [], processorTime: Int = 30,
            patience: Duration = .seconds(120)
        ) {
            (self.images, self.placeholders) = (images, placeholders)
            (self.processorTime, self.patience) = (processorTime, patience)
        }
    }

    private let executable: String
    private let limits: Limits
    private let idle = Mutex<[DecoderProcess]>([])
    private let places: DecoderPlaces
    private let deaths = Offences()
    private let delays = Offences()
    /// Decoding blocks for up to a second: not on the cooperative pool.
    private let threads = OperationQueue()

    /// - Parameters:
    ///   - executable: this program; decoders are started from it when there is work.
    ///   - count: the most decoders at a time: as many as there are processors for this process, since each may need some bytes for
    ///     every pixel of its original.
    package init(executable: String = "/proc/self/exe", limits: Limits, count: Int) {
        self.executable = executable
        self.limits = limits
        places = DecoderPlaces(count)
        threads.maxConcurrentOperationCount = count
    }

    /// The numbers of the processes that wait for work.
    var idlePIDs: [pid_t] { idle.withLock { $0.map(\.pid) } }

    /// header → room → decode → resize, elsewhere.
    ///
    /// - Parameters:
    ///   - sha256: the file's.
    ///   - background: the colour under transparent pixels; nil: white.
    ///   - size: side of the image that the model takes, pixels.
    ///   - previewSide: the longest side of a second picture that keeps the image's shape, pixels; nil: none.
    ///   - room: called with the bytes that decoding takes, when the header is known. Decoding goes on when it returns nil; otherwise it
    ///     says why not.
    /// - Returns: the image; or why there is none: what is wrong with the file, `placeholder`, `decoderCPULimit`, `decoderLate`, `decoderFailed` where
    ///   the decoder did not survive it, `localFailure` where none can be started, `cancelled`.
    package func decode(
        _ file: [UInt8], sha256: String, background: DecodeLimits.Colour?, size: Int, resize: Resize,
        previewSide: Int? = nil, room: @Sendable (Int) async -> ImageError? = { _ in nil }
    ) async -> Result<DecodedImage, ImageError> {
        await decode(
            file, sha256: sha256, background: background, resize: resize, size: { _ in DecodedSize(side: size) },
            previewSide: previewSide, room: room)
    }

    /// The same, as many pixels as the header calls for.
    package func decode(
        _ file: [UInt8], sha256: String, background: DecodeLimits.Colour?, resize: Resize,
        size: @Sendable (ImageHeader) -> DecodedSize, previewSide: Int? = nil,
        room: @Sendable (Int) async -> ImageError? = { _ in nil }
    ) async -> Result<DecodedImage, ImageError> {
        guard !limits.placeholders.contains(sha256) else {
            return .failure(ImageError(.placeholder, "the file is a placeholder that images.placeholders lists"))
        }
        guard await places.enter() else { return .failure(ImageError(.cancelled, "decoding was cancelled")) }
        defer { places.leave() }
        do throws(ImageError) {
            let (decoder, header) = try await work { () throws(ImageError) in try self.open(file, sha256) }
            if let refusal = await room(header.workingBytes) {
                try await work { () throws(ImageError) in try self.dismiss(decoder, sha256) }
                throw refusal
            }
            let order = DecodeOrder(
                background: background ?? .white, size: size(header), resize: resize,
                preview: previewSide.map { DecodedSize(of: header, within: $0) } ?? .zero)
            let pixels = try await work { () throws(ImageError) in try self.pixels(decoder, order, sha256) }
            return .success(DecodedImage(pixels, order, header))
        } catch {
            return .failure(error)
        }
    }

    private func work<Value: Sendable>(
        _ body: @escaping @Sendable () throws(ImageError) -> Value
    ) async throws(ImageError) -> Value {
        let result: Result<Value, ImageError> = await withCheckedContinuation { continuation in
            threads.addOperation { continuation.resume(returning: Result { () throws(ImageError) in try body() }) }
        }
        return try result.get()
    }

    private func open(_ file: [UInt8], _ sha256: String) throws(ImageError) -> (DecoderProcess, ImageHeader) {
        let decoder = try takeDecoder()
        let request = DecodeRequest(file: file, limits: limits.images)
        let answer = try survive(decoder, sha256) { () throws(DecoderProcess.Lost) in
            try decoder.open(request, processorTime: limits.processorTime, by: .now + limits.patience)
        }
        switch answer {
        case .success(let header): return (decoder, header)
        case .failure(let error):
            keep(decoder)
            throw error
        }
    }

    private func pixels(
        _ decoder: DecoderProcess, _ order: DecodeOrder, _ sha256: String
    ) throws(ImageError) -> [UInt8] {
        let answer = try survive(decoder, sha256) { () throws(DecoderProcess.Lost) in
            try decoder.decode(order, by: .now + limits.patience)
        }
        keep(decoder)
        return try answer.get()
    }

    private func dismiss(_ decoder: DecoderProcess, _ sha256: String) throws(ImageError) {
        try survive(decoder, sha256) { () throws(DecoderProcess.Lost) in try decoder.dismiss(by: .now + .seconds(1)) }
        keep(decoder)
    }

    private func keep(_ decoder: DecoderProcess) { idle.withLock { $0.append(decoder) } }

    /// One that waits, or a new one; those that ended while they waited are done away with.
    private func takeDecoder() throws(ImageError) -> DecoderProcess {
        let waiting = idle.withLock { idle -> DecoderProcess? in
            while let decoder = idle.popLast() { if decoder.isAlive { return decoder } }
            return nil
        }
        if let waiting { return waiting }
        return try DecoderProcess(executable: executable, memory: memory)
    }

    /// The most that a decoder needs (``ImageDecoder/workingBytes``), and half as much again for surprises. A file that makes it take more
    /// ends it.
    private var memory: Int { ImageDecoder.workingBytes * 3 / 2 * limits.images.maxPixels + (256 << 20) }
}

// What becomes of an image that a decoder does not survive.
extension DecoderPool {
    private func survive<Value>(
        _ decoder: DecoderProcess, _ sha256: String, _ body: () throws(DecoderProcess.Lost) -> Value
    ) throws(ImageError) -> Value {
        let start = decoder.processorTime
        do throws(DecoderProcess.Lost) {
            return try body()
        } catch {
            throw explain(error, used: decoder.processorTime - start, sha256)
        }
    }

    private func explain(_ lost: DecoderProcess.Lost, used: Double, _ sha256: String) -> ImageError {
        switch lost {
        case .killed(SIGXCPU): tooExpensive
        // One that a file took over may go on nevertheless.
        case .late where used >= Double(limits.processorTime): tooExpensive
        case .late: late(sha256)
        case .senseless: died("answered nonsense to", sha256)
        // By the kernel for want of memory, or by a person; a file has no means to do it.
        case .killed(SIGKILL): died("was killed by signal 9 over", sha256, first: .release(after: .seconds(30)))
        case .killed(let signal): died("was killed by signal \(signal) over", sha256)
        case .exited(0): died("had no memory for", sha256)
        case .exited(let status):
            ImageError(.localFailure, "no decoder can close itself in: \(String(cString: strerror(status)))")
        }
    }

    private var tooExpensive: ImageError {
        ImageError(.decoderCPULimit, "decoding this image takes more than \(limits.processorTime) s of a processor")
    }

    /// The clock alone says nothing about the file; but a decoder that a file took over could hang each time.
    private func late(_ sha256: String) -> ImageError {
        ImageError(
            .decoderLate, "the decoder was not done with this image after \(limits.patience)",
            disposition: delays.add(sha256) < 5 ? nil : .permanent)
    }

    /// Once may be an accident; a file that does it twice is let go.
    private func died(
        _ how: String, _ sha256: String, first: ImageError.Disposition = .retry(after: nil)
    ) -> ImageError {
        ImageError(
            .decoderFailed, "the decoder \(how) this image",
            disposition: deaths.add(sha256) == 1 ? first : .permanent)
    }
}
