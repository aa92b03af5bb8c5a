import Annotation

/// Which results, and in what order: all of it stands in the address.
struct ResultsFilter {
    /// How a list of results is sorted.
    enum Order: String, CaseIterable {
        case newest, lowest, highest, random

        var words: String {
            switch self {
            case .newest: "newest first"
            case .lowest: "lowest score first"
            case .highest: "highest score first"
            case .random: "random, by the seed"
            }
        }
    }

    /// What reviews say of a result.
    enum Reviewed: String, CaseIterable {
        case not, accepted, edited, rejected

        var words: String { self == .not ? "not yet" : rawValue }

        /// As reviews have it.
        var verdict: String? {
            switch self {
            case .not: nil
            case .accepted: "accept"
            case .edited: "edit"
            case .rejected: "reject"
            }
        }
    }

    let batch, task, model, label, text, answer, finish: String?
    let reviewed: Reviewed?
    /// What a random order is drawn by.
    let seed: String
    let low, high: Double?
    /// Of the answer's probability.
    let least, most: Double?
    let order: Order
    /// Where the page before this one ended.
    let beforeJob: Int64?
    let beforeScore: Double?
    let beforeHash: Int64?

    init(_ query: URLQuery) throws {
        (batch, model, label, text) = (query["batch"], query["model"], query["label"], query["text"])
        (task, answer) = (query["task"], query["answer"])
        (least, most) = (try BadField.number(query, "least"), try BadField.number(query, "most"))
        finish = try BadField.word(query, "finish", of: ["eos", "length", "repetition"])
        reviewed = try BadField.word(query, "reviewed", of: Reviewed.allCases.map(\.rawValue)).flatMap(Reviewed.init)
        seed = query["seed"] ?? "1"
        (low, high) = (try BadField.number(query, "low"), try BadField.number(query, "high"))
        order =
            try BadField.word(query, "order", of: Order.allCases.map(\.rawValue)).flatMap(Order.init) ?? .newest
        beforeJob = try BadField.whole(query, "job")
        beforeScore = try BadField.number(query, "score")
        beforeHash = try query["hash"].map { text in
            guard let hash = Int64(text) else { throw BadField(message: "hash is a whole number.") }
            return hash
        }
    }

    /// Its place in the order of random samples, which begins anew behind the last one: gloss.review_next draws in the same order.
    private func drawn(_ place: Statement) -> Statement { "\(place) < gloss.draw_start(\(seed)), \(place)" }

    let place: Statement = "gloss.draw_place(a.job_id)"

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
        if let answer { all.append("lower(btrim(coalesce(a.answers[1], a.texts[1]))) = lower(btrim(\(answer)))") }
        if let least { all.append("\(Self.probability) >= \("\(least)")::real") }
        if let most { all.append("\(Self.probability) <= \("\(most)")::real") }
        if let text { all.append(Self.holds(text)) }
        if let score = Self.score(label: label, low: low, high: high) { all.append(score) }
        if let reviewed { all.append(Self.condition(reviewed)) }
        if order == .lowest || order == .highest { all.append("a.score is not null") }
        return .all(all)
    }

    /// What is behind the last one of the page before.
    var position: Statement {
        guard let beforeJob else { return "true" }
        let (score, before) = (beforeScore.map { "\($0)" }, beforeHash.map { "\($0)" })
        return switch order {
        case .newest: "a.job_id < \(beforeJob)::bigint"
        case .lowest: "a.score >= \(score)::real and (a.score, a.job_id) > (\(score)::real, \(beforeJob)::bigint)"
        case .highest: "a.score <= \(score)::real and (a.score, a.job_id) < (\(score)::real, \(beforeJob)::bigint)"
        case .random: "(\(drawn(place)), a.job_id) > (\(drawn("\(before)::bigint")), \(beforeJob)::bigint)"
        }
    }

    var sorting: Statement {
        switch order {
        case .newest: "a.job_id desc"
        case .lowest: "a.score, a.job_id"
        case .highest: "a.score desc, a.job_id desc"
        case .random: "\(drawn(place)), a.job_id"
        }
    }

    /// Of the first answer: its share of the answers' distribution, or that of its response.
    private static let probability: Statement =
        "coalesce(a.probabilities[1], exp(a.sums[coalesce(array_position(a.texts, a.answers[1]), 1)]))"

    /// What any reviewer says of the result as it is now.
    private static func condition(_ reviewed: Reviewed) -> Statement {
        guard let verdict = reviewed.verdict else { return "a.reviews = 0" }
        return """
            exists (select from gloss.standing_review r
                      where r.job_id = a.job_id and r.fence = a.fence and r.verdict = \(verdict))
            """
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
