import Annotation
import Foundation
import Queue
import Storage
import TestSupport
import Testing

/// Boxes with masks, from the queue to their view.
@Suite struct SegmentTests {
    @Test func masksAreInTheirView() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let asked = try await database.query(
            "select outcome from gloss.enqueue_segment('https://e.org/a.png', array['cat', ' dog'], key => 'k')",
            as: .producer)
        #expect(asked.scalar == "inserted")
        let again = try await database.query(
            "select outcome from gloss.enqueue('segment', 'https://e.org/a.png', prompt => 'cat ; dog', key => 'k')",
            as: .producer)
        #expect(again.scalar == "duplicate")
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let job = try #require(try await store.claim(limit: 1, by: worker).first)
        #expect(job.spec.prompts == ["segment cat ; dog"])
        let codes = Array(100..<116)
        let box = Box(y1: 0, x1: 0, y2: 1, x2: 1)
        let mask = RunLengthMask(height: 3, width: 4, counts: "0<")
        let result = Samples.result(
            [Samples.response("raw")], prompts: job.spec.prompts,
            findings: [
                Finding(label: "cat", score: 0.5, tokenScore: 0.25, box: box, codes: codes, mask: mask),
                Finding(label: "dog", score: 0.5, box: box, codes: codes, note: "no_mask_decoder"),
            ])
        var provenance = Samples.provenance()
        provenance.engine.maskDecoderDigest = String(repeating: "e", count: 64)
        let record = AnnotationRecord(result: result, provenance: provenance)
        #expect(try await store.record([JobReport(job, .completed(record))], by: worker) == [.recorded])
        let rows = try await database.query(
            """
            select label, codes::text, codes_score, mask ->> 'counts', mask -> 'size' = jsonb_build_array(height, width), note
            from gloss.segmentation order by box
            """, as: .reader
        ).rows
        let listed = "{\(codes.map(String.init).joined(separator: ","))}"
        #expect(rows == [["cat", listed, "0.25", "0<", "t", nil], ["dog", listed, nil, nil, nil, "no_mask_decoder"]])
        #expect(try await database.query("select mask_digest from gloss.result").scalar?.count == 64)
    }
}
