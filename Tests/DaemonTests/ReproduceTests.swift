import Foundation
import Images
import Inference
import Storage
import TestSupport
import Testing

/// `glossctl reproduce` on the results of a real daemon: the shipped model, a web server and a database.
@Suite struct ReproduceTests {
    private static let tiny = GlossdProcess.fixtures.appending(path: "tiny/model").path

    @Test(.timeLimit(.minutes(5))) func resultsAreProven() async throws {
        let world = try await ReproduceWorld()
        defer { try? FileManager.default.removeItem(atPath: world.config) }
        let all = try await sameBits(world)
        try await otherModels(world)
        try await changedImages(world, all)
        try await goneImages(world, all)
        try await givenFiles(world)
        try await changedResults(world, all)
        try await otherVersions(world)
    }

    /// Whatever threads and instructions compute them, and whatever is asked beside them.
    private func sameBits(_ world: ReproduceWorld) async throws -> [String: String] {
        let before = try await world.queueDigest()
        let all = try await world.reproduce(["--batch", "b", "--config", world.config, "--keep", "--json"])
        let outcomes = try await world.outcomes(all)
        #expect(outcomes.count == 10 && Set(outcomes.values) == ["same"], "\(all.output)\(all.errors)")
        #expect(all.status == 0)
        let other = try await world.reproduce(
            ["--since", "1 hour", "--sample", "9", "--threads", "1"] + world.given, as: .reader)
        #expect(other.output == "9 results run again: 9 same.\n", "\(other.errors)")
        let masks = try await world.job("masks")
        let alone = try await world.reproduce([masks, "--instruction-set", "generic"] + world.given)
        #expect(alone.output == "job \(masks) (segment): same\n1 result run again: 1 same.\n")
        let after = try await world.queueDigest()
        #expect(after == before, "nothing in the queue changes")
        let kept = try await world.database.query(
            "select count(*), min(outcome), max(outcome), min(instruction_set), min(version) from gloss.reproduction")
        #expect(kept.rows == [["10", "same", "same", InstructionSet.best.rawValue, "0.1.0"]])
        return outcomes
    }

    private func otherModels(_ world: ReproduceWorld) async throws {
        let digest = try PaliGemma.fileDigest(contentsOf: ReproduceWorld.model)
        let elsewhere = try await world.reproduce(["--batch", "b", "--model", Self.tiny, "--json"] + world.fetching)
        let outcomes = try await world.outcomes(elsewhere)
        #expect(elsewhere.status == 1 && Set(outcomes.values) == ["model_not_here"])
        #expect(elsewhere.output.contains("no model that is given has the files \(digest)"))
        let left = try await world.reproduce(["--batch", "b", "--model", Self.tiny, "--only-given"] + world.fetching)
        #expect(left.output == "No results.\n")
        let masks = try await world.job("masks")
        let undecoded = try await world.reproduce([masks, "--model", ReproduceWorld.model.path] + world.fetching)
        #expect(undecoded.status == 1 && undecoded.output.contains("model not here: the mask decoder "))
        // Of two the right one is taken. In another precision the bits are others.
        let photo = try await world.job("photo")
        let forced = try await world.reproduce(
            [photo, "--model", Self.tiny, "--precision", "int8", "--json"] + world.given)
        let row = try #require(try forced.json().first)
        #expect(row["outcome"] as? String == "other_precision", "\(forced.output)\(forced.errors)")
        #expect((row["detail"] as? String)?.hasPrefix("int8 here, ") == true)
    }

