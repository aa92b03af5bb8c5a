import Foundation
import Storage
import TestSupport
import Testing

@testable import Console

/// The tables of evaluations, and the commands below results.
@Suite struct EvaluationPageTests {
    private func world(_ figures: String) async throws -> ConsoleWorld {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.query(
            """
            select gloss.keep_evaluation(jsonb_build_object('metric', 'exact', 'variant', 'exact', 'labels_sha256', repeat('a', 64),
                'gloss_version', '0', 'n', 9, 'selection', '{"batch": "b", "task": "vqa"}'::jsonb, 'not_scored', '[]'::jsonb,
                'figures', $1::jsonb))
            """, [SQLValue(figures)])
        return try await ConsoleWorld(database)
    }

    @Test func tablesLeadToTheResultsBehindThem() async throws {
        let world = try await world(
            """
            [{"name": "accuracy", "value": 0.5, "count": 9, "low": 0.25, "high": 0.75},
             {"name": "calibration", "value": 0.0421, "count": 9, "ece": 0.0421, "brier": 0.18,
              "bins": [{"low": 0.4, "high": 0.46666666666666667, "count": 2, "confidence": 0.44, "accuracy": 0.5},
                       {"low": 0.9333333333333333, "high": 1, "count": 7, "confidence": 0.97, "accuracy": 0.8571}]},
             {"name": "confusion", "value": null, "count": 9, "labels": ["cat", "<b>"], "answers": ["cat", "<b>", "a fox…"],
              "counts": [[4, 1, 0, 0, 0], [0, 2, 1, 0, 0], [0, 0, 0, 0, 1]]}]
            """)
        let page = try await world.get("/evaluations/1").text
        #expect(Markup.problem(in: page) == nil, "\(Markup.problem(in: page) ?? "")")
        for part in [
            "Expected calibration error 0.0421. Brier score 0.1800. The links",
            "<a href=\"/results?batch=b&amp;task=vqa&amp;least=0.9333&amp;most=1.0000\">0.9333 – 1.0000</a>",
            "-0.113", "+0.060", "<a href=\"/results?batch=b&amp;task=vqa&amp;answer=cat\">4</a>",
            "<b>✓</b> <a href=\"/results?batch=b&amp;task=vqa&amp;answer=%3Cb%3E\">2</a>",
            "<th scope=\"row\">other labels</th>",
            "class=\"number\">a fox…</th>", "<a href=\"/results?batch=b&amp;task=vqa\">9</a>",
        ] {
            #expect(page.contains(part), "\(part)")
        }
        #expect(!page.contains("calibration</th>"), "a table is no figure")
        let list = try await world.get("/evaluations").text
        #expect(list.contains("<td>accuracy</td>") && Markup.problem(in: list) == nil)
    }

    /// What is not of the size that it says is left out.
    @Test func wrongTablesAreLeftOut() async throws {
        let world = try await world(
            """
            [{"name": "confusion", "value": null, "count": 1, "labels": ["a"], "answers": ["a"], "counts": [[1]]},
             {"name": "calibration", "value": null, "count": 0, "bins": []}]
            """)
        let page = try await world.get("/evaluations/1")
        #expect(page.status == 200 && !page.text.contains("Confusion") && !page.text.contains("Reliability"))
    }

    @Test(
        arguments: [
            ("", ["glossctl export jsonl", "glossctl export coco"]),
            (
                "task=caption&text=x",
                [
                    "glossctl export jsonl --nested --task caption",
                    "glossctl export coco --kind captions --task caption",
                ]
            ),
            (
                "batch=it%27s&task=detect&label=d%27or&low=0.5",
                ["jsonl", "coco"].map {
                    "glossctl export \($0) --batch 'it'\\''s' --task detect --where 'label = '\\''d'\\'''\\''or'\\'' and score >= 0.5'"
                }
            ),
            ("task=multiview&model=m-1", ["glossctl export objaverse --task multiview --model m-1"]),
        ] as [(String, [String])])
    func commandsAreTheFilter(query: String, expected: [String]) throws {
        #expect(ExportCommands.lines(try ResultsFilter(URLQuery(query))) == expected)
    }

    @Test func commandsSayWhatTheyLack() throws {
        let filter = try ResultsFilter(
            URLQuery("task=vqa&label=x&low=1&text=a&reviewed=not&finish=eos&least=0&answer=b"))
        #expect(
            ExportCommands.omissions(filter) == [
                "text", "how it ended", "reviewed", "answer", "probability", "label", "score",
            ])
        #expect(ExportCommands.omissions(try ResultsFilter(URLQuery("batch=b&label=x"))).isEmpty)
    }
}
