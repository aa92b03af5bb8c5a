import Foundation
import Testing

@Suite struct InferTests {
    /// What the reference computed.
    struct Golden: Decodable {
        struct Case: Decodable, CustomTestStringConvertible {
            struct Answer: Decodable {
                var ids: [Int]
                var logprobs: [Double]
                var text: String
            }
            struct Score: Decodable {
                var suffix: String
                var suffix_ids: [Int]
                var logprobs: [Double]
                var sum: Double
            }
            var id: String
            var images: [String]
            var prompt: String
            var input_ids: [Int]
            var greedy: Answer
            var score: Score
            var testDescription: String { id }
        }
        var limit: Int
        var cases: [Case]

        static let tiny: Golden? = try? JSONDecoder().decode(
            Golden.self,
            from: Data(contentsOf: Tree.root.appendingPathComponent("Tests/Fixtures/tiny/golden/cases.json")))
        static let some = (tiny?.cases ?? []).filter {
            ["rgb.png|0", "photo.jpg|1", "lossless.webp|2", "multi"].contains($0.id)
        }
    }

    private struct Answer: Decodable {
        var text: String
        var tokens: [Int]
        var logprobs: [Double]
        var sum_logprob: Double
        var finish_reason: String
        var prefix_tokens: Int
    }

    private func infer(_ arguments: [String]) async throws -> Tool.Run {
        try await Tool.run(Tool.path, ["infer", "--model", Tree.model] + arguments)
    }

    private func answer(_ run: Tool.Run) throws -> Answer {
        try #require(run.status == 0, "\(run.errors)")
        #expect(run.output.split(separator: "\n").count == 1)
        return try JSONDecoder().decode(Answer.self, from: Data(run.output.utf8))
    }

    private func close(_ left: [Double], _ right: [Double]) -> Bool {
        left.count == right.count && zip(left, right).allSatisfy { abs($0 - $1) < 1e-4 }
    }

    @Test func thereAreCases() { #expect(Golden.some.count == 4) }

    @Test(arguments: Golden.some)
    func greedyIsTheReferences(golden: Golden.Case) async throws {
        let limit = try #require(Golden.tiny?.limit)
        let answer = try answer(
            try await infer(
                ["--json", "--prompt", golden.prompt, "--max-tokens", "\(limit)"] + golden.images.map(Tree.image)))
        #expect(answer.tokens == golden.greedy.ids)
        #expect(close(answer.logprobs, golden.greedy.logprobs))
        #expect(abs(answer.sum_logprob - golden.greedy.logprobs.reduce(0, +)) < 1e-3)
        #expect(answer.text == golden.greedy.text)
        #expect(answer.prefix_tokens == golden.input_ids.count)
        #expect(answer.finish_reason == (golden.greedy.ids.last == 1 ? "eos" : "length"))
    }

    @Test(arguments: Golden.some)
    func scoresAreTheReferences(golden: Golden.Case) async throws {
        let answer = try answer(
            try await infer(
                ["--json", "--prompt", golden.prompt, "--score", golden.score.suffix] + golden.images.map(Tree.image)))
        #expect(answer.tokens == golden.score.suffix_ids)
        #expect(close(answer.logprobs, golden.score.logprobs))
        #expect(answer.finish_reason == "eos")
    }

    /// PaliGemma 2, with the window of its files and without.
    @Test(arguments: ["cases", "cases_none"]) func windowIsAnOption(file: String) async throws {
        struct Cases: Decodable { let cases: [Golden.Case] }
        let folder = Tree.root.appendingPathComponent("Tests/Fixtures/tiny3")
        let golden = try JSONDecoder().decode(
            Cases.self, from: Data(contentsOf: folder.appendingPathComponent("golden/\(file).json"))
        ).cases[0]
        let options = file == "cases" ? [] : ["--window", "none"]
        let run = try await Tool.run(
            Tool.path,
            ["infer", "--model", folder.appendingPathComponent("model").path, "--json", "--prompt", golden.prompt]
                + ["--score", golden.score.suffix] + options + golden.images.map(Tree.image))
        #expect(close(try answer(run).logprobs, golden.score.logprobs))
        #expect(try await infer(["--window", "some", "--prompt", "x", Tree.image("rgb.png")]).status == 64)
    }

    /// A drawn box is seen; nothing but a box is taken, and one image.
    @Test func aBoxIsDrawn() async throws {
        let base = ["--json", "--prompt", "caption en", "--score", "a cat", Tree.image("rgb.png")]
        let (plain, drawn) = (try await infer(base), try await infer(["--draw-box", "0.1,0.2,0.9,0.8"] + base))
        #expect(try answer(plain).logprobs != answer(drawn).logprobs)
        #expect(
            try answer(try await infer(["--draw-box", "0.1,0.2,0.9,0.8"] + base)).logprobs == answer(drawn).logprobs)
        for wrong in ["0.1,0.2,0.9", "a,b,c,d", "0.9,0.2,0.1,0.8", "0,0,1,1.5", "nan,0,1,1"] {
            #expect(try await infer(["--draw-box", wrong] + base).status == 64, "\(wrong)")
        }
        let two = try await infer(["--draw-box", "0,0,1,1"] + base + [Tree.image("rgb.png")])
        #expect(two.status == 64 && two.errors.contains("--draw-box is for one image."))
    }

