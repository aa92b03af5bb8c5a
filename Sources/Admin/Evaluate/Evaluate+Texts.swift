import Annotation
import Console
import Evaluation
import Foundation
import Storage

extension Evaluate {
    /// Scores texts.
    func evaluate(texts metric: any TextMetric) async throws -> EvaluationReport {
        let administration = database.administration(statementTimeout: nil)
        return try await withFiles { try await evaluate(texts: metric, administration, $0, coco: $1) }
    }

    private func evaluate(
        texts metric: any TextMetric, _ administration: Administration, _ perItem: PerItemFile?, coco: PerItemFile?
    ) async throws -> EvaluationReport {
        var report = EvaluationReport(metric: self.metric, variant: variant(metric))
        var file = try await labelFile(administration)
        // While the labels are read, the database looks for the results.
        let coming = Awaited<LabelSet>()
        async let search = search(metric, coming, administration)
        let labels = try coming.settle { try LabelReader.read(file, group: group) }
        report.labelsSHA256 = file.sha256
        file.forget()
        try saveFrequencies(labels)
        let (models, selections, found) = try await search
        let none = TextResults(labelCount: labels.count)
        let ours = try results == nil ? found ?? none : texts(ofFile: labels)
        var theirs: TextResults?
        if let selection = selections.theirs {
            theirs = try await texts(selection, metric, models, administration) { labels } ?? none
        }

        try requireMatch(ours.count, strayKey: ours.strayKey, labelKey: labels.count > 0 ? labels.key(0) : nil)
        try await sayMissing(
            &report, administration, count: labels.count - ours.count, of: "labels",
            label: { labels.keys.value(of: $0) }, has: { ours.has($0) })
        report.add(gap: "results without a label", ours.withoutLabel, ours.strayKey.map { "such as \"\($0)\"" })
        report.add(gap: "results without a key", ours.withoutKey)
        report.add(
            gap: "truncated", ours.truncatedCount,
            "cut off at max_tokens or max_repeats; scored as they stand")
        if let theirs {
            try requireMatch(theirs.count, strayKey: theirs.strayKey, labelKey: labels.key(0))
            let whose = selections.theirs?.areSuperseded == true ? "superseded result" : "result of \(against ?? "")"
            report.add(gap: "labels without a \(whose)", labels.count - theirs.count)
        }

        let evaluation = TextEvaluation(
            metric: metric, labels: labels, results: [ours] + [theirs].compactMap(\.self), missing: policy,
            bootstrap: resampling, cutter: ptbJar.map { StanfordTokenizer(jar: $0) })
        let classes = format.json || isKept ? metric as? any ClassMetric : nil
        var confusion = Confusion()
        let scores = try evaluation.scores(ours, file: file) { item in
            if let classes { confusion.add(classes.classes(of: item)) }
        }
        if classes != nil { report.confusion = EvaluationReport.ConfusionTable(confusion.table()) }
        let others = try theirs.map { (results: $0, scores: try evaluation.scores($0, file: file)) }
        say(models, ours.engines, against: theirs?.engines, in: &report)
        if isCIDEr, df == nil, evaluation.items.count < 100 {
            report.notes.append(
                "CIDEr-D weighs by the references of these \(evaluation.items.count) images alone; --df gives those of more."
            )
        }
        if let least = ["vqa-v2": 4, "vqa-simple": 3][metric.name] {
            let few = evaluation.items.count { labels.answers($0).count < least }
            if few > 0 {
                report.notes.append(
                    "\(Formats.count(few)) label\(few == 1 ? " has" : "s have") the answers of fewer than \(least) people: none can score 1. For one answer, take exact."
                )
            }
        }
        evaluation.fill(&report, ours, scores, against: others)
        report.figures += try evaluation.sampleFigures(ours, scores)
        if let meteorJar { report.figures.append(try evaluation.meteor(meteorJar, ours, against: theirs, tokenizer)) }
        if let perItem { try evaluation.write(perItem, ours, scores, against: others) }
        if let coco { try evaluation.write(coco: coco, ours) }
        return report
    }

