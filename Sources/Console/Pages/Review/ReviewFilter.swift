import Annotation

/// What to look at next: all of it stands in the address, and every form of the page carries it on.
struct ReviewFilter {
    /// The order: `gloss.review_next` has it.
    enum Policy: String, CaseIterable {
        case lowest, margin, entropy, disagreement, random, newest

        var words: String {
            switch self {
            case .lowest: "lowest score first"
            case .margin: "smallest margin first"
            case .entropy: "largest entropy first"
            case .disagreement: "disagreement first"
            case .random: "random, by the seed"
            case .newest: "newest first"
            }
        }
    }

    static let names = ["policy", "batch", "task", "model", "label", "low", "high", "seed", "opinions"]

    let policy: Policy
    let batch, task, model, label, seed: String?
    let low, high: Double?
    /// How many reviewers shall judge a result.
    let opinions: Int64
    /// Its fields alone.
    let query: URLQuery

    init(_ query: URLQuery) throws {
        policy =
            try BadField.word(query, "policy", of: Policy.allCases.map(\.rawValue)).flatMap(Policy.init) ?? .lowest
        (batch, task, model) = (query["batch"], query["task"], query["model"])
        (label, seed) = (query["label"], query["seed"])
        (low, high) = (try BadField.number(query, "low"), try BadField.number(query, "high"))
        opinions = try BadField.whole(query, "opinions") ?? 1
        self.query = Self.names.reduce(URLQuery()) { $0.setting($1, query[$1]) }
    }

    /// Leases the next result to a reviewer.
    func next(for reviewer: String) -> Statement {
        """
        select job_id from gloss.review_next(policy => \(policy.rawValue), batch => \(batch), task => \(task), model => \(model),
            label => \(label), low => \(low.map { "\($0)" })::real, high => \(high.map { "\($0)" })::real,
            seed => \(seed), reviewer => \(reviewer), opinions => \(opinions)::int)
        """
    }

    /// For forms that do not show them.
    var hidden: HTML {
        HTML(
            query.fields.map { name, value -> HTML in
                "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">"
            })
    }

    /// The form that chooses it; it begins a review as well.
    /// - Parameter mayReview: without it there is no such button.
    func form(batches: [String], models: [String], mayReview: Bool) -> HTML {
        let tasks = [("", "any")] + TaskName.all.map { ($0.name.rawValue, $0.title) }
        let begin: HTML =
            mayReview
            ? "<button type=\"submit\" formaction=\"/review/next\" formmethod=\"post\">Begin</button>" : ""
        return Parts.filters(
            "/review",
            [
                Parts.choice("policy", "Order", Policy.allCases.map { ($0.rawValue, $0.words) }, policy.rawValue),
                Parts.input("batch", "Batch", batch, suggestions: batches),
                Parts.choice("task", "Task", tasks, task),
                Parts.choice("model", "Model", [("", "any")] + models.map { ($0, $0) }, model),
                Parts.input("label", "Label", label, hint: "of any box"),
                Parts.number("low", "Score from", query["low"], hint: "0"),
                Parts.number("high", "to", query["high"], hint: "1"),
                Parts.input("seed", "Seed of random", seed),
                Parts.number("opinions", "Opinions", query["opinions"], hint: "1"),
            ], action: begin)
    }
}
