import Annotation

/// How a file's rows and columns are turned to be shown upright: tag 0x0112 of EXIF.
struct EXIFOrientation: Equatable {
    /// 1...8; 1 is upright as stored.
    let number: Int

    init(_ number: Int) { self.number = (1...8).contains(number) ? number : 1 }

    /// Whether width and height change places.
    var swapsSides: Bool { number >= 5 }

    /// Where a point of the upright image is in the stored one.
    /// - Parameters:
    ///   - x: from the left edge, 0...width.
    ///   - y: from the upper edge, 0...height.
    ///   - width: of the upright image, in the unit of x.
    ///   - height: of the upright image, in the unit of y.
    func stored<Number: Numeric>(x: Number, y: Number, width: Number, height: Number) -> (x: Number, y: Number) {
        switch number {
        case 2: (width - x, y)
        case 3: (width - x, height - y)
        case 4: (x, height - y)
        case 5: (y, x)
        case 6: (y, width - x)
        case 7: (height - y, width - x)
        case 8: (height - y, x)
        default: (x, y)
        }
    }
}

/// A box in an image, as exports have it.
struct PixelBox: Equatable {
    /// Edges in hundredths of a pixel.
    let left: Int, top: Int, right: Int, bottom: Int
    /// The image's size in pixels, in the orientation of the box.
    let imageWidth: Int, imageHeight: Int
    /// Whether a part of it was outside of the image.
    let isClipped: Bool

    /// Makes a box of fractions of the upright image.
    /// - Parameters:
    ///   - width: of the upright image, in pixels.
    ///   - height: of the upright image, in pixels.
    ///   - orientation: that of the file, for a box in the stored image; nil: in the upright one.
    /// - Returns: nil for a box without an area.
    init?(
        y1: Double, x1: Double, y2: Double, x2: Double, width: Int, height: Int, storedAs orientation: EXIFOrientation?
    ) {
        guard y1.isFinite, x1.isFinite, y2.isFinite, x2.isFinite else { return nil }
        let (horizontal, vertical) = (Double(width) * 100, Double(height) * 100)
        func edge(_ fraction: Double, _ side: Double) -> Int { Int((min(max(fraction, 0), 1) * side).rounded()) }
        let first = (x: edge(x1, horizontal), y: edge(y1, vertical))
        let last = (x: edge(x2, horizontal), y: edge(y2, vertical))
        guard first.x < last.x, first.y < last.y else { return nil }
        isClipped = [y1, x1, y2, x2].contains { !(0...1 ~= $0) }
        guard let orientation else {
            (left, top, right, bottom) = (first.x, first.y, last.x, last.y)
            (imageWidth, imageHeight) = (width, height)
            return
        }
        let corners = [first, last].map {
            orientation.stored(x: $0.x, y: $0.y, width: width * 100, height: height * 100)
        }
        left = min(corners[0].x, corners[1].x)
        right = max(corners[0].x, corners[1].x)
        top = min(corners[0].y, corners[1].y)
        bottom = max(corners[0].y, corners[1].y)
        (imageWidth, imageHeight) = orientation.swapsSides ? (height, width) : (width, height)
    }

    /// In hundredths of a pixel.
    var width: Int { right - left }
    /// In hundredths of a pixel.
    var height: Int { bottom - top }
    /// In ten-thousandths of a pixel's area.
    var area: Int { width * height }
}

extension RunLengthMask {
    /// The mask of the stored image; nil if it cannot be read.
    func stored(as orientation: EXIFOrientation) -> RunLengthMask? {
        guard orientation.number != 1 else { return self }
        guard let runs else { return nil }
        let size = orientation.swapsSides ? (width: height, height: width) : (width: width, height: height)
        var pixels = [Bool](repeating: false, count: width * height)
        var place = 0
        for (index, run) in runs.enumerated() {
            defer { place += run }
            guard index % 2 == 1 else { continue }
            for pixel in place..<place + run {
                // The edges of a pixel go to edges: the lesser ones of both are the pixel there.
                let (x, y) = (pixel / height, pixel % height)
                let one = orientation.stored(x: x, y: y, width: width, height: height)
                let other = orientation.stored(x: x + 1, y: y + 1, width: width, height: height)
                pixels[min(one.y, other.y) * size.width + min(one.x, other.x)] = true
            }
        }
        return RunLengthMask(
            height: size.height, width: size.width, rows: 0..<size.height, columns: 0..<size.width, pixels: pixels)
    }

    /// How many pixels are inside; nil if it cannot be read.
    var area: Int? { runs?.enumerated().reduce(0) { $1.offset % 2 == 1 ? $0 + $1.element : $0 } }
}