    /// Codes and masks of a text that is scored.
    @Test func boxesHaveCodesAndMasks() async throws {
        struct Boxes: Decodable {
            struct Found: Decodable {
                struct Mask: Decodable { let size: [Int], counts: String }
                let label: String, score: Double, box: [Double], codes: [Int]?, mask: Mask?, note: String?
            }
            let boxes: [Found]
        }
        let outline = (0..<16).map { "<seg0\($0 < 10 ? "0" : "")\($0)>" }.joined()
        let text = "<loc0000><loc0000><loc1023><loc1023>\(outline) cat ; <loc0001><loc0002><loc0300><loc0400> dog"
        let base = ["--prompt", "segment cat ; dog", "--score", text, "--json", Tree.image("rgb.png")]
        let decoder = Tree.root.appendingPathComponent("Tests/Fixtures/masks/decoder.npz").path
        let plain = try JSONDecoder().decode(Boxes.self, from: Data(try await infer(base).output.utf8)).boxes
        #expect(plain.map(\.label) == ["cat", "dog"] && plain.map(\.codes) == [Array(0..<16), nil])
        #expect(plain.map(\.note) == ["no_mask_decoder", nil] && plain[0].box == [0, 0, 1, 1])
        let run = try await infer(["--mask-decoder", decoder] + base)
        let masked = try JSONDecoder().decode(Boxes.self, from: Data(run.output.utf8)).boxes
        #expect(masked.map { $0.mask == nil } == [false, true] && masked.map(\.note) == [nil, nil])
        #expect(masked[0].mask?.size.count == 2 && masked[0].score == plain[0].score)
        #expect(run.output.contains("\"codes\":null") && run.output.contains("\"mask\":null"))
        let other = try await infer(["--mask-decoder", Tree.model + "/config.json"] + base)
        #expect(other.status == 1 && other.errors.contains("config.json: "), "\(other.errors)")
    }

    /// What the reference's search found.
    @Test func beamsAreTheReferences() async throws {
        struct Search: Decodable {
            let images: [String], prompt: String, beams: Int, max_tokens: Int, ids: [Int], score: Double, cut: Bool
        }
        let file = Tree.root.appendingPathComponent("Tests/Fixtures/tiny/golden/beams_bv.json")
        let all = try JSONDecoder().decode([Search].self, from: Data(contentsOf: file))
        let some = all.filter { $0.ids.count > 2 }.prefix(2) + all.filter(\.cut).prefix(1)
        #expect(some.count == 3)
        for search in some {
            let found = try answer(
                try await infer(
                    [
                        "--json", "--prompt", search.prompt, "--beams", "\(search.beams)", "--max-tokens",
                        "\(search.max_tokens)",
                    ] + search.images.map(Tree.image)))
            #expect(found.tokens == search.ids && abs(found.sum_logprob - search.score) < 1e-4)
            #expect(found.finish_reason == (search.cut ? "length" : "eos"))
        }
    }

