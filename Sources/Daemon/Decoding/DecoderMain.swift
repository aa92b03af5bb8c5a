import CSandbox
import Glibc
import Images
import Inference

/// `glossd decode-images BYTES`: glossd as a decoder of its own images. It reads requests from descriptor 0 and answers there, until its
/// parent is gone. It has no other descriptor, no environment, no thread, and next to no system call.
enum DecoderMain {
    private static let word = "decode-images"

    /// How a parent asks for it: at most so many bytes of memory.
    static func arguments(memory: Int) -> [String] { ["glossd", word, "\(memory)"] }

    /// Whether this process is to be one. Then it never returns.
    static func runIfAsked(_ arguments: [String]) {
        guard arguments.count == 3, arguments[1] == word, let memory = UInt64(arguments[2]) else { return }
        // Whatever is set up at first use, with system calls that are refused later.
        for size in 0...1 { _ = answer(DecodeRequest(file: [], limits: DecodeLimits(), size: size)) }
        let code = csandbox_enter(memory)
        guard code == 0 else { _exit(code) }
        let pipe = Pipe(descriptor: 0)
        while let request = DecodeRequest(from: pipe), let reply = DecodeReply.bytes(answer(request)) {
            guard (try? pipe.write(reply, by: nil)) != nil else { break }
        }
        _exit(0)
    }

    /// decode → resize, or what decoding takes.
    private static func answer(_ request: DecodeRequest) -> Result<[UInt8], ImageError> {
        Result { () throws(ImageError) in
            if request.size == 0 {
                return words([UInt64(try ImageDecoder.workingMemory(request.file, limits: request.limits))])
            }
            let image = try ImageDecoder.decode(request.file, limits: request.limits)
            return PixelValues.resized(
                rgb: image.pixels, width: image.width, height: image.height, size: request.size)
        }
    }
}
