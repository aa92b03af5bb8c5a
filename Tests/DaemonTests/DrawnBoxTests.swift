import Annotation
import Foundation
import Images
import Inference
import Storage
import TestSupport
import Testing

/// Jobs about one file, with and without a box that is drawn into it, by a real process.
@Suite struct DrawnBoxTests {
    private static let prompt = "caption en"

    /// What `glossctl infer --draw-box` computes: text and sum of log-probabilities.
    private func alone(_ model: PaliGemma, _ file: [UInt8], _ box: Box?) throws -> [String] {
        let image = try ImageDecoder.decode(file)
        let seen = model.pixelValues(rgb: image.pixels, width: image.width, height: image.height)
        let tokens = try model.embedImages([box.map(seen.drawing) ?? seen])
        let request = GenerationRequest(
            images: tokens, prompt: Self.prompt, settings: DecodeSettings(maxTokens: 12, tokenScores: true))
        let response = try model.generate([request])[0].get()[0]
        return [response.text, "\(Float(response.sumLogprob))"]
    }

    /// The file's digest is the same for all of them; nothing that was seen for one box is used for another.
    @Test(.timeLimit(.minutes(5))) func eachBoxIsAnImageOfItsOwn() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let file = Array(try Data(contentsOf: GlossdProcess.fixtures.appending(path: "images/rgb.png")))
        let server = try LoopbackServer(["/rgb.png": { $0.answer(200, file) }])
        let boxes: [(key: String, box: Box?)] = [
            ("a plain", nil), ("b box", Box(y1: 0.1, x1: 0.2, y2: 0.9, x2: 0.8)),
            ("c other box", Box(y1: 0, x1: 0, y2: 1 / 3, x2: 1)), ("d box", Box(y1: 0.1, x1: 0.2, y2: 0.9, x2: 0.8)),
            ("e plain", nil),
        ]
        let administration = database.administration()
        for (key, box) in boxes {
            let spec = JobSpec(
                task: .caption, imageURLs: [server.url("/rgb.png")], settings: DecodeSettings(maxTokens: 12),
                drawnBox: box)
            _ = try await administration.enqueue(spec, EnqueueOptions(key: key, batch: "boxes"))
        }
        let daemon = try GlossdProcess(GlossdProcess.settings(database, ports: [server.port]))
        try await eventually(
            "select \"left\" = 0 from gloss.batch_progress where batch = 'boxes'", in: database, [daemon])
        let answers = try await database.query(
            "select c.key, c.caption, c.sum_logprob, r.draw_box from gloss.caption c join gloss.result r using (job_id) order by 1"
        ).rows
        let model = try PaliGemma(contentsOf: GlossdProcess.fixtures.appending(path: "tiny/model"))
        for ((key, box), answer) in zip(boxes, answers) {
            let expected = try alone(model, file, box)
            #expect(answer[0] == key && answer[1] == expected[0], "\(key)")
            #expect(answer[2].flatMap { Float($0) } == Float(expected[1]), "\(key)")
        }
        #expect(Set(answers.map { $0[2] }).count == 3, "\(answers)")
        #expect(
            answers.map { $0[3] } == [nil, "{0.1,0.2,0.9,0.8}", "{0,0,0.33333334,1}", "{0.1,0.2,0.9,0.8}", nil],
            "what is stored says what was seen")
        daemon.signal(SIGTERM)
        #expect(await daemon.wait() == 0)
        let seen = try await database.query(
            "select (stages -> 'vision' ->> 'units')::int between 3 and 5 from gloss.worker")
        #expect(seen.scalar == "t")
    }
}
