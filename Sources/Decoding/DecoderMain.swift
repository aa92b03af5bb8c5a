import CSandbox
import Glibc
import Images
import Inference

/// `glossd decode-images BYTES`: a program as a decoder of its own images, glossd or glossctl. It reads requests from descriptor 0 and answers there, until its
/// parent is gone. It has no other descriptor, no environment, no thread, and next to no system call.
package enum DecoderMain {
    private static let word = "decode-images"

    /// How a parent asks for it: at most so many bytes of memory.
    static func arguments(memory: Int) -> [String] { ["glossd", word, "\(memory)"] }

    /// Whether this process is to be one. Then it never returns.
    package static func runIfAsked(_ arguments: [String]) {
        guard arguments.count == 3, arguments[1] == word, let memory = UInt64(arguments[2]) else { return }
        // Whatever is set up at first use, with system calls that are refused later.
        ImageDecoder.prepare()
        let nothing = DecodeRequest(file: [], limits: DecodeLimits(maxPixels: 1))
        _ = (
            header(of: nothing),
            pixels(of: nothing, DecodeOrder(background: .white, size: DecodedSize(side: 1), resize: .bicubic))
        )
        let code = csandbox_enter(memory)
        guard code == 0 else { _exit(code) }
        serve(Pipe(descriptor: 0))
        _exit(0)
    }

    /// One exchange after the other, until the parent is gone or there is no memory left.
    private static func serve(_ pipe: Pipe) {
        while let request = DecodeRequest(from: pipe) {
            let header = header(of: request)
            guard answer(pipe, header.map(DecodeReply.content)) else { return }
            guard case .success = header else { continue }
            guard let order = DecodeOrder(from: pipe) else { return }
            if order != .nothing, !answer(pipe, pixels(of: request, order)) { return }
        }
    }

    private static func answer(_ pipe: Pipe, _ result: Result<[UInt8], ImageError>) -> Bool {
        DecodeReply.bytes(result).map { (try? pipe.write($0, by: nil)) != nil } ?? false
    }

    private static func header(of request: DecodeRequest) -> Result<ImageHeader, ImageError> {
        Result { () throws(ImageError) in
            try ImageDecoder.header(of: request.file, limits: request.limits)
        }
    }

    /// decode → resize, and once more for the preview.
    private static func pixels(of request: DecodeRequest, _ order: DecodeOrder) -> Result<[UInt8], ImageError> {
        Result { () throws(ImageError) in
            var limits = request.limits
            limits.background = order.background
            let image = try ImageDecoder.decode(request.file, limits: limits)
            let pixels = order.resize.apply(
                image.pixels, width: image.width, height: image.height, toWidth: order.size.width,
                toHeight: order.size.height)
            guard order.preview != .zero else { return pixels }
            return pixels
                + Resize.bicubic.apply(
                    image.pixels, width: image.width, height: image.height, toWidth: order.preview.width,
                    toHeight: order.preview.height)
        }
    }
}
