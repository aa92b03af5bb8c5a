import Evaluation
import Testing

@Suite struct ExactMatchTests {
    /// Swift's `==` holds texts equal that differ in code points; Python's does not.
    @Test func comparesCodePoints() throws {
        let items = [
            EvaluatedItem(key: "1", text: "\u{E9}", answers: ["e\u{301}"]),
            EvaluatedItem(key: "2", text: "cat", answers: ["dog", "cat"]),
            EvaluatedItem(key: "3", text: nil, answers: [""]),
        ]
        let scores = try ExactMatch(.exact).scores(of: items)
        #expect(scores.items == [0, 1, 0])
        #expect(scores.figures == [Figure(name: "accuracy", value: 1 / 3, count: 3)])
        #expect(scores.figures(of: [1, 1]) == [Figure(name: "accuracy", value: 1, count: 2)])
    }

    @Test func namesAnItemWithoutAnswers() {
        #expect(throws: EvaluationError(key: "k", reason: "it has no answers")) {
            try ExactMatch(.exact).scores(of: [EvaluatedItem(key: "k", text: "a", answers: [])])
        }
    }
}
