import Annotation
import Foundation
import Storage
import TestSupport
import Testing

/// Ways to decode, from SQL to the view, by a real process with the shipped model.
@Suite struct DecodingTests {
    private static let root = GlossdProcess.fixtures.deletingLastPathComponent().deletingLastPathComponent()

    @Test(.timeLimit(.minutes(5))) func theShippedModelChoosesSearchesAndContinues() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let bytes = Array(try Data(contentsOf: Self.root.appending(path: "demo/images/objects/obj-0/view-0.jpg")))
        let server = try LoopbackServer(["/cube.jpg": { $0.answer(200, bytes) }])
        let url = server.url("/cube.jpg")
        try await database.query(
            """
            select (gloss.enqueue_choice('\(url)', 'what colour is this?', array['green', 'red', 'blue'],
                    key => 'colour', batch => 'all', token_scores => true)).outcome,
                (gloss.enqueue_choice('\(url)', 'is there a sphere?', array['yes', 'no'], key => 'sphere',
                    batch => 'all')).outcome,
                (gloss.enqueue_caption('\(url)', key => 'beams', beams => 3, batch => 'all')).outcome,
                (gloss.enqueue_caption('\(url)', key => 'greedy', batch => 'all', token_scores => true)).outcome,
                (gloss.enqueue_caption('\(url)', key => 'continued', continue_from => 'a green',
                    batch => 'all')).outcome,
                (gloss.enqueue_caption('\(url)', key => 'likeliest', samples => 8, pick => 'likeliest', seed => 3,
                    batch => 'all')).outcome
            """)
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_MODEL"] = Self.root.appending(path: "models/gloss-shapes").path
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'all'", in: database, [daemon])

        let choices = try await database.query(
            """
            select key, answer, probability > .9, options, abs(sum_p - 1) < 1e-4
            from gloss.choice, lateral (select sum(p) as sum_p from unnest(probabilities) p) s order by key
            """)
        #expect(
            choices.rows == [
                ["colour", "red", "t", "{green,red,blue}", "t"], ["sphere", "no", "t", "{yes,no}", "t"],
            ])
        let texts = try await database.query(
            "select key, caption, finish_reason, cardinality(samples) from gloss.caption order by key"
        ).rows
        #expect(texts.map { $0[0] } == ["beams", "continued", "greedy", "likeliest"])
        #expect(texts.map { $0[2] } == ["eos", "eos", "eos", "eos"])
        #expect(texts.map { $0[3] } == ["1", "1", "1", "1"], "of eight samples one is kept")
        #expect(texts[0][1] == "a red cube" && texts[2][1] == "a red cube")
        #expect(texts[1][1]?.hasPrefix("a green") == true)
        let sums = try await database.query(
            """
            select max(sum_logprob) filter (where key = 'beams') >= max(sum_logprob) filter (where key = 'greedy') - 1e-4
            from gloss.caption
            """)
        #expect(sums.scalar == "t", "beams find nothing less likely than the greedy text")
        let tokens = try await database.query(
            """
            select j.key, t.n from gloss.job j,
                lateral (select count(*) as n from gloss.token_score t where t.job_id = j.id) t where t.n > 0 order by 1
            """)
        #expect(tokens.rows == [["colour", "3"], ["greedy", "1"]], "kept where they were asked for")
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }

    /// A scene with a blue square above a purple circle.
    @Test(.timeLimit(.minutes(5))) func theShippedModelFindsOutlinesAndDescribes() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let bytes = Array(try Data(contentsOf: Self.root.appending(path: "demo/images/scene-13.png")))
        let server = try LoopbackServer(["/scene.png": { $0.answer(200, bytes) }])
        let url = server.url("/scene.png")
        try await database.query(
            """
            select (gloss.enqueue_segment('\(url)', array['square', 'circle'], key => 'outlines', batch => 'all')).outcome,
                (gloss.enqueue_detect('\(url)', array['torus'], key => 'absent', batch => 'all')).outcome,
                (gloss.enqueue_detect('\(url)', array['torus', 'circle'], key => 'one of two', batch => 'all')).outcome,
                (gloss.enqueue_caption_box('\(url)', '{0.5685,0.4243,0.9272,0.9169}', key => 'circle',
                    batch => 'all')).outcome
            """)
        let model = Self.root.appending(path: "models/gloss-shapes")
        var settings = GlossdProcess.settings(database, ports: [server.port])
        settings["GLOSS_MODEL"] = model.path
        settings["GLOSS_MASK_DECODER"] = model.appending(path: "mask-decoder.safetensors").path
        let daemon = try GlossdProcess(settings)
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'all'", in: database, [daemon])
        #expect(try await database.query("select caption from gloss.caption").scalar == "a purple circle")
        #expect(
            try await database.query("select key, label from gloss.detection").rows == [["one of two", "circle"]],
            "what is not there has no box")
        let outlines = try await database.query(
            """
            select label, mask ->> 'counts', mask -> 'size', y1, x1, y2, x2, note from gloss.segmentation order by box
            """
        ).rows
        #expect(outlines.map { $0[0] } == ["square", "circle"])
        // The box's edges are cut off to whole pixels.
        for (row, area) in zip(outlines, [0.8...1.02, 0.70...0.87]) {
            let mask = RunLengthMask(height: 287, width: 209, counts: try #require(row[1]))
            #expect(row[2] == "[287, 209]" && row[7] == nil)
            let box = row[3...6].compactMap { $0.flatMap { Double($0) } }
            let runs = try #require(mask.runs)
            let inside = stride(from: 1, to: runs.count, by: 2).reduce(0) { $0 + runs[$1] }
            let share = Double(inside) / ((box[2] - box[0]) * 287 * (box[3] - box[1]) * 209)
            #expect(area.contains(share), "\(share) of its box: a circle fills π/4 of it")
        }
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
    }
}
