import Annotation
import ArgumentParser
import Console
import Evaluation
import Foundation
import Queue
import Storage

/// `glossctl evaluate`
struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Scores results against labels, as the official tools do.",
        discussion: """
            METRIC is \(metricList). docs/evaluate.md says whose rules each follows.

            Labels and results are joined on your keys. Labels are JSONL or CSV with a key and answers, VQA's or COCO's \
            JSON (--labels), or rows of your own tables (--sql); for coco, the ground truth (--gt). Results are those of \
            the database, or of a file (--results). What was not scored is said first. A run is kept in gloss.evaluation.

            EXAMPLES
              glossctl evaluate vqa --batch val --labels labels.jsonl
              glossctl evaluate coco --batch val --gt instances.json --map names.csv
              glossctl evaluate caption --batch val --sql 'select key, captions from refs'
              glossctl evaluate exact --labels labels.csv --group split --against other-model
              glossctl evaluate coco-masks --gt instances.json --results detections.json

            \(ExitStatus.help)
            """)

    static let metricList: String = {
        let texts = TextMetrics.all().map(\.name)
        return (["vqa"] + texts + ["coco", "coco-masks", "refcoco"]).joined(separator: ", ")
    }()

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions

    @Argument(
        help: "What is computed.",
        completion: .list((["vqa"] + TextMetrics.all().map(\.name)) + ["coco", "coco-masks", "refcoco"]))
    var metric: String
    @Option(help: "Only results of this batch.")
    var batch: String?
    @Option(help: "Only results of this task.")
    var task: TaskName?
    @Option(help: "Only results of this model: its name, or the beginning of its digest.")
    var model: String?
    @Option(help: "Only results finished at or after this time.")
    var since: String?
    @Option(help: "The labels: JSONL, CSV, or JSON of VQA or COCO; - is standard input.", completion: .file())
    var labels: String?
    @Option(help: "The labels: a query of your own with the columns key and answers.")
    var sql: String?
    @Option(help: "The ground truth in COCO's format, for coco.", completion: .file(extensions: ["json"]))
    var gt: String?
    @Option(
        help: "Results of a file instead of the database's: JSONL with key and text or boxes, or COCO's results.",
        completion: .file())
    var results: String?
    @Option(help: "CSV with the columns label and category: what the model calls the categories.", completion: .file())
    var map: String?
    @Option(help: "What becomes of labels without a result: error, zero (they count as wrong) or skip.")
    var missing = MissingPolicy.zero
    @Option(help: "Also show the figures by the values of this field of the labels.")
    var group: String?
    @Option(
        help:
            "Compare with the results of this model, or with those that glossctl rerun replaced (superseded), on the same draws."
    )
    var against: String?
    @Option(help: "Draws of the bootstrap for the intervals; 0: none.")
    var bootstrap = 1000
    @Option(help: "The seed of the draws.")
    var seed: UInt64 = 0
    @Option(help: "How captions are cut into tokens: ptb, as the official tool does, whitespace or characters.")
    var tokenizer = CaptionTokenizer.ptb
    @Option(
        help: "Cut captions by Stanford's own tokenizer, in Java: stanford-corenlp-3.4.1.jar of pycocoevalcap's wheel.",
        completion: .file(extensions: ["jar"]))
    var ptbJar: String?
    @Option(
        help: "Add METEOR to caption, by its own program in Java: meteor-1.5.jar of pycocoevalcap's wheel.",
        completion: .file(extensions: ["jar"]))
    var meteorJar: String?
    @Option(
        help: "What CIDEr-D weighs by: document frequencies that --save-df wrote. Default: those of these labels.",
        completion: .file())
    var df: String?
    @Option(help: "Write the document frequencies of these labels to this file.", completion: .file())
    var saveDf: String?
    @Option(
        help: "JSONL with text and vector of every answer and label, for the cosine of objaverse.", completion: .file())
    var embeddings: String?
    @Option(help: "Precision, recall and F1 of coco are of detections from this score on.")
    var threshold = 0.0
    @Option(help: "Write a JSON object an item to this file.", completion: .file())
    var perItem: String?
    @Option(
        help: "Write what is scored as COCO's results, for the official tools: of coco, and of metrics of captions.",
        completion: .file(extensions: ["json"]))
    var writeCoco: String?
    @Flag(help: "Do not keep the run in gloss.evaluation.")
    var noKeep = false

    /// What a metric compares.
    enum Kind {
        case texts(any TextMetric)
        case detections(areMasks: Bool)
        case referring
    }

    /// The metric's rules by their name; `vqa` is VQA v2's.
    func kind(_ options: TextMetrics.Options = TextMetrics.Options()) throws -> Kind {
        switch metric {
        case "coco", "coco-boxes": return .detections(areMasks: false)
        case "coco-masks": return .detections(areMasks: true)
        case "refcoco": return .referring
        default:
            guard let metric = TextMetrics.named(metric == "vqa" ? "vqa-v2" : metric, options) else {
                throw ValidationError("There is no metric \"\(metric)\". There are: \(Self.metricList).")
            }
            return .texts(metric)
        }
    }

    func validate() throws {
        let sources = [labels, sql, gt].compactMap(\.self).count
        if case .detections = try kind() {
            guard gt != nil, sources == 1 else { throw ValidationError("\(metric) takes its labels from --gt FILE.") }
        } else {
            guard gt == nil else { throw ValidationError("--gt is for coco; give --labels FILE or --sql QUERY.") }
            guard sources == 1 else { throw ValidationError("Give one of --labels FILE and --sql QUERY.") }
            guard map == nil else { throw ValidationError("--map is for coco.") }
        }
        if df != nil || saveDf != nil, !["caption", "cider-d"].contains(metric) {
            throw ValidationError("--df and --save-df are for caption and cider-d.")
        }
        let isOfCaptions = ["caption", "cider-d", "bleu", "rouge-l"].contains(metric)
        if tokenizer != .ptb || ptbJar != nil, !isOfCaptions {
            throw ValidationError("--tokenizer and --ptb-jar are for metrics of captions.")
        }
        if writeCoco != nil, !isOfCaptions, !metric.hasPrefix("coco") {
            throw ValidationError("--write-coco is for coco, coco-masks and metrics of captions.")
        }
        if perItem == "-", writeCoco == "-" {
            throw ValidationError("--per-item and --write-coco cannot both be standard output.")
        }
        if meteorJar != nil, metric != "caption" { throw ValidationError("--meteor-jar is for caption.") }
        if ptbJar != nil, tokenizer != .ptb || saveDf != nil {
            throw ValidationError("--ptb-jar excludes --tokenizer and --save-df.")
        }
        if embeddings != nil, metric != "objaverse" { throw ValidationError("--embeddings is for objaverse.") }
        if bootstrap < 0 || bootstrap > 1_000_000 { throw ValidationError("--bootstrap must be 0 to 1,000,000.") }
        if results != nil, batch != nil || task != nil || model != nil || since != nil || against != nil {
            throw ValidationError(
                "--results takes a file's results: --batch, --task, --model, --since and --against choose the database's."
            )
        }
        if group != nil, case .texts = try kind() {
        } else if group != nil {
            throw ValidationError("--group is for metrics of texts; coco's figures are shown by category.")
        }
    }

    func run() async throws {
        var report: EvaluationReport
        switch try kind(try textOptions()) {
        case .texts(let metric): report = try await evaluate(texts: metric)
        case .detections(let areMasks): report = try await evaluate(masks: areMasks)
        case .referring: report = try await evaluateReferring()
        }
        if isKept { try await keep(&report) }
        if format.json { try JSONText.say(report) } else { report.say() }
    }

    /// Whether the run goes into `gloss.evaluation`.
    var isKept: Bool { results == nil && !noKeep }

    /// What becomes of labels without a result. What was not run again is not compared with what it was.
    var policy: MissingPolicy { against == "superseded" && missing == .zero ? .skip : missing }

    var resampling: Bootstrap { Bootstrap(draws: bootstrap, seed: seed) }

    /// The labels' rows, from a file or a query.
    func labelFile(_ administration: Administration) async throws -> RowFile {
        guard let sql else { return try RowFile(path: labels ?? gt ?? "-") }
        var query = sql
        while let last = query.last, last == ";" || last.isWhitespace { query.removeLast() }
        let rows = Collected<[UInt8]>([])
        try await administration.rows(ofQuery: query) { row in
            rows.change {
                $0.append(contentsOf: row.utf8)
                $0.append(UInt8(ascii: "\n"))
            }
        }
        let bytes = rows.value
        guard !bytes.isEmpty else { throw CommandError(.badData, "the query gives no rows") }
        return RowFile(query: "the query of --sql", rows: bytes)
    }

    // MARK: Reserves

    /// Says which labels have no result, and throws if that is not allowed.
    /// - Parameter noun: what they are, in the plural.
    /// - Parameter label: the place of a key among the labels; nil: it is none of theirs.
    func sayMissing(
        _ report: inout EvaluationReport, _ administration: Administration, count: Int, of noun: String,
        label: @escaping @Sendable (String) -> Int?, has: @escaping @Sendable (Int) -> Bool
    ) async throws {
        guard count > 0 else { return }
        var detail: [String] = []
        if results == nil {
            let states = Collected<[String: Set<Int>]>([:])
            try await administration.unfinished(of: EvaluationSelection(batch: batch, task: task)) { key, state in
                if let place = label(key), !has(place) { states.change { _ = $0[state, default: []].insert(place) } }
            }
            var known: Set<Int> = []
            for state in ["pending", "dead", "pruned"] {
                let places = (states.value[state] ?? []).subtracting(known)
                known.formUnion(places)
                if !places.isEmpty { detail.append("\(state) \(Formats.count(places.count))") }
            }
            if known.count < count { detail.append("no such job \(Formats.count(count - known.count))") }
        }
        let words =
            switch policy {
            case .error: "an error (--missing error)"
            case .zero: "they count as wrong (--missing zero)"
            case .skip: "left out (--missing skip)"
            }
        let parts = detail.isEmpty ? "" : "\(detail.joined(separator: ", ")): "
        report.add(gap: "\(noun) without a result", count, parts + words)
        if policy == .error {
            let states = detail.isEmpty ? "" : " (\(detail.joined(separator: ", ")))"
            let those = count == 1 ? "1 \(noun.dropLast()) has" : "\(Formats.count(count)) \(noun) have"
            throw CommandError(.failed, "\(those) no result\(states)")
        }
    }

    /// There is something to compare.
    func requireMatch(_ count: Int, strayKey: String?, labelKey: String?) throws {
        guard count == 0 else { return }
        guard let strayKey else {
            throw CommandError(
                .failed, results == nil ? "no result is selected that has a key" : "the file has no results with a key")
        }
        throw CommandError(
            .failed,
            "no result has the key of a label: results have keys such as \"\(strayKey)\", labels such as \"\(labelKey ?? "")\""
        )
    }
}

extension MissingPolicy: ExpressibleByArgument {}
extension CaptionTokenizer: ExpressibleByArgument {}
