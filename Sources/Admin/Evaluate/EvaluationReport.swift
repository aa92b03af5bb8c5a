import Console
import Evaluation
import Queue

/// What an evaluation found, as it is shown and kept.
struct EvaluationReport: Encodable {
    /// Why something has no score of its own, and how often.
    struct Gap: Encodable {
        let reason: String
        let count: Int
        /// What it means, or of what it consists.
        var detail: String?
    }

    /// A figure, how sure it is, and that of the other model.
    struct Line: Encodable {
        let name: String
        let value: Double?
        let count: Int
        var interval: Interval?
        var against: Double?
        var difference: Double?
        var differenceInterval: Interval?

        enum CodingKeys: String, CodingKey {
            case name, value, count, low, high, against, difference
            case differenceLow = "difference_low"
            case differenceHigh = "difference_high"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(name, forKey: .name)
            try container.encode(value, forKey: .value)
            try container.encode(count, forKey: .count)
            try container.encodeIfPresent(interval?.low, forKey: .low)
            try container.encodeIfPresent(interval?.high, forKey: .high)
            try container.encodeIfPresent(against, forKey: .against)
            try container.encodeIfPresent(difference, forKey: .difference)
            try container.encodeIfPresent(differenceInterval?.low, forKey: .differenceLow)
            try container.encodeIfPresent(differenceInterval?.high, forKey: .differenceHigh)
        }
    }

    /// The figures of the items with one value of a column.
    struct Group: Encodable {
        let group: String
        let count: Int
        let figures: [Line]
    }

    /// What was found of one category, at an IoU of .5.
    struct Category: Encodable {
        let category: String
        let averagePrecision: Double?
        let found: Int
        let wrong: Int
        let missed: Int
        let precision: Double?
        let recall: Double?
        let f1: Double?

        enum CodingKeys: String, CodingKey {
            case category, found, wrong, missed, precision, recall, f1
            case averagePrecision = "ap"
        }
    }

    struct Reliability: Encodable {
        struct Bin: Encodable {
            let low: Double
            let high: Double
            let count: Int
            let confidence: Double
            let accuracy: Double
        }
        let expectedError: Double
        let brier: Double
        let bins: [Bin]

        enum CodingKeys: String, CodingKey {
            case brier, bins
            case expectedError = "ece"
        }

        init?(_ calibration: Calibration) {
            guard let error = calibration.expectedError, let brier = calibration.brier else { return nil }
            expectedError = error
            self.brier = brier
            bins = calibration.bins.filter { $0.count > 0 }.map {
                Bin(low: $0.low, high: $0.high, count: $0.count, confidence: $0.confidence, accuracy: $0.accuracy)
            }
        }
    }

    struct Coverage: Encodable {
        struct Point: Encodable {
            let coverage: Double
            let threshold: Double
            let count: Int
            let accuracy: Double
        }
        let area: Double
        let points: [Point]

        init?(_ curve: RiskCoverage) {
            guard let area = curve.area else { return nil }
            self.area = area
            points = curve.points.map {
                Point(coverage: $0.coverage, threshold: $0.threshold, count: $0.count, accuracy: $0.accuracy)
            }
        }
    }

    /// How often each answer was given where each label is right, as in `Confusion.Table`.
    struct ConfusionTable: Encodable {
        let labels: [String]
        let answers: [String]
        let counts: [[Int]]

        init(_ table: Confusion.Table) {
            labels = table.labels.map(Self.shortened)
            answers = table.answers.map(Self.shortened)
            counts = table.counts
        }

        /// Keeps a table small, whatever the texts.
        private static func shortened(_ name: String) -> String {
            let most = 100
            guard name.unicodeScalars.count > most else { return name }
            return String(name.unicodeScalars.prefix(most - 1)) + "…"
        }
    }

    /// As it was asked for.
    let metric: String
    /// Whose rules.
    let variant: String
    /// Items, expressions or images that the figures are of.
    var count = 0
    var notScored: [Gap] = []
    /// What a person should know about the figures.
    var notes: [String] = []
    var figures: [Line] = []
    var groups: [Group] = []
    var categories: [Category] = []
    var calibration: Reliability?
    var coverage: Coverage?
    var confusion: ConfusionTable?
    /// With `--against`: items that score better, worse and the same.
    var better: Int?
    var worse: Int?
    var same: Int?
    var labelsSHA256 = ""
    /// What gave the results.
    var models: [String] = []
    var against: [String] = []
    let glossVersion = Queue.glossVersion
    /// Its number in `gloss.evaluation`.
    var evaluation: Int64?
    /// The model as it is kept; nil: there is none, or there are several.
    var keptModel: (name: String, digest: String)?

    enum CodingKeys: String, CodingKey {
        case metric, variant, notes, figures, groups, categories, calibration, coverage, confusion, better, worse, same,
            models
        case against, evaluation
        case count = "n"
        case notScored = "not_scored"
        case labelsSHA256 = "labels_sha256"
        case glossVersion = "gloss_version"
    }

    init(metric: String, variant: String) {
        self.metric = metric
        self.variant = variant
    }

