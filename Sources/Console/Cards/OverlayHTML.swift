/// Boxes and masks over a picture, as SVG: no attribute is a style, which the console's pages forbid.
struct OverlayHTML {
    /// What was found.
    let boxes: [ResultRow.LabelledBox]
    /// Boxes that the model saw in the image: y1, x1, y2, x2 in fractions.
    var drawn: [[Double]] = []
    /// Which of the boxes stand out, as those that another result does not have.
    var alone: Set<Int> = []

    private static let longestTag = 40
    /// Where a tag would leave the picture at the top, it stands inside its box.
    private static let topMargin = 0.07

    /// An `<svg>` that covers its picture; empty if there is nothing to show. What it says stands beside it as a list.
    var html: HTML {
        let drawn = drawn.filter { $0.count == 4 }
        guard !boxes.isEmpty || !drawn.isEmpty else { return "" }
        // By label, so that boxes are told apart without colour.
        var dashes: [String: Int] = [:]
        for box in boxes where dashes[box.label] == nil { dashes[box.label] = dashes.count % 4 }
        let masks = boxes.enumerated().compactMap { index, box in mask(box, index) }
        let layer: HTML =
            masks.isEmpty ? "" : "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">\(masks)</svg>"
        let outlines = boxes.enumerated().map { index, box in outline(box, index, dash: dashes[box.label] ?? 0) }
        return """
            <svg class="overlay" aria-hidden="true">\(layer)\(drawn.map(Self.drawnBox))\(outlines)</svg>
            """
    }

    private func mask(_ box: ResultRow.LabelledBox, _ index: Int) -> HTML? {
        guard let path = box.mask.flatMap(MaskPath.init) else { return nil }
        return """
            <path class="\(HTML.hue(of: box.label))" data-box="\(index)" data-score="\(Self.score(box))" \
            transform="\(path.transform)" d="\(path.data)"/>
            """
    }

    private func outline(_ box: ResultRow.LabelledBox, _ index: Int, dash: Int) -> HTML {
        let isLeft = box.x1 <= 0.6
        let (edge, anchor, step) = isLeft ? (box.x1, "start", "5") : (box.x2, "end", "-5")
        let down = box.y1 < Self.topMargin ? "15" : "-5"
        return """
            <g class="box \(HTML.hue(of: box.label)) d\(dash)\(alone.contains(index) ? " alone" : "")" data-box="\(index)" data-score="\(Self.score(box))">\
            <rect \(Self.place(box.y1, box.x1, box.y2, box.x2))/>\
            <text x="\(HTML.share(edge))" y="\(HTML.share(box.y1))" dx="\(step)" dy="\(down)" \
            text-anchor="\(anchor)">\(alone.contains(index) ? "≠ " : "")\(box.label.shortened(to: Self.longestTag))</text></g>
            """
    }

    /// A box that the model saw in the image.
    private static func drawnBox(_ box: [Double]) -> HTML {
        "<rect class=\"drawn\" \(place(box[0], box[1], box[2], box[3]))/>"
    }

    private static func place(_ y1: Double, _ x1: Double, _ y2: Double, _ x2: Double) -> HTML {
        """
        x="\(HTML.share(x1))" y="\(HTML.share(y1))" width="\(HTML.share(max(0, x2 - x1)))" \
        height="\(HTML.share(max(0, y2 - y1)))"
        """
    }

    private static func score(_ box: ResultRow.LabelledBox) -> String { Formats.fixed(box.score, 4) }
}
