/// How an image becomes a square of the model's size.
public enum Resize: String, Sendable, CaseIterable {
    /// Pillow's bicubic, as Hugging Face's processor resizes.
    case bicubic
    /// TensorFlow's bilinear without antialiasing, as big_vision resized for most tasks.
    case bilinear
    /// TensorFlow's bilinear with antialiasing, as big_vision resized for questions about texts.
    case bilinearAntialias = "bilinear-antialias"

    /// An RGB image [height, width, 3] as [size, size, 3]; its aspect is not kept.
    func apply(_ rgb: [UInt8], width: Int, height: Int, size: Int) -> [UInt8] {
        apply(rgb, width: width, height: height, toWidth: size, toHeight: size)
    }

    /// An RGB image [height, width, 3] as [toHeight, toWidth, 3].
    public func apply(_ rgb: [UInt8], width: Int, height: Int, toWidth: Int, toHeight: Int) -> [UInt8] {
        precondition(width > 0 && height > 0 && toWidth > 0 && toHeight > 0 && rgb.count == width * height * 3)
        return switch self {
        case .bicubic: resizeBicubic(rgb, width: width, height: height, toWidth: toWidth, toHeight: toHeight)
        case .bilinear: resizeBilinear(rgb, width: width, height: height, toWidth: toWidth, toHeight: toHeight)
        case .bilinearAntialias:
            resizeAntialiased(rgb, width: width, height: height, toWidth: toWidth, toHeight: toHeight)
        }
    }
}
