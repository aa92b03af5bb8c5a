import Console
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
        let page = PageHTML(title: "<t>", cards: [ResultCard(rows: [row])], dead: [], leftCount: 0)
        #expect(page.head.description.contains("<b>1</b> image<"))
        #expect(page.head.description.contains("<h1>&lt;t&gt;</h1>"))
    }
}
