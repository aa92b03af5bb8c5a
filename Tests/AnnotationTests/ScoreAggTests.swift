import Testing

import Annotation

@Suite struct ScoreAggTests {
    @Test func testVector() {
        let views: [[ScoreAgg.Response]] = [
            [.init(text: "banana", score: -0.5), .init(text: "a banana.", score: -1), .init(text: "fruit", score: -2)],
            [.init(text: "fruit", score: -0.2)],
        ]
        let answers = ScoreAgg.aggregate(views)
        #expect(answers.map(\.answer) == ["fruit", "banana"])
        #expect(abs(answers[0].probability - 0.61135) < 1e-5)
        #expect(abs(answers[1].probability - 0.38865) < 1e-5)
    }

    @Test(arguments: [
        ("Banana.", "banana"), ("a banana", "banana"), ("  The   Banana! ", "banana"),
        ("a red cube on a white background", "red cube"), ("cube on the plain white backdrop", "cube"),
        ("This is a picture of an apple", "apple"), ("a 3D model of a chair.", "chair"), ("it's", "its"),
        ("a background", "background"), ("a man on a horse", "man on horse"), ("", ""), ("...", "..."), ("A", "a"),
        ("-5", "-5"), ("3.5", "3.5"), ("C++", "c++"),
        ("C#.", "c#"), ("50%", "50%"), ("ice-cream", "ice cream"), ("image a of cat", "cat"),
        ("1,000 cubes.", "1,000 cubes"),
        ("Ünïcode ☃", "ünïcode"),
        ("image of", "image of"), ("\u{4}\u{36C}\u{8}\u{36C}", "\u{36C}"), (" \u{36C}", "\u{36C}"),
    ]) func canonical(text: String, expected: String) {
        #expect(ScoreAgg.canonical(text) == expected)
        #expect(ScoreAgg.canonical(expected) == expected, "canonical form is a fixed point")
    }

    @Test func nothingToAggregate() {
        #expect(ScoreAgg.aggregate([]).isEmpty)
        #expect(ScoreAgg.aggregate([[.init(text: " ", score: 0)]]).isEmpty)
    }

    /// What a job ignores counts for nothing, however it is written.
    @Test func ignoredAnswersCountForNothing() {
        let refusal = "sorry, as a base VLM I am not trained to answer this question"
        let views: [[ScoreAgg.Response]] = [
            [.init(text: "Sorry, as a base VLM I am not trained to answer this question.", score: -0.1)],
            [.init(text: "Unanswerable", score: -0.2), .init(text: "cup", score: -3)],
            [.init(text: "a cup", score: -3), .init(text: "mug", score: -3)],
        ]
        #expect(ScoreAgg.aggregate(views).map(\.answer)[0] == ScoreAgg.canonical(refusal))
        let answers = ScoreAgg.aggregate(views, ignoring: [refusal, "unanswerable"])
        #expect(answers.map(\.answer) == ["cup", "mug"])
        #expect(abs(answers[0].probability - 2 / 3) < 1e-12 && abs(answers[1].probability - 1 / 3) < 1e-12)
        #expect(ScoreAgg.aggregate(views, ignoring: [refusal, "unanswerable", "The cup!", "MUG"]).isEmpty)
    }

    @Test func probabilitiesSumToOneAndExtremeScoresStayFinite() {
        let answers = ScoreAgg.aggregate([[.init(text: "x", score: -2000)], [.init(text: "y", score: -2001)]])
        #expect(abs(answers.reduce(0) { $0 + $1.probability } - 1) < 1e-12)
        #expect(abs(answers[0].probability - 0.7310585786300049) < 1e-12)
    }
}
