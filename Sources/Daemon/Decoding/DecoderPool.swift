import Foundation
import Images
import Synchronization

/// Decodes images in processes that hold nothing worth taking: no connection, no password, no descriptor but the one to here.
/// docs/security.md says why.
final class DecoderPool: Sendable {
    private let executable: String
    private let maxPixels: Int
    private let patience: Duration
    private let idle = Mutex<[DecoderProcess]>([])
    /// Decoding blocks for up to a second: not on the cooperative pool. No more at a time than there are cores: each may need some
    /// bytes for every pixel of its original.
    private let threads = OperationQueue()

    /// - Parameters:
    ///   - executable: this program; decoders are started from it when there is work.
    ///   - maxPixels: the most pixels of an image.
    ///   - patience: how long one image may take.
    init(executable: String = "/proc/self/exe", maxPixels: Int, patience: Duration = .seconds(60)) {
        self.executable = executable
        self.maxPixels = maxPixels
        self.patience = patience
        threads.maxConcurrentOperationCount = ProcessInfo.processInfo.activeProcessorCount
    }

    /// The numbers of the processes that wait for work.
    var idlePIDs: [pid_t] { idle.withLock { $0.map(\.pid) } }

    /// decode → resize, elsewhere.
    ///
    /// - Returns: [size, size, 3] bytes; or why there are none: what is wrong with the file, `decoderFailed` where the decoder did not
    ///   survive it, `localFailure` where none can be started.
    func decode(_ file: [UInt8], background: DecodeLimits.Colour?, size: Int) async -> Result<[UInt8], ImageError> {
        let limits = DecodeLimits(maxPixels: maxPixels, background: background ?? .white)
        return await answer(DecodeRequest(file: file, limits: limits, size: size))
    }

    /// The most bytes that decoding a file takes, by its header; or what that gives away.
    func workingMemory(_ file: [UInt8]) async -> Result<Int, ImageError> {
        let limits = DecodeLimits(maxPixels: maxPixels)
        // No more than the largest image takes, whatever is said.
        return await answer(DecodeRequest(file: file, limits: limits, size: 0)).map {
            Int(min(word($0[...]), UInt64(ImageDecoder.workingBytes * maxPixels)))
        }
    }

    private func answer(_ request: DecodeRequest) async -> Result<[UInt8], ImageError> {
        await withCheckedContinuation { continuation in
            threads.addOperation { continuation.resume(returning: self.decodeNow(request)) }
        }
    }

    private func decodeNow(_ request: DecodeRequest) -> Result<[UInt8], ImageError> {
        do throws(ImageError) {
            let decoder = try takeDecoder()
            do throws(DecoderProcess.Lost) {
                let result = try decoder.decode(request, by: .now + patience)
                idle.withLock { $0.append(decoder) }
                return result
            } catch {
                throw explain(error)
            }
        } catch {
            return .failure(error)
        }
    }

    /// One that waits, or a new one; those that ended while they waited are done away with.
    private func takeDecoder() throws(ImageError) -> DecoderProcess {
        let waiting = idle.withLock { idle -> DecoderProcess? in
            while let decoder = idle.popLast() { if decoder.isAlive { return decoder } }
            return nil
        }
        if let waiting { return waiting }
        return try DecoderProcess(executable: executable, memory: memory)
    }

    /// The most that a decoder needs (DecodeLimits.maxPixels says for what), and as much again for surprises. A file that makes it take
    /// more ends it.
    private var memory: Int { 24 * maxPixels + (256 << 20) }

    private func explain(_ lost: DecoderProcess.Lost) -> ImageError {
        switch lost {
        case .late: ImageError(.decoderFailed, "the decoder was not done with this image after \(patience)")
        case .senseless: ImageError(.decoderFailed, "the decoder answered nonsense to this image")
        case .killed(let signal):
            ImageError(.decoderFailed, "the decoder was killed by signal \(signal) over this image")
        case .exited(0): ImageError(.decoderFailed, "the decoder had no memory for this image")
        case .exited(let status):
            ImageError(.localFailure, "no decoder can close itself in: \(String(cString: strerror(status)))")
        }
    }
}