    mutating func add(gap reason: String, _ count: Int, _ detail: String? = nil) {
        if count > 0 { notScored.append(Gap(reason: reason, count: count, detail: detail)) }
    }
}

extension EvaluationReport {
    /// Prints it: what was not scored comes first.
    func say() {
        let (width, palette) = (Console.width(), Palette.output)
        func show(_ title: String, _ table: Table) {
            Console.say("")
            Console.say(palette.paint(title, .bold))
            for line in table.lines(width: width, palette: palette) { Console.say(line) }
        }
        if notScored.isEmpty {
            Console.say("All labels have a result, and all results a label.")
        } else {
            Console.say(palette.paint("Not scored, or with a reserve", .bold))
            var table = Table([.text("reason"), .number("count"), .flexible("")])
            for gap in notScored { table.add([.init(gap.reason), .init(Formats.count(gap.count)), .init(gap.detail)]) }
            for line in table.lines(width: width, palette: palette) { Console.say(line) }
        }
        for note in notes { Console.say(note) }
        let who = models.isEmpty ? "" : ", \(models.joined(separator: ", "))"
        show("\(variant)\(who)", figureTable)
        if let better, let worse, let same {
            Console.say(
                "Against \(against.joined(separator: ", ")): \(Formats.count(better)) better, \(Formats.count(worse)) worse, "
                    + "\(Formats.count(same)) the same.")
        }
        if !groups.isEmpty { show("By group", groupTable) }
        if !categories.isEmpty { show("By category, at an IoU of .5", categoryTable) }
        if let calibration {
            show(
                "Calibration: ECE \(Self.number(calibration.expectedError)), Brier \(Self.number(calibration.brier))",
                calibration.table)
        }
        if let coverage { show("If only the surest are taken: area \(Self.number(coverage.area))", coverage.table) }
        Console.say("")
        Console.say("Labels: SHA-256 \(labelsSHA256)")
        if let evaluation { Console.say("Kept as number \(evaluation) in gloss.evaluation.") }
    }

    private static func number(_ value: Double?) -> String { value.map { Formats.fixed($0, 4) } ?? "–" }

    private static func interval(_ interval: Interval?) -> String {
        interval.map { "\(number($0.low)) … \(number($0.high))" } ?? ""
    }

    private var figureTable: Table {
        let isCompared = figures.contains { $0.against != nil }
        let hasIntervals = figures.contains { $0.interval != nil }
        var columns: [Table.Column] = [.text("figure"), .number("value")]
        if hasIntervals { columns.append(.text("95 % interval")) }
        columns.append(.number("n"))
        if isCompared { columns += [.number("against"), .number("difference"), .text("95 % interval")] }
        var table = Table(columns)
        for figure in figures {
            var row: [Table.Cell] = [.init(figure.name), .init(Self.number(figure.value))]
            if hasIntervals { row.append(.init(Self.interval(figure.interval))) }
            row.append(.init(Formats.count(figure.count)))
            if isCompared {
                row += [
                    .init(Self.number(figure.against)), .init(Self.number(figure.difference)),
                    .init(Self.interval(figure.differenceInterval)),
                ]
            }
            table.add(row)
        }
        return table
    }

    private var groupTable: Table {
        var table = Table([.text("group"), .text("figure"), .number("value"), .text("95 % interval"), .number("n")])
        for group in groups {
            guard let figure = group.figures.first else { continue }
            table.add([
                .init(group.group), .init(figure.name), .init(Self.number(figure.value)),
                .init(Self.interval(figure.interval)), .init(Formats.count(group.count)),
            ])
        }
        return table
    }

    private var categoryTable: Table {
        var table = Table([
            .text("category"), .number("AP"), .number("found"), .number("wrong"), .number("missed"),
            .number("precision"),
            .number("recall"), .number("F1"),
        ])
        for category in categories where category.found + category.wrong + category.missed > 0 {
            table.add([
                .init(category.category), .init(Self.number(category.averagePrecision)),
                .init(Formats.count(category.found)),
                .init(Formats.count(category.wrong)), .init(Formats.count(category.missed)),
                .init(Self.number(category.precision)), .init(Self.number(category.recall)),
                .init(Self.number(category.f1)),
            ])
        }
        return table
    }
}

extension EvaluationReport.Reliability {
    fileprivate var table: Table {
        var table = Table([.text("probability"), .number("n"), .number("mean"), .number("right")])
        for bin in bins {
            table.add([
                .init("\(Formats.fixed(bin.low, 3)) … \(Formats.fixed(bin.high, 3))"), .init(Formats.count(bin.count)),
                .init(Formats.fixed(bin.confidence, 3)), .init(Formats.fixed(bin.accuracy, 3)),
            ])
        }
        return table
    }
}

extension EvaluationReport.Coverage {
    fileprivate var table: Table {
        var table = Table([.number("answered"), .number("n"), .number("from probability"), .number("right")])
        for point in points {
            table.add([
                .init("\(Formats.fixed(point.coverage * 100, 0)) %"), .init(Formats.count(point.count)),
                .init(Formats.fixed(point.threshold, 4)), .init(Formats.fixed(point.accuracy, 4)),
            ])
        }
        return table
    }
}
