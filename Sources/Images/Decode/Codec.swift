import CImage

/// The door to the C decoders: the one place where decoding touches pointers.
struct Codec {
    let format: ImageFormat
    let background: DecodeLimits.Colour

    /// The sizes that the file's header states.
    func header(of bytes: [UInt8]) throws(ImageError) -> cimage_header {
        var header = cimage_header()
        var reason = cimage_reason()
        let status = bytes.withUnsafeBufferPointer { file in
            switch format {
            case .jpeg: cimage_jpeg_header(file.baseAddress, file.count, &header, &reason)
            case .png: cimage_png_header(file.baseAddress, file.count, &header, &reason)
            case .webp: cimage_webp_header(file.baseAddress, file.count, &header, &reason)
            case .gif: cimage_gif_header(file.baseAddress, file.count, &header, &reason)
            case .bmp: cimage_bmp_header(file.baseAddress, file.count, &header, &reason)
            case .avif: cimage_avif_header(file.baseAddress, file.count, &header, &reason)
            case .tiff: cimage_tiff_header(file.baseAddress, file.count, &header, &reason)
            case .heic: cimage_heif_header(file.baseAddress, file.count, &header, &reason)
            }
        }
        try check(status, reason)
        return header
    }

    /// The pixels as stored; `header` is the file's own, already judged to be affordable.
    func decode(_ bytes: [UInt8], _ header: cimage_header) throws(ImageError) -> RGBImage {
        let (width, height) = (Int(header.width), Int(header.height))
        var status = CIMAGE_OK
        var reason = cimage_reason()
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { target, count in
            status = decode(bytes, into: UnsafeMutableBufferPointer(rebasing: target[..<(width * height * 3)]), &reason)
            count = status == CIMAGE_OK ? width * height * 3 : 0
        }
        try check(status, reason)
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    private func decode(
        _ bytes: [UInt8], into rgb: UnsafeMutableBufferPointer<UInt8>, _ reason: inout cimage_reason
    ) -> cimage_status {
        let behind = [background.red, background.green, background.blue]
        return bytes.withUnsafeBufferPointer { file in
            switch format {
            case .jpeg: cimage_jpeg_decode(file.baseAddress, file.count, rgb.baseAddress, rgb.count, &reason)
            case .png: cimage_png_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            case .webp: cimage_webp_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            case .gif: cimage_gif_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            case .bmp: cimage_bmp_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            case .avif: cimage_avif_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            case .tiff: cimage_tiff_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            case .heic: cimage_heif_decode(file.baseAddress, file.count, behind, rgb.baseAddress, rgb.count, &reason)
            }
        }
    }

    private func check(_ status: cimage_status, _ reason: cimage_reason) throws(ImageError) {
        guard status != CIMAGE_OK else { return }
        let why = withUnsafeBytes(of: reason.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        switch status {
        case CIMAGE_TRUNCATED: throw ImageError(.truncated, "truncated \(format.name): \(why)")
        case CIMAGE_UNSUPPORTED: throw ImageError(.unsupportedFormat, "unsupported \(format.name): \(why)")
        case CIMAGE_NO_MEMORY: throw ImageError(.outOfMemory, "no memory to decode a \(format.name): \(why)")
        default: throw ImageError(.corrupt, "corrupt \(format.name): \(why)")
        }
    }
}
