import Annotation
import Evaluation
import Testing

@Suite struct TextMetricTests {
    private func item(_ text: String?, _ answers: [String], group: String? = nil) -> EvaluatedItem {
        EvaluatedItem(key: "k", text: text, answers: answers, group: group)
    }

    private func value(_ figures: [Figure], _ name: String) -> Double? { figures.first { $0.name == name }?.value }

    @Test func hasUniqueNames() {
        let names = TextMetrics.all().map(\.name)
        #expect(Set(names).count == names.count)
        #expect(TextMetrics.named("vqa-v2") != nil && TextMetrics.named("vqa-v3") == nil)
    }

    /// A missing result is never right, not even against an empty answer.
    @Test(arguments: TextMetrics.all().map(\.name).filter { !["cer", "wer", "cer-lower", "wer-lower"].contains($0) })
    func scoresMissingResultsAsWrong(name: String) throws {
        let answers = ["pope", "pope-bv"].contains(name) ? ["no"] : name == "counting" ? ["0"] : ["a"]
        let item = EvaluatedItem(
            key: "k", text: nil, answers: name == "textvqa" ? Array(repeating: "", count: 10) : answers,
            questionType: "comp", group: "g", choices: ["x", "y"])
        let scores = try #require(TextMetrics.named(name)).scores(of: [item, item])
        #expect(scores.items == [0, 0])
    }

    @Test func averagesWhatIsResampled() throws {
        let scores = try ANLS(.robustReading).scores(of: [item("ab", ["ab"]), item("ab", ["ac"]), item("x", ["ab"])])
        #expect(scores.items == [1, 0.5, 0])
        #expect(value(scores.figures, "ANLS") == 0.5)
        #expect(value(scores.figures(of: [0, 0, 1, 1]), "ANLS") == 0.75)
        #expect(scores.figures(of: []).first?.value == nil)
    }

    /// The three variants differ where the distance is exactly half of the length.
    @Test func knowsThreeKindsOfANLS() throws {
        let half = [item("ab", ["ac"])]
        #expect(try ANLS(.robustReading).scores(of: half).items == [0.5])
        #expect(try ANLS(.pix2struct).scores(of: half).items == [0.5])
        #expect(try ANLS(.bigVision).scores(of: half).items == [0])
    }

    @Test func countsYearsStrictlyIfAsked() throws {
        let year = [item("2008", ["2010"])]
        #expect(try RelaxedAccuracy(.relaxed).scores(of: year).items == [1])
        #expect(try RelaxedAccuracy(.strictYears).scores(of: year).items == [0])
        #expect(try RelaxedAccuracy(.strictYears).scores(of: [item("1.02", ["1"])]).items == [1])
    }

    @Test func needsTenPeopleForTextVQA() {
        #expect(throws: EvaluationError(key: "k", reason: "it has 9 answers; TextVQA's accuracy is defined on 10")) {
            try VQAAccuracy(.textVQA).scores(of: [item("a", Array(repeating: "a", count: 9))])
        }
    }

    /// Without a yes there is no precision, and no division by zero.
    @Test func leavesUndefinedFiguresOpen() throws {
        let scores = try POPE(.bigVision).scores(of: [item("no", ["yes"]), item("maybe", ["no"])])
        #expect(scores.items == [0, nil])
        #expect(scores.figures.map(\.value) == [0, nil, 0, nil, 0, 0.5])
    }

    @Test func judgesPairsTogether() throws {
        let items = [
            item("(a)", ["(a)"], group: "1"), item("(b)", ["(b)"], group: "1"), item("b", ["(a)"], group: "2"),
            item("The left one", ["(a)"], group: "2"),
        ].map { item in
            var item = item
            item.choices = ["Left", "Right"]
            return item
        }
        let scores = try Pairing.mmvp.scores(of: items)
        #expect(scores.items == [1, 1, 0, nil])
        #expect(scores.figures.map(\.value) == [0.5, 0.5])
        #expect(scores.figures.map(\.count) == [2, 4])
        #expect(throws: EvaluationError(key: "k", reason: "it has no group, and this metric is of groups")) {
            try Pairing.paired.scores(of: [item("a", ["a"])])
        }
    }

    @Test func readsChoicesByLetterAndByWords() throws {
        func score(_ text: String, _ answer: String) throws -> Double? {
            let item = EvaluatedItem(key: "k", text: text, answers: [answer], choices: ["A cat", "a dog"])
            return try ChoiceMatch().scores(of: [item]).items[0]
        }
        #expect(try score("B.", "a dog") == 1 && score("a cat ", "(a)") == 1 && score("(b) a dog", "b") == 1)
        #expect(try score("A", "b") == 0)
        #expect(try score("a bird", "a") == nil && score("c", "a") == nil && score("", "a") == nil)
    }

    @Test func weighsDistributions() throws {
        let item = EvaluatedItem(
            key: "k", text: "red chair", answers: ["A chair.", "seat"],
            distribution: [
                AggregatedAnswer(answer: "red chair", probability: 0.5),
                AggregatedAnswer(answer: "chair", probability: 0.25),
                AggregatedAnswer(answer: "seat", probability: 0.25),
            ])
        let figures = try Objaverse().scores(of: [item]).figures
        #expect(value(figures, "top-1") == 0 && value(figures, "top-5") == 1 && value(figures, "mass") == 0.5)
        #expect(abs(try #require(value(figures, "log score")) + 0.6931471805599453) < 1e-12)
        #expect(abs(try #require(value(figures, "entropy")) - 1.0397207708399179) < 1e-12)
    }

    @Test func namesTextsWithoutEmbedding() throws {
        var embeddings = Embeddings()
        try embeddings.add("a", [3, 4])
        try embeddings.add("b", [4, 3])
        let metric = Objaverse(embeddings: embeddings)
        #expect(abs(try #require(value(try metric.scores(of: [item("a", ["b"])]).figures, "cosine")) - 0.96) < 1e-12)
        #expect(throws: EvaluationError(reason: "there is no embedding of 'c'")) {
            try metric.scores(of: [item("a", ["c"])])
        }
        #expect(throws: EvaluationError(reason: "the embedding of 'c' has 1 dimensions; those before it have 2")) {
            try embeddings.add("c", [1])
        }
    }
}