    private struct Choices: Decodable {
        struct Choice: Decodable, Equatable {
            let text: String, sum_logprob: Double, norm_logprob: Double, probability: Double
        }
        let text: String
        let sum_logprob: Double
        let choices: [Choice]
    }

    @Test func choicesAreScoredInTheirOrder() async throws {
        let base = ["--json", "--prompt", "answer en what?", Tree.image("rgb.png")]
        let texts = ["cat", "a red cube", "", "-1"]
        func option(_ name: String, _ text: String) -> [String] {
            text.hasPrefix("-") ? ["\(name)=\(text)"] : [name, text]
        }
        let run = try await infer(base + texts.flatMap { option("--choice", $0) })
        try #require(run.status == 0, "\(run.errors)")
        let found = try JSONDecoder().decode(Choices.self, from: Data(run.output.utf8))
        #expect(found.choices.map(\.text) == texts)
        #expect(abs(found.choices.map(\.probability).reduce(0, +) - 1) < 1e-12)
        for choice in found.choices {
            let score = try answer(try await infer(base + option("--score", choice.text)))
            #expect(score.sum_logprob == choice.sum_logprob, "bit for bit")
            let other = found.choices[0]
            let (ratio, apart) = (choice.probability / other.probability, choice.sum_logprob - other.sum_logprob)
            #expect(abs(log(ratio) - apart) < 1e-9)
        }
        let best = found.choices.max { $0.sum_logprob < $1.sum_logprob }!
        #expect(found.text == best.text && found.sum_logprob == best.sum_logprob)
        let people = try await infer(["--prompt", "x", "--choice", "cat", "--choice", "dog", Tree.image("rgb.png")])
        #expect(people.output.contains("PROBABILITY") && people.output.contains("dog"))
    }

    @Test func aTextIsContinued() async throws {
        let base = ["--json", "--prompt", "caption en", Tree.image("rgb.png")]
        let found = try answer(try await infer(base + ["--continue-from", "a red cube", "--max-tokens", "9"]))
        let given = try answer(try await infer(base + ["--score", "a red cube"]))
        let count = given.tokens.count - 1
        #expect(found.tokens.prefix(count) == given.tokens.prefix(count) && found.tokens.count > count)
        #expect(found.logprobs.prefix(count) == given.logprobs.prefix(count) && found.text.hasPrefix("a red cube"))
        let full = try await infer(base + ["--continue-from", "a red cube", "--max-tokens", "\(count)"])
        #expect(full.status == 1 && full.errors.contains("nothing could follow"), "\(full.errors)")
    }

    @Test func oneSampleIsPicked() async throws {
        let base = ["--json", "--prompt", "caption en", "--max-tokens", "6", "--samples", "4", Tree.image("rgb.png")]
        let all = try JSONDecoder().decode([String: [Answer]].self, from: Data(try await infer(base).output.utf8))
        let picked = try answer(try await infer(base + ["--pick", "likeliest"]))
        #expect(picked.sum_logprob == all["samples"]?.map(\.sum_logprob).max())
    }

