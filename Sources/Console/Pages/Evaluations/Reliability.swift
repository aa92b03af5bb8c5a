/// How often answers are right, by how sure they are: a curve, and its numbers with the results behind them.
struct Reliability {
    private let figure: EvaluationRow.Figure
    private let bins: [EvaluationRow.Bin]
    private let row: EvaluationRow

    /// Nil: the figure is no calibration.
    init?(_ figure: EvaluationRow.Figure, of row: EvaluationRow) {
        guard let bins = figure.bins, !bins.isEmpty else { return nil }
        (self.figure, self.bins, self.row) = (figure, bins, row)
    }

    var html: HTML {
        let words = [
            figure.ece.map { "Expected calibration error \(Formats.fixed($0, 4))" },
            figure.brier.map { "Brier score \(Formats.fixed($0, 4))" },
        ].compactMap(\.self)
        return """
            <h2>Reliability</h2><p class="soft">\(words.map { $0 + ". " }.joined())\
            The links show the selection's results that are so sure, those without a label too.</p>
            \(curve)\(table)
            """
    }

    /// A box is as wide as its bin and as high as the share that is right; a dot stands at the mean probability. What is sure and right
    /// in equal shares lies on the line.
    private var curve: HTML {
        let most = Double(bins.map(\.count).max() ?? 1)
        let boxes = bins.map { bin -> HTML in
            """
            <rect x="\(place(bin.low))" width="\(place(bin.high - bin.low))" y="\(place(1 - bin.accuracy))" \
            height="\(place(bin.accuracy))"/>
            """
        }
        let dots = bins.map { bin -> HTML in
            let radius = 2 + 4 * (Double(bin.count) / most).squareRoot()
            return """
                <circle cx="\(place(bin.confidence))" cy="\(place(1 - bin.accuracy))" r="\(Formats.fixed(radius, 1))"/>
                """
        }
        return """
            <figure class="curve"><svg viewBox="-34 -8 348 346" aria-hidden="true">\
            <path class="axis" d="M0 0V300H300M0 150h-4M0 0h-4M0 300h-4M150 300v4M300 300v4M0 300v4"/>\
            <path class="even" d="M0 300L300 0"/><g class="bins">\(boxes)</g><g class="dots">\(dots)</g>\
            <text x="-8" y="4" text-anchor="end">1</text><text x="-8" y="154" text-anchor="end">.5</text>\
            <text x="-8" y="304" text-anchor="end">0</text><text x="150" y="318" text-anchor="middle">.5</text>\
            <text x="300" y="318" text-anchor="middle">1</text>\
            <text x="150" y="334" text-anchor="middle">probability</text>\
            <text x="8" y="12">share that is right</text></svg>\
            <figcaption class="soft">Boxes: how often answers of a range are right. Dots: at their mean probability, the larger \
            the more answers. On the dashed line both are equal.</figcaption></figure>
            """
    }

    private func place(_ share: Double) -> String { Formats.fixed(min(max(share, 0), 1) * 300, 2) }

    private var table: HTML {
        // What is found has a score; an answer has a probability.
        let names = row.metric.hasPrefix("coco") ? ("low", "high") : ("least", "most")
        let lines = bins.map { bin -> [HTML] in
            let (low, high) = (Formats.fixed(bin.low, 4), Formats.fixed(bin.high, 4))
            let address = row.query.setting(names.0, low).setting(names.1, high).address("/results")
            let gap = bin.accuracy - bin.confidence
            return [
                "<a href=\"\(address)\">\(low) – \(high)</a>", "\(Formats.count(bin.count))",
                "\(Formats.fixed(bin.confidence, 3))", "\(Formats.fixed(bin.accuracy, 3))",
                "\(gap > 0 ? "+" : "")\(Formats.fixed(gap, 3))",
            ]
        }
        return Parts.table(
            "Reliability", ["Probability", "#Answers", "#Mean probability", "#Share that is right", "#Difference"],
            lines,
            empty: "")
    }
}