    /// What is asked of the database, and the results that are scored; nil: there are none, or they are those of a file.
    private func search(
        _ metric: any TextMetric, _ labels: Awaited<LabelSet>, _ administration: Administration
    ) async throws -> (Models, (ours: EvaluationSelection, theirs: EvaluationSelection?), TextResults?) {
        let models = try await models(administration)
        let selections = try selections(models)
        guard results == nil else { return (models, selections, nil) }
        let ours = try await texts(selections.ours, metric, models, administration) { try labels.value }
        return (models, selections, ours)
    }

    /// The results of the file.
    private func texts(ofFile labels: LabelSet) throws -> TextResults {
        var texts = TextResults(labelCount: labels.count)
        let file = ResultFile(file: try RowFile(path: results ?? "-"))
        try file.forEachText { result, line in
            if let key = result.key, let label = labels.keys.value(of: key), texts.has(label) {
                throw file.file.problem(line, "the key \"\(key)\" is there twice")
            }
            try texts.add(result, labels)
        }
        return texts
    }

    /// The results of a selection; nil: there are none.
    /// - Parameter labels: may wait until they are read.
    private func texts(
        _ selection: EvaluationSelection, _ metric: any TextMetric, _ models: Models, _ administration: Administration,
        labels: @escaping @Sendable () throws -> LabelSet
    ) async throws -> TextResults? {
        let matches = Collected<MatchedResults?>(nil)
        let names = Dictionary(models.engines.map { ($0.id, $0.model) }) { first, _ in first }
        try await administration.texts(
            of: selection, withSeeds: perItem != nil, withDistributions: metric.name == "objaverse",
            withSamples: TextEvaluation.readsItemsAlone(metric)
        ) { row in
            try matches.change { matches in
                if matches == nil { matches = MatchedResults(labels: try labels()) }
                try matches?.add(row, models: names)
            }
        }
        return matches.value?.results
    }
}

// MARK: - Options of metrics

extension Evaluate {
    private var isCIDEr: Bool { ["caption", "cider-d"].contains(metric) }

    /// The metric's name, and what it was told beside.
    private func variant(_ metric: any TextMetric) -> String {
        metric.name + (tokenizer == .ptb ? "" : ", tokenizer \(tokenizer.rawValue)")
            + (ptbJar == nil ? "" : ", by Stanford's tokenizer")
            + (df == nil ? "" : ", given frequencies")
    }

    /// What the metrics of texts are given beside the items.
    func textOptions() throws -> TextMetrics.Options {
        var options = TextMetrics.Options(tokenizer: ptbJar == nil ? tokenizer : .ptbTokens)
        if let df {
            let file = try RowFile(path: df)
            guard let root = try file.object(), let images = root["images"]?.int, images > 0,
                let ngrams = root["ngrams"]?.object
            else { throw CommandError(.badData, "\(df) holds no document frequencies: --save-df writes them") }
            var frequencies: [String: Int] = [:]
            for (ngram, count) in ngrams.fields {
                guard let count = count.int, 1...images ~= count else {
                    throw CommandError(.badData, "\(df): the frequency of \"\(ngram)\" is not 1 to \(images)")
                }
                frequencies[ngram] = count
            }
            options.frequencies = DocumentFrequencies(imageCount: images, frequencies: frequencies)
        }
        if let embeddings {
            let file = try RowFile(path: embeddings)
            var vectors = Embeddings()
            try file.forEachRow { row in
                guard let text = row["text"]?.text, let vector = row["vector"]?.doubles else {
                    throw file.problem(row.line, "an embedding has text and vector; here are \(LabelReader.list(row))")
                }
                do throws(EvaluationError) { try vectors.add(text, vector.map { Float($0) }) } catch {
                    throw file.problem(row.line, error.reason)
                }
            }
            options.embeddings = vectors
        }
        return options
    }

    private func saveFrequencies(_ labels: LabelSet) throws {
        guard let saveDf else { return }
        struct File: Encodable {
            let images: Int
            let tokenizer: String
            let ngrams: [String: Int]
        }
        let counted = DocumentFrequencies(
            images: (0..<labels.count).map { labels.answers($0) }, tokenizer: tokenizer)
        let file = try PerItemFile(saveDf)
        do {
            try file.write { add in
                try add(File(images: counted.imageCount, tokenizer: tokenizer.rawValue, ngrams: counted.frequencies))
            }
        } catch {
            file.discard()
            throw error
        }
    }
}
