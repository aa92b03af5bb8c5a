import Annotation

extension PixelValues {
    /// With a red outline (255, 0, 0), 1 pixel wide, as big_vision draws it for WidgetCap into the resized image.
    ///
    /// An edge e lies in the row or column ⌊e · (S − 1)⌋, computed in f32; what is behind the point is cut off. So 0 is the
    /// first pixel and 1 the last one, and the outline's pixels belong to the box. Where an edge lies outside of the image,
    /// that side is not drawn, and the sides beside it end at the image's edge. Nothing is drawn of a box whose edges are
    /// the wrong way round, or that is outside of the image as a whole.
    ///
    /// Source: big_vision's pp/proj/paligemma/widgetcap.py, and TensorFlow's draw_bounding_box_op.cc.
    public func drawing(_ box: Box) -> PixelValues {
        let last = Float(size - 1)
        // No image is so large; a number that Int cannot hold would end the program.
        func place(_ edge: Float) -> Int { Int(min(max(edge * last, -1e9), 1e9)) }
        let (top, left, bottom, right) = (place(box.y1), place(box.x1), place(box.y2), place(box.x2))
        guard top <= bottom, left <= right, top < size, left < size, bottom >= 0, right >= 0 else { return self }
        let rows = max(top, 0)...min(bottom, size - 1)
        let columns = max(left, 0)...min(right, size - 1)
        var drawn = bytes
        func redden(_ row: Int, _ column: Int) {
            let start = (row * size + column) * 3
            drawn.replaceSubrange(start..<start + 3, with: [255, 0, 0])
        }
        for row in [top, bottom] where rows.contains(row) { columns.forEach { redden(row, $0) } }
        for column in [left, right] where columns.contains(column) { rows.forEach { redden($0, column) } }
        return PixelValues(resized: drawn, size: size)
    }
}
