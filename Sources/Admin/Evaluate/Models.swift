import Annotation
import Evaluation
import Storage

/// The engines that gave results, and how a user names them.
struct Models: Sendable {
    let engines: [EngineRow]

    /// The engines of a model: by its name, or by the beginning of its digest or its adapter's.
    /// - Throws: `CommandError` if no result is of such a model.
    func ids(of name: String) throws -> [Int64] {
        let found = engines.filter { engine in
            engine.model == name
                || name.count >= 6 && (engine.digest.hasPrefix(name) || engine.adapter_digest.hasPrefix(name))
        }
        guard !found.isEmpty else {
            let names = Set(engines.map { "\($0.model) (\($0.digest.prefix(12)))" }).sorted()
            let there = names.isEmpty ? "there are no results" : "there are results of \(names.joined(separator: ", "))"
            throw CommandError(.failed, "no result is of a model \"\(name)\": \(there)")
        }
        return found.map(\.id)
    }

    /// `tiny 0f1e2d3c4b5a`, those with most results first.
    func words(_ counts: [Int64: Int]) -> [String] {
        var names: [String] = []
        for (id, _) in counts.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            guard let engine = engine(id) else { continue }
            let adapter = engine.adapter_digest.isEmpty ? "" : "+\(engine.adapter_digest.prefix(12))"
            let name = "\(engine.model) \(engine.digest.prefix(12))\(adapter)"
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// The model's name and digest; nil: there is none, or there are several.
    func only(_ counts: [Int64: Int]) -> (name: String, digest: String)? {
        let all = Set(counts.keys.compactMap { engine($0).map { [$0.model, $0.digest] } })
        guard all.count == 1, let one = all.first else { return nil }
        return (one[0], one[1])
    }

    func engine(_ id: Int64) -> EngineRow? { engines.first { $0.id == id } }
}

extension Evaluate {
    /// The results that are chosen, and those that they are compared with.
    func selections(_ models: Models) throws -> (ours: EvaluationSelection, theirs: EvaluationSelection?) {
        var ours = EvaluationSelection(batch: batch, task: task, since: since)
        var theirs = against == nil ? nil : ours
        if let model { ours.engines = try models.ids(of: model) }
        if against == "superseded" {
            theirs?.areSuperseded = true
            theirs?.since = nil
        } else if let against {
            let others = try models.ids(of: against)
            theirs?.engines = others
            ours.engines = (ours.engines ?? models.engines.map(\.id)).filter { !others.contains($0) }
            guard ours.engines?.isEmpty == false else {
                throw CommandError(
                    .failed, "there are no results of another model than \"\(against)\" to compare with it")
            }
        }
        return (ours, theirs)
    }

    /// The engines of the database; none for results of a file.
    func models(_ administration: Administration) async throws -> Models {
        guard results == nil else { return Models(engines: []) }
        if let batch { try await administration.batch(named: batch) }
        return Models(engines: try await administration.engines())
    }

    /// Which models gave the results.
    func say(
        _ models: Models, _ engines: [Int64: Int], against others: [Int64: Int]?, in report: inout EvaluationReport
    ) {
        report.models = models.words(engines)
        report.against = others.map { models.words($0) } ?? []
        if report.models.count > 1 {
            report.notes.append("The results are of several models; --model chooses one.")
        }
        if let only = models.only(engines) { report.keptModel = only }
    }

    /// Keeps the run; without the right to, says so.
    func keep(_ report: inout EvaluationReport) async throws {
        struct Kept: Encodable {
            let metric: String
            let variant: String
            let labels_sha256: String
            let model: String?
            let model_digest: String?
            let gloss_version: String
            let n: Int
            let selection: [String: String]
            let not_scored: [EvaluationReport.Gap]
            let figures: [EvaluationReport.Line]
        }
        var selection = ["missing": policy.rawValue]
        for (name, value) in [
            ("batch", batch), ("task", task?.rawValue), ("model", model), ("since", since), ("against", against),
        ] {
            if let value { selection[name] = value }
        }
        if truth { selection["labels"] = "gloss.truth" }
        let kept = Kept(
            metric: report.metric, variant: report.variant, labels_sha256: report.labelsSHA256,
            model: report.keptModel?.name,
            model_digest: report.keptModel?.digest, gloss_version: report.glossVersion, n: report.count,
            selection: selection,
            not_scored: report.notScored, figures: report.figures)
        do {
            report.evaluation = try await database.administration().keep(evaluation: try JSONText.encode(kept))
        } catch let error as StorageError where error.sqlState == "42501" {
            Console.note(
                "Not kept in gloss.evaluation: that takes the role gloss_admin. --no-keep says that you do not mean to."
            )
        }
    }
}
