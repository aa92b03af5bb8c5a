/// Pillow's weights for each output place of a pass: where its source begins, and the weight of each source place from
/// there on.
///
/// Source: precompute_coeffs of Pillow's libImaging/Resample.c.
func resampleSpans(
    from input: Int, to output: Int, support: Double, kernel: (Double) -> Double
) -> [(start: Int, weights: [Double])] {
    let scale = Double(input) / Double(output)
    let filterScale = max(scale, 1)
    let (reach, inverse) = (support * filterScale, 1 / filterScale)
    return (0..<output).map { place in
        let center = (Double(place) + 0.5) * scale
        let low = max(Int(center - reach + 0.5), 0)
        let high = min(Int(center + reach + 0.5), input)
        let weights = (low..<high).map { kernel((Double($0) - center + 0.5) * inverse) }
        let total = weights.reduce(0, +)
        return (low, total == 0 ? weights : weights.map { $0 / total })
    }
}

/// Whether Pillow 13 resizes columns before rows: where the height shrinks by more than twice what the width shrinks.
func comesVerticalFirst(width: Int, height: Int, toWidth: Int, toHeight: Int) -> Bool {
    height > toHeight && height - toHeight > 2 * (width - toWidth)
}
