import CKernels

/// Pillow 13's bicubic resize of an RGB image, bit for bit: two passes, u8 between, integer weights.
///
/// Source: Pillow's libImaging/Resample.c. A pass is skipped where the side already fits.
func resizeBicubic(_ rgb: [UInt8], width: Int, height: Int, toWidth: Int, toHeight: Int) -> [UInt8] {
    if comesVerticalFirst(width: width, height: height, toWidth: toWidth, toHeight: toHeight) {
        let columns = resizeColumns(rgb, width: width, height: height, toHeight: toHeight)
        return resizeRows(columns, width: width, height: toHeight, toWidth: toWidth)
    }
    let rows = resizeRows(rgb, width: width, height: height, toWidth: toWidth)
    return resizeColumns(rows, width: toWidth, height: height, toHeight: toHeight)
}

private func resizeRows(_ rgb: [UInt8], width: Int, height: Int, toWidth: Int) -> [UInt8] {
    if width == toWidth { return rgb }
    let k = ResampleCoefficients(from: width, to: toWidth)
    return [UInt8](unsafeUninitializedCapacity: height * toWidth * 3) { buffer, count in
        gloss_resample_rows(
            rgb, Int64(height), Int64(width), buffer.baseAddress, Int64(toWidth), k.start, k.length, k.weights,
            Int64(k.taps))
        count = height * toWidth * 3
    }
}

private func resizeColumns(_ rgb: [UInt8], width: Int, height: Int, toHeight: Int) -> [UInt8] {
    if height == toHeight { return rgb }
    let k = ResampleCoefficients(from: height, to: toHeight)
    return [UInt8](unsafeUninitializedCapacity: toHeight * width * 3) { buffer, count in
        gloss_resample_columns(
            rgb, Int64(width * 3), buffer.baseAddress, Int64(toHeight), k.start, k.length, k.weights, Int64(k.taps))
        count = toHeight * width * 3
    }
}

/// For each output place: where its source begins, how many source places count, and their weights × 2²².
private struct ResampleCoefficients {
    let taps: Int
    private(set) var start: [Int32] = []
    private(set) var length: [Int32] = []
    private(set) var weights: [Int32] = []

    init(from input: Int, to output: Int) {
        let filterScale = max(Double(input) / Double(output), 1)
        taps = Int((2 * filterScale).rounded(.up)) * 2 + 1
        for span in resampleSpans(from: input, to: output, support: 2, kernel: bicubic) {
            start.append(Int32(span.start))
            length.append(Int32(span.weights.count))
            weights += span.weights.map { Int32($0 * Double(1 << 22) + ($0 < 0 ? -0.5 : 0.5)) }
            weights += Array(repeating: 0, count: taps - span.weights.count)
        }
    }
}

/// The cubic kernel with a = −0.5, support 2.
private func bicubic(_ x: Double) -> Double {
    let (x, a) = (abs(x), -0.5)
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
    return 0
}
