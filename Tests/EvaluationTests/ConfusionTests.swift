import Evaluation
import Testing

@Suite struct ConfusionTests {
    @Test func countsAnswersByLabel() {
        var confusion = Confusion()
        for (label, answer) in [
            ("cat", "cat"), ("cat", "cat"), ("cat", "dog"), ("dog", "fox"), ("dog", "dog"), ("cow", "cat"),
            ("cow", nil),
            ("elk", "emu"),
        ] { confusion.add((label, answer)) }
        let whole = confusion.table()
        #expect(whole.labels == ["cat", "cow", "dog", "elk"] && whole.answers == ["cat", "dog", "emu", "fox"])
        #expect(
            whole.counts == [
                [2, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1], [0, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0],
            ])
        // The rest is counted: labels but cat and cow, answers but cat and dog.
        let small = confusion.table(most: 2)
        #expect(small.labels == ["cat", "cow"] && small.answers == ["cat", "dog"])
        #expect(small.counts == [[2, 1, 0, 0], [1, 0, 0, 1], [0, 1, 2, 0]])
        #expect(Confusion().table() == Confusion.Table(labels: [], answers: [], counts: [[0, 0]]))
    }

    @Test func tellsCodePointsApart() {
        var confusion = Confusion()
        for answer in ["\u{E9}", "e\u{301}", "\u{E9}"] { confusion.add(("e\u{301}", answer)) }
        let table = confusion.table()
        #expect(table.counts == [[1, 2, 0, 0], [0, 0, 0, 0]])
        #expect(table.answers.map { $0.unicodeScalars.count } == [2, 1])
    }

    /// A million different texts cannot fill the memory: from the 10,001st on they are the rest.
    @Test func keepsFewNames() {
        var confusion = Confusion()
        for number in 0..<10_050 { confusion.add(("a", number < 10_000 ? "\(number)" : "late")) }
        let table = confusion.table(most: 1)
        #expect(table.counts == [[1, 10_049, 0], [0, 0, 0]])
    }

    /// An item is on the diagonal if and only if it scores 1.
    @Test func classesAgreeWithScores() throws {
        let texts = ["Yes", "no", "(b)", "two", "The answer is B. So.", "the cat", "CAT!", nil, ""]
        let answers = ["yes", "no", "b", "The answer is b.", "cat", "two"]
        var scored = 0
        for metric in TextMetrics.all().compactMap({ $0 as? any ClassMetric }) {
            for text in texts {
                for answer in answers {
                    let lists = [[answer], [answer, "cat"]]
                    for answers in lists {
                        let item = EvaluatedItem(key: "k", text: text, answers: answers, choices: ["two", "cat"])
                        guard let score = try? metric.scores(of: [item]).items[0] ?? -1 else { continue }
                        let classes = metric.classes(of: item)
                        #expect(
                            (classes.answer.map { PythonText.areEqual($0, classes.label) } == true) == (score == 1),
                            "\(metric.name): \(text ?? "nil"), \(answers)")
                        if score < 0 { #expect(classes.answer == nil, "\(metric.name): \(text ?? "nil")") }
                        scored += 1
                    }
                }
            }
        }
        #expect(scored > 400)
    }
}
