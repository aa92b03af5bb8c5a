/// Pillow 13's bilinear resize of an image of floats (mode F), bit for bit: two passes, each summed in double and stored in
/// f32, antialiased where it shrinks.
///
/// Source: Pillow's libImaging/Resample.c.
func resizeFloats(_ values: [Float], width: Int, height: Int, toWidth: Int, toHeight: Int) -> [Float] {
    if comesVerticalFirst(width: width, height: height, toWidth: toWidth, toHeight: toHeight) {
        let columns = resizeColumns(values, width: width, height: height, toHeight: toHeight)
        return resizeRows(columns, width: width, height: toHeight, toWidth: toWidth)
    }
    let rows = resizeRows(values, width: width, height: height, toWidth: toWidth)
    return resizeColumns(rows, width: toWidth, height: height, toHeight: toHeight)
}

private func resizeRows(_ values: [Float], width: Int, height: Int, toWidth: Int) -> [Float] {
    if width == toWidth { return values }
    let spans = resampleSpans(from: width, to: toWidth, support: 1, kernel: triangle)
    var resized = [Float](repeating: 0, count: height * toWidth)
    for y in 0..<height {
        for (x, span) in spans.enumerated() {
            var sum = 0.0
            for (offset, weight) in span.weights.enumerated() {
                sum += Double(values[y * width + span.start + offset]) * weight
            }
            resized[y * toWidth + x] = Float(sum)
        }
    }
    return resized
}

private func resizeColumns(_ values: [Float], width: Int, height: Int, toHeight: Int) -> [Float] {
    if height == toHeight { return values }
    let spans = resampleSpans(from: height, to: toHeight, support: 1, kernel: triangle)
    var resized = [Float](repeating: 0, count: toHeight * width)
    for (y, span) in spans.enumerated() {
        for x in 0..<width {
            var sum = 0.0
            for (offset, weight) in span.weights.enumerated() {
                sum += Double(values[(span.start + offset) * width + x]) * weight
            }
            resized[y * width + x] = Float(sum)
        }
    }
    return resized
}

/// The bilinear kernel, support 1.
private func triangle(_ x: Double) -> Double { max(1 - abs(x), 0) }