    @Test func repetitionsAreSaid() async throws {
        let base = ["--prompt", "caption en", "--continue-from", "cat cat cat cat", "--max-repeats", "2", "--samples"]
        let run = try await infer(base + ["60", "--temperature", "3", "--max-tokens", "80", Tree.image("rgb.png")])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.contains(", ended by --max-repeats"))
        let one = try await infer(base + ["1", "--max-repeats", "1", Tree.image("rgb.png")])
        #expect(one.status == 1 && one.errors.contains("max repeats is 1, expected 0"), "\(one.errors)")
    }

    @Test(arguments: [
        ["--score", "a", "--choice", "b"], ["--score", "a", "--samples", "2"], ["--score", "a", "--beams", "2"],
        ["--choice", "a", "--samples", "2"], ["--choice", "a", "--beams", "2"],
        ["--choice", "a", "--continue-from", "b"],
        ["--choice", "a", "--max-repeats", "3"], ["--beams", "2", "--samples", "2"],
        ["--beams", "2", "--temperature", "1"],
        ["--beams", "2", "--max-repeats", "3"], ["--beams", "2", "--pick", "likeliest"],
    ]) func whatExcludesEachOtherIsNamed(options: [String]) async throws {
        let run = try await infer(["--prompt", "x", Tree.image("rgb.png")] + options)
        #expect(run.status == 64)
        #expect(run.errors.contains("\(options[0]) and \(options[2]) exclude each other."), "\(run.errors)")
    }

    @Test func samplesDependOnTheSeedOnly() async throws {
        let base = ["--json", "--prompt", "caption en", "--max-tokens", "6", "--samples", "3", Tree.image("rgb.png")]
        func samples(_ more: [String]) async throws -> [[Int]] {
            let run = try await infer(more + base)
            return try JSONDecoder().decode([String: [Answer]].self, from: Data(run.output.utf8))["samples"]?.map(
                \.tokens) ?? []
        }
        let first = try await samples(["--seed", "5"])
        #expect(first.count == 3)
        #expect(Set(first).count > 1)
        #expect(try await samples(["--seed", "5", "--threads", "1"]) == first)
        #expect(try await samples(["--seed", "6"]) != first)
        #expect(Set(try await samples(["--temperature", "0"])).count == 1)
    }

    @Test func stagesAreWritten() async throws {
        let folder = try TemporaryFolder()
        let file = folder.file("stages.safetensors")
        let run = try await infer(
            [
                "--prompt", "caption en", "--max-tokens", "1", "--dump-stages", file, Tree.image("rgb.png"),
                Tree.image("photo.jpg"),
            ])
        #expect(run.status == 0, "\(run.errors)")
        let data = try Data(contentsOf: URL(fileURLWithPath: file))
        let length = data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let header = try #require(
            try JSONSerialization.jsonObject(with: data[8..<8 + length]) as? [String: [String: Any]])
        let shapes = header.mapValues { $0["shape"] as? [Int] ?? [] }
        #expect(shapes["pixel_values"]?.prefix(2) == [2, 3])
        #expect(shapes["image_features"]?.first == 2)
        // 2 × 16 image tokens, <bos>, the prompt and its newline.
        #expect(shapes["logits"] == [36, 1792])
    }

    @Test func peopleGetTextAndScores() async throws {
        let run = try await infer(["--prompt", "caption en", "--max-tokens", "3", Tree.image("rgb.png")])
        #expect(run.output.contains("log-probability -5.1413, length-normalised"))
        #expect(run.output.contains("3 tokens, cut off by --max-tokens"))
    }

    @Test func whatIsMissingIsNamed() async throws {
        let image = try await infer(["--prompt", "x", "/nonexistent.png"])
        #expect(image.status == 65)
        #expect(image.errors == "glossctl: there is no file /nonexistent.png\n")
        let text = try await infer(["--prompt", "x", Tree.model + "/config.json"])
        #expect(text.status == 65)
        #expect(text.errors.hasSuffix("config.json: not an image: looks like JSON\n"))
        let picture = Tree.image("rgb.png")
        let model = try await Tool()("infer", "--model", "/nonexistent", "--prompt", "x", picture)
        #expect(model.status == 1)
        #expect(model.errors == "glossctl: there is no model /nonexistent\n")
        let file = try await Tool()("infer", "--model", picture, "--prompt", "x", picture)
        #expect(file.status == 1)
        #expect(file.errors.hasSuffix("rgb.png: not a packed model (glossctl pack makes one), nor a folder\n"))
        let empty = try TemporaryFolder()
        let other = try await Tool()("infer", "--model", empty.path, "--prompt", "x", picture)
        #expect(other.status == 1)
        #expect(other.errors.contains("config.json: no such file"))
        #expect(try await infer(["--prompt", "x"]).status == 64)
        let bad = try await infer(["--prompt", "x", "--top-p", "2", picture])
        #expect(bad.status == 1)
        #expect(bad.errors.contains("top-p is 2.0, expected above 0, up to 1"))
    }
}
