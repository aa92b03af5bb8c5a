import Console
import Foundation
import Storage
import Testing

@testable import Admin

/// The report's page around the cards.
@Suite struct PageTests {
    /// It counts results of a task of a newer version as well.
    @Test func aTaskUnknownHereIsCounted() throws {
        let row = try ResultRow(
            json: """
                {"job_id":1,"task":"dream","key":null,"text":"t","finish_reason":"eos","texts":["t"],
                 "image_urls":["http://a"],"prompts":["p"],"model":"m","settings":{}}
                """)
        let page = PageHTML(title: "<t>", cards: [ResultCard(rows: [row])], losses: [], dead: [], leftCount: 0)
        #expect(page.head.description.contains("<b>1</b> image<"))
        #expect(page.head.description.contains("<h1>&lt;t&gt;</h1>"))
    }

    /// What was lost stands by code before the jobs; the page counts all of them, though it lists the latest alone.
    @Test func failuresAreSummedUpByCode() throws {
        func rows<Row: Decodable>(_ json: String) throws -> [Row] {
            try JSONDecoder().decode([Row].self, from: Data(json.utf8))
        }
        let losses: [LossRow] = try rows(
            """
            [{"code":"http_404","dead":1200,"hosts":30,"advice":"Look at the URL."},{"code":"<c>","dead":1,"hosts":1}]
            """)
        let dead: [JobRow] = try rows(
            """
            [{"job_id":7,"task":"caption","state":"dead","attempts":1,"max_attempts":5,"priority":0,"created_at":"",
            "reason":"HTTP 404","image_url":"http://a/1"}]
            """)
        let page = PageHTML(title: "t", cards: [], losses: losses, dead: dead, leftCount: 0)
        #expect(page.head.description.contains("<b>1,201</b> failures<"))
        let tail = page.tail.description
        #expect(tail.contains("<td>http_404</td><td>1,200</td><td>30</td><td>Look at the URL.</td>"))
        #expect(tail.contains("<td>&lt;c&gt;</td>") && tail.contains("The latest 1 of them:"))
        #expect(tail.contains("HTTP 404</td>"))
        #expect(
            !PageHTML(title: "t", cards: [], losses: [], dead: [], leftCount: 0).tail.description.contains(
                "result</h2>"))
    }
}