    /// A pixel is another one.
    private func changedImages(_ world: ReproduceWorld, _ all: [String: String]) async throws {
        let before = world.photo.bytes
        world.photo.bytes = ReproduceWorld.square(redPixel: true)
        defer { world.photo.bytes = before }
        let run = try await world.reproduce(["--batch", "b", "--json"] + world.given)
        let rows = try await world.rows(run)
        var expected = all
        expected["photo"] = "image_changed"
        #expect(rows.mapValues { $0["outcome"] as? String ?? "" } == expected)
        #expect(run.status == 1)
        let digests = (SHA256Digest.hex(before), SHA256Digest.hex(world.photo.bytes))
        #expect(
            rows["photo"]?["detail"] as? String
                == "image 1, \(world.server.url("/photo.png")), has the SHA-256 \(digests.1), and \(digests.0) was annotated"
        )
        // What may not be fetched is not.
        let photo = try await world.job("photo")
        let refused = try await world.reproduce([photo, "--model", ReproduceWorld.model.path, "--json"])
        #expect(try refused.json().first?["outcome"] as? String == "image_not_fetched")
        #expect(refused.output.contains("127.0.0.1"))
    }

    /// An image that is gone says nothing of its result; if it is the only one, nothing is shown.
    private func goneImages(_ world: ReproduceWorld, _ all: [String: String]) async throws {
        let before = world.photo.bytes
        world.photo.bytes = []
        defer { world.photo.bytes = before }
        let run = try await world.reproduce(["--batch", "b"] + world.given)
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.hasSuffix("10 results run again: 9 same, 1 image not fetched.\n"), "\(run.output)")
        let alone = try await world.reproduce([try await world.job("photo")] + world.given)
        #expect(alone.status == 1 && alone.output.contains("image not fetched: image 1, "))
    }

    private func givenFiles(_ world: ReproduceWorld) async throws {
        let file = world.config + ".png"
        defer { try? FileManager.default.removeItem(atPath: file) }
        let (photo, two) = (try await world.job("photo"), try await world.job("two"))
        let model = ["--model", ReproduceWorld.model.path, "--image", file]
        try Data(world.photo.bytes).write(to: URL(filePath: file))
        let right = try await world.reproduce([photo] + model)
        #expect(right.status == 0, "\(right.output)\(right.errors)")
        try Data(ReproduceWorld.square(redPixel: true)).write(to: URL(filePath: file))
        let wrong = try await world.reproduce([photo] + model)
        #expect(wrong.status == 1 && wrong.output.contains("image changed: image 1, \(file)"))
        let tooFew = try await world.reproduce([two] + model)
        #expect(tooFew.status == 1 && tooFew.errors.contains("has images: 2; --image gives files: 1"))
    }

    /// Somebody has changed results.
    private func changedResults(_ world: ReproduceWorld, _ all: [String: String]) async throws {
        for (table, change, key) in [
            ("annotation", "sums[1] = sums[1] - 0.25, token_scores[3] = token_scores[3] - 0.5", "photo"),
            ("annotation", "texts[1] = 'a red cube.'", "drawn"),
            ("annotation", "probabilities[1] = 0.5", "object"),
            ("annotation_stage", "sums[2] = -9", "object"),
            ("finding", "y1 = y1 + 0.001, mask = case n when 1 then 'x' else mask end", "masks"),
        ] {
            try await world.database.query(
                "update gloss.\(table) set \(change) where job_id = $1", [SQLValue(try await world.job(key))])
        }
        let run = try await world.reproduce(["--batch", "b", "--json", "--keep"] + world.given)
        let rows = try await world.rows(run)
        var expected = all
        for key in ["photo", "drawn", "object", "masks"] { expected[key] = "differs" }
        #expect(rows.mapValues { $0["outcome"] as? String ?? "" } == expected)
        let photo = try #require(rows["photo"])
        #expect(try #require(photo["largest_difference"] as? Double) > 0.49)
        #expect((photo["first_token"] as? [String: Any])?["token"] as? Int == 3)
        #expect(
            (photo["detail"] as? String)?.hasPrefix(
                "log-probabilities differ by 0.5 at most; the first token that differs is number 3, ") == true)
        #expect(rows["drawn"]?["first_token"] != nil)
        func differences(_ key: String) -> [String] { rows[key]?["differences"] as? [String] ?? [] }
        #expect(differences("drawn").first?.hasSuffix("\"a red cube.\" is recorded") == true)
        #expect(differences("object").first?.hasPrefix("stage 1, answer 1: probability is ") == true)
        #expect(differences("object").last?.hasPrefix("stage 2, view 1, response 2: log-probability is ") == true)
        #expect(differences("object").last?.hasSuffix(" here, -9.0 is recorded") == true)
        #expect(differences("masks").prefix(2).map { String($0.prefix(13)) } == ["thing 1: box ", "thing 1: mask"])
        let doctor = try await GlossctlRun(["doctor", "--database", world.database.conninfo(as: .admin)])
        #expect(doctor.output.contains("of 10 results that were run again within 7 days 6 same, 4 differs: jobs "))
    }

    private func otherVersions(_ world: ReproduceWorld) async throws {
        try await world.database.query("update gloss.engine set version = '0.0.9'")
        let photo = try await world.job("photo"), beams = try await world.job("beams")
        let run = try await world.reproduce([photo, beams, "--json"] + world.given)
        let outcomes = try await world.outcomes(run)
        #expect(outcomes == ["photo": "other_version", "beams": "same"])
        #expect(run.output.contains("gloss 0.1.0 here, 0.0.9 is recorded; "))
    }

    @Test func whatCannotBeAskedIsSaid() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let conninfo = database.conninfo(as: .admin)
        try await database.query("select gloss.enqueue_caption('https://e.org/a.png', batch => 'b')")
        let model = ["--model", Self.tiny]
        for (arguments, status, words) in [
            (model, 64, "Give jobs by number, or --batch, or --since."),
            (["1", "--batch", "b"] + model, 64, "Jobs by number exclude --batch"),
            (["--batch", "b"], 64, "Give --model or --config."),
            (["--since", "1"] + model, 64, "is no time with a unit"),
            (["--batch", "b", "--sample", "0"] + model, 64, "--sample must be 1 or more"),
            (["1", "2", "--image", "a.png"] + model, 64, "--image is for one job."),
            (["1", "--threads", "0"] + model, 64, "--threads must be 1 or more"),
            (["1"] + model, 1, "job 1 has no result: it is ready"),
            (["99"] + model, 1, "there is no job 99"),
            (["--batch", "c"] + model, 1, "there is no batch \"c\""),
            (["--batch", "b", "--model", "/nowhere"], 1, "there is no /nowhere"),
            (["--batch", "b", "--model", GlossdProcess.fixtures.path], 1, "config.json"),
            (["--batch", "b", "--config", "/nowhere.yaml"], 1, "/nowhere.yaml: can't be read"),
        ] as [([String], Int32, String)] {
            let run = try await GlossctlRun(["reproduce", "--database", conninfo] + arguments)
            #expect(run.status == status && run.errors.contains(words), "\(arguments): \(run.errors)")
        }
        let none = try await GlossctlRun(["reproduce", "--database", conninfo, "--batch", "b"] + model)
        #expect(none.status == 0 && none.output == "No results.\n")
    }
}
