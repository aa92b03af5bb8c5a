import Annotation

/// Which results, and in what order: all of it stands in the address.
struct ResultsFilter {
    /// How a list of results is sorted.
    enum Order: String, CaseIterable {
        case newest, lowest, highest

        var words: String {
            switch self {
            case .newest: "newest first"
            case .lowest: "lowest score first"
            case .highest: "highest score first"
            }
        }
    }

    let batch, task, model, label, text, finish: String?
    let low, high: Double?
    let order: Order
    /// Where the page before this one ended.
    let beforeJob: Int64?
    let beforeScore: Double?

    init(_ query: URLQuery) throws {
        (batch, model, label, text) = (query["batch"], query["model"], query["label"], query["text"])
        task = query["task"]
        finish = try BadField.word(query, "finish", of: ["eos", "length", "repetition"])
        (low, high) = (try BadField.number(query, "low"), try BadField.number(query, "high"))
        order =
            try BadField.word(query, "order", of: Order.allCases.map(\.rawValue)).flatMap(Order.init) ?? .newest
        beforeJob = try BadField.whole(query, "job")
        beforeScore = try BadField.number(query, "score")
    }

    /// Its tables.
    let source: Statement = "from gloss.annotation a join gloss.job j on j.id = a.job_id"

    /// What each result must be.
    var conditions: Statement {
        var all: [Statement] = []
        if let task { all.append("a.task = \(task)") }
        if let batch { all.append("j.batch_id = (select id from gloss.batch where name = \(batch))") }
        if let model {
            all.append("a.engine = any (array(select id from gloss.engine where \(model) in (model, digest)))")
        }
        if let finish { all.append("strpos(a.finish, \(String(finish.prefix(1)))) > 0") }
        if finish == "eos" { all[all.count - 1] = "translate(a.finish, 'e', '') = ''" }
        if let text { all.append(Self.holds(text)) }
        if let score = Self.score(label: label, low: low, high: high) { all.append(score) }
        if order != .newest { all.append("a.score is not null") }
        return .all(all)
    }

    /// What is behind the last one of the page before.
    var position: Statement {
        guard let beforeJob else { return "true" }
        let score = beforeScore.map { "\($0)" }
        return switch order {
        case .newest: "a.job_id < \(beforeJob)::bigint"
        case .lowest: "a.score >= \(score)::real and (a.score, a.job_id) > (\(score)::real, \(beforeJob)::bigint)"
        case .highest: "a.score <= \(score)::real and (a.score, a.job_id) < (\(score)::real, \(beforeJob)::bigint)"
        }
    }

    var sorting: Statement {
        switch order {
        case .newest: "a.job_id desc"
        case .lowest: "a.score, a.job_id"
        case .highest: "a.score desc, a.job_id desc"
        }
    }

    /// Any box, of those with the label if there is one; of a result without boxes its own score.
    private static func score(label: String?, low: Double?, high: Double?) -> Statement? {
        guard label != nil || low != nil || high != nil else { return nil }
        func range(_ column: Statement) -> [Statement] {
            [low.map { "\(column) >= \("\($0)")::real" }, high.map { "\(column) <= \("\($0)")::real" }]
                .compactMap(\.self)
        }
        var box: [Statement] = ["f.job_id = a.job_id", "f.fence = a.fence"] + range("f.score")
        if let label { box.append("f.label = \(label)") }
        let any: Statement = "exists (select from gloss.finding f where \(Statement.all(box)))"
        guard label == nil else { return "a.findings > 0 and \(any)" }
        return "case when a.findings > 0 then \(any) else \(Statement.all(range("a.score"))) end"
    }

    /// Any response or answer that holds a text, in small or capital letters.
    private static func holds(_ text: String) -> Statement {
        let pattern =
            "%"
            + text.replacing("\\", with: "\\\\").replacing("%", with: "\\%").replacing("_", with: "\\_") + "%"
        return "exists (select from unnest(a.texts || coalesce(a.answers, '{}')) t where t ilike \(pattern))"
    }
}
