import Annotation

/// A mask of `side` × `side` numbers, resized to a box of an image; above 0 is inside. Nil: the box has no pixel.
///
/// Source: big_vision's evaluator. The box's edges are `<loc>` value / 1023 × the image's side, cut off to whole pixels.
func paste(_ mask: [Float], side: Int, box: Box, height: Int, width: Int) -> RunLengthMask? {
    func pixel(_ edge: Float, _ side: Int) -> Int {
        // Of the location itself: the stored fraction is rounded to f32.
        let location = (Double(edge) * 1023).rounded()
        return Int(location / 1023 * Double(side))
    }
    let rows = pixel(box.y1, height)..<max(pixel(box.y1, height), pixel(box.y2, height))
    let columns = pixel(box.x1, width)..<max(pixel(box.x1, width), pixel(box.x2, width))
    guard !rows.isEmpty, !columns.isEmpty else { return nil }
    let resized = resizeFloats(mask, width: side, height: side, toWidth: columns.count, toHeight: rows.count)
    return RunLengthMask(
        height: height, width: width, rows: rows, columns: columns, pixels: resized.map { $0 > 0 })
}
