/// TensorFlow's `tf.image.resize(method="bilinear")` of an RGB image, bit for bit, and big_vision's cast to bytes, which
/// cuts off what is behind the point. All arithmetic is f32; no product is fused with a sum.
///
/// Source: TensorFlow's resize_bilinear_op.cc, with half_pixel_centers.
func resizeBilinear(_ rgb: [UInt8], width: Int, height: Int, toWidth: Int, toHeight: Int) -> [UInt8] {
    let columns = interpolation(from: width, to: toWidth)
    let rows = interpolation(from: height, to: toHeight)
    var resized = [UInt8](repeating: 0, count: toWidth * toHeight * 3)
    for (y, row) in rows.enumerated() {
        for (x, column) in columns.enumerated() {
            for channel in 0..<3 {
                func at(_ y: Int, _ x: Int) -> Float { Float(rgb[(y * width + x) * 3 + channel]) }
                let (topLeft, topRight) = (at(row.low, column.low), at(row.low, column.high))
                let (bottomLeft, bottomRight) = (at(row.high, column.low), at(row.high, column.high))
                let top = topLeft + (topRight - topLeft) * column.weight
                let bottom = bottomLeft + (bottomRight - bottomLeft) * column.weight
                resized[(y * toWidth + x) * 3 + channel] = byte(top + (bottom - top) * row.weight)
            }
        }
    }
    return resized
}

/// For each output place: the source places on both sides, and the second one's weight.
private func interpolation(from input: Int, to output: Int) -> [(low: Int, high: Int, weight: Float)] {
    let scale = Float(input) / Float(output)
    return (0..<output).map { place in
        let position = (Float(place) + 0.5) * scale - 0.5
        let floor = position.rounded(.down)
        return (max(Int(floor), 0), min(Int(position.rounded(.up)), input - 1), position - floor)
    }
}

/// The same with `antialias=True`: a triangle as wide as the step between output places. Columns of the source are
/// summed first, then rows.
///
/// Source: TensorFlow's scale_and_translate_op.cc, with its triangle kernel.
func resizeAntialiased(_ rgb: [UInt8], width: Int, height: Int, toWidth: Int, toHeight: Int) -> [UInt8] {
    let (rows, columns) = (spans(from: height, to: toHeight), spans(from: width, to: toWidth))
    var resized = [UInt8](repeating: 0, count: toWidth * toHeight * 3)
    var line = [Float](repeating: 0, count: width * 3)
    for (y, span) in rows.enumerated() {
        for index in line.indices { line[index] = 0 }
        for (offset, weight) in span.weights.enumerated() {
            let start = (span.start + offset) * width * 3
            for index in line.indices { line[index] += Float(rgb[start + index]) * weight }
        }
        for (x, span) in columns.enumerated() {
            for channel in 0..<3 {
                var sum: Float = 0
                for (offset, weight) in span.weights.enumerated() {
                    sum += line[(span.start + offset) * 3 + channel] * weight
                }
                resized[(y * toWidth + x) * 3 + channel] = byte(sum)
            }
        }
    }
    return resized
}

/// For each output place: where its source begins, and the weights from there on.
private func spans(from input: Int, to output: Int) -> [(start: Int, weights: [Float])] {
    let step = Float(1 / Double(Float(output) / Float(input)))
    let radius = max(step, 1)
    let inverse = 1 / radius
    return (0..<output).map { place in
        let sample = (Float(place) + 0.5) * step
        let start = min(max(Int((sample - radius - 0.5).rounded(.up)), 0), input - 1)
        let end = min(max(Int((sample + radius - 0.5).rounded(.down)), 0), input - 1) + 1
        let weights = (start..<end).map { max(0, 1 - abs((Float($0) + 0.5 - sample) * inverse)) }
        let total = weights.reduce(0, +)
        guard total >= 1000 * .leastNormalMagnitude else { return (start, weights.map { _ in 0 }) }
        return (start, weights.map { $0 * (1 / total) })
    }
}

/// As `tf.cast` after `tf.clip_by_value`.
private func byte(_ value: Float) -> UInt8 { UInt8(min(max(value, 0), 255)) }
