import Annotation
import Foundation
import Testing

private typealias Words = FakeVocabulary

private func parse(
    _ tokens: [Int], things: [String] = [], _ reason: FinishReason = .eos
) -> DetectionParser.Parsed {
    DetectionParser(FakeVocabulary()).parse(response(tokens, nil, reason), things: things)
}

private func isEmpty(_ parsed: DetectionParser.Parsed) -> Bool {
    parsed.findings.isEmpty && parsed.notUnderstoodCount == 0
}

private let box = [1, 2, 3, 4]

@Suite struct DetectionTests {
    @Test func boxesAreFractionsOf1023InTheModelsOrder() {
        let parsed = parse([
            0, 341, 1023, 682, Words.spacedCat, Words.separator, 10, 20, 30, 40, Words.dog,
        ])
        #expect(parsed.findings.map(\.label) == ["cat", "dog"])
        #expect(parsed.findings[0].box == Box(y1: 0, x1: Float(341.0 / 1023), y2: 1, x2: Float(682.0 / 1023)))
        #expect(
            parsed.findings.allSatisfy {
                $0.imageIndex == 0 && $0.note == nil && $0.tokenScore == nil && $0.codes == nil
            })
        #expect(parsed.notUnderstoodCount == 0)
    }

    /// The place × the geometric mean of the label. Where no spread is known, a place is its four tokens.
    @Test func theScoreIsThatOfPlaceAndLabel() throws {
        let tokens = box + [Words.cat, Words.cat]
        let generation = response(tokens, [-0.1, -0.2, -0.3, -0.4, -1, -2, -9])
        let found = try #require(DetectionParser(FakeVocabulary()).parse(generation).findings.first)
        #expect(found.label == "catcat")
        #expect(abs(Double(found.score) - exp(-1 - 1.5)) < 1e-6)
    }

    /// Each coordinate has the spread of its own token, whatever its token's probability.
    @Test func spreadsMakeThePlace() throws {
        func spread(_ first: Int, _ second: Int, _ share: Double, mass: Double = 1) -> LocationSpread {
            var probabilities = Array(repeating: 0.0, count: 1024)
            probabilities[first] = mass * share
            probabilities[second] += mass * (1 - share)
            return LocationSpread(probabilities: probabilities)
        }
        let tokens = [100, 200, 500, 600, Words.cat, Words.separator, 10, 20, 30, 40, Words.dog]
        let logs = [-9, -8, -7, -6, -0.25, -0.5, -0.1, -0.2, -0.3, -0.4, -1, -9]
        let spreads = [
            0: spread(100, 110, 0.5, mass: 0.75), 1: spread(200, 900, 0.5), 2: spread(500, 480, 0.25),
            3: spread(600, 900, 0.5), 6: spread(10, 10, 1, mass: 0.5),
        ]
        let found = DetectionParser(FakeVocabulary()).parse(response(tokens, logs, spreads: spreads)).findings
        #expect(found.count == 2)
        #expect(abs(Double(found[0].score) - 0.75 * 0.5 * exp(-0.25)) < 1e-6, "700 wide is an overlap of 4/7")
        #expect(abs(Double(found[1].score) - exp(-0.5) * 0.5 * exp(-0.9) * exp(-1)) < 1e-6, "after its separator")
    }

    @Test func groupsThatSayNothingAreCounted() {
        #expect(parse([3, 2, 1, 4, Words.cat]).notUnderstoodCount == 1, "upside down")
        #expect(parse([1, 2, 3, 2, Words.cat]).notUnderstoodCount == 1, "no width")
        let mixed = parse([3, 2, 1, 4, Words.cat, Words.separator] + box + [Words.dog])
        #expect(mixed.notUnderstoodCount == 1 && mixed.findings.map(\.label) == ["dog"])
    }

    @Test func fewerThanFourLocationsAreNoBox() {
        let parsed = parse([1, 2, 3, Words.cat])
        #expect(parsed.findings.isEmpty && parsed.notUnderstoodCount == 1)
        #expect(isEmpty(parse([Words.cat])))
        #expect(isEmpty(parse([], .length)))
        #expect(parse(Words.outline()).notUnderstoodCount == 1, "codes of no box")
    }

    @Test func theResultHasTheRawTextAndTheFindings() throws {
        let spec = JobSpec(task: .detect, imageURLs: ["a"], texts: ["cat"])
        let generation = response(box + [Words.cat, Words.separator, 9, 9, 9, 9])
        let found = try result(spec, [0: [[generation]]])
        #expect(found.best?.text == "raw")
        #expect(found.findings.map(\.label) == ["cat"])
        #expect(found.score == found.findings[0].score)
        #expect(found.notUnderstoodCount == 1)
    }

    /// A tokenizer that is not PaliGemma's has no locations: no answer would ever have a box.
    @Test func aModelWithoutLocationsIsRefused() throws {
        for task in TaskName.allCases {
            let isOfBoxes = [.detect, .segment].contains(task)
            let (bare, boxes) = (Some(locations: [:], codes: [7: 0]), Some(locations: [5: 0], codes: [:]))
            #expect(task.definition.refusal(bare)?.code == (isOfBoxes ? "no_locations" : nil), "\(task)")
            #expect((task.definition.refusal(bare)?.reason.contains("<loc0000>") ?? false) == isOfBoxes)
            let masks = task.definition.refusal(boxes)
            #expect((masks?.reason.contains("<seg000>") ?? false) == (task == .segment), "\(task)")
            #expect(task.definition.refusal(Some(locations: [5: 0], codes: [7: 0])) == nil)
        }
    }

    private struct Some: Vocabulary {
        let locations: [Int: Int]
        let codes: [Int: Int]
        let separators: Set<Int> = []
        func decode(_ ids: [Int]) -> String { "" }
    }

    @Test func nothingFoundHasNoScore() throws {
        let spec = JobSpec(task: .detect, imageURLs: ["a"], texts: ["cat"])
        let found = try result(spec, [0: [[response([])]]])
        #expect(found.findings.isEmpty && found.score == nil && found.best?.text == "raw")
    }
}

/// Codewords that a plain detection does not have.
@Suite struct CodewordTests {
    @Test func aLabelEndsBeforeACodeword() {
        let parsed = parse(box + [Words.cat] + Words.outline(2))
        #expect(parsed.findings.map(\.label) == ["cat"])
        #expect(parsed.findings[0].codes == nil && parsed.notUnderstoodCount == 1)
        #expect(parse(box + [Words.cat] + box + [Words.dog]).findings.map(\.label) == ["cat", "dog"])
    }

    @Test func codesStandBetweenABoxAndItsLabel() throws {
        for blank in [[], [Words.blank]] {
            let found = try #require(
                parse(box + blank + Words.outline() + [Words.spacedCat]).findings.first)
            #expect(found.label == "cat" && found.codes == Array(0..<16) && found.note == nil)
        }
    }

    /// The score is that of the box without codes; their mean probability stands beside it.
    @Test func codesDoNotChangeTheScore() throws {
        let tokens = box + Words.outline() + [Words.cat]
        let logs = [-0.1, -0.2, -0.3, -0.4] + (0..<16).map { $0 < 8 ? 0 : -1 } + [-1, -9]
        let found = try #require(
            DetectionParser(FakeVocabulary()).parse(response(tokens, logs)).findings.first)
        #expect(abs(Double(found.score) - exp(-1 - 1)) < 1e-6)
        #expect(abs(Double(try #require(found.tokenScore)) - (1 + exp(-1)) / 2) < 1e-6)
    }

    @Test(arguments: [1, 15]) func fewerThan16CodesAreNoMask(count: Int) throws {
        let found = try #require(parse(box + Words.outline(count) + [Words.cat]).findings.first)
        #expect(found.label == "cat" && found.codes == nil && found.tokenScore == nil)
        #expect(found.note == "partial_codes")
    }

    @Test func moreThan16CodesAreCounted() throws {
        let parsed = parse(box + Words.outline(18) + [Words.cat])
        #expect(parsed.findings.map(\.codes) == [Array(0..<16)] && parsed.findings[0].label == "cat")
        #expect(parsed.notUnderstoodCount == 1)
    }

    /// RefCOCO and fine-tunes for one class name nothing.
    @Test func aBoxWithoutANameHasThatOfTheOneThingAskedFor() throws {
        for tokens in [box, box + [Words.blank], box + Words.outline()] {
            let one = try #require(parse(tokens, things: ["big dog"]).findings.first)
            #expect(one.label == "big dog" && abs(Double(one.score) - exp(-2)) < 1e-6, "by its locations alone")
            #expect(parse(tokens, things: ["cat", "dog"]).findings.map(\.label) == [""])
            #expect(parse(tokens).findings.map(\.label) == [""])
        }
    }

    @Test(arguments: [
        ("detect cat", ["cat"]), ("segment big dog ; cat", ["big dog", "cat"]),
        ("detect jack  of clubs", ["jack  of clubs"]),
        ("detect ", []), ("caption en", []), ("detective", []),
    ]) func thingsAreReadFromThePrompt(prompt: String, things: [String]) {
        #expect(DetectionParser.things(askedBy: prompt) == things)
    }

    /// Fine-tunes that divide by 1024 write `<loc1024>`, for which there is no token.
    @Test func locationsBeyond1023AreClampedAndCounted() throws {
        let parsed = parse([0, 0] + Words.beyond + [512, Words.cat])
        #expect(parsed.findings.map(\.label) == ["cat"] && parsed.notUnderstoodCount == 1)
        #expect(parsed.findings[0].box == Box(y1: 0, x1: 0, y2: 1, x2: Float(512.0 / 1023)))
        #expect(abs(Double(parsed.findings[0].score) - exp(-3.5 - 0.5)) < 1e-6, "a location is its tokens")
        let joined = [Words.open, Words.loc, Words.number, Words.closeOpen, Words.loc, Words.number, Words.close]
        let two = parse([0, 0] + joined + [Words.cat])
        #expect(two.findings.map(\.box) == [Box(y1: 0, x1: 0, y2: 1, x2: 1)] && two.notUnderstoodCount == 2)
        #expect(two.findings.map(\.label) == ["cat"])
    }

    /// What is left of a label tells nobody what it was to be.
    @Test func aBoxThatWasCutOffIsMarked() {
        let cut = parse(box + [Words.cat, Words.separator, 9, 9, 20, 20, Words.dog], .length)
        #expect(cut.findings.map(\.label) == ["cat", "dog"] && cut.findings.map(\.note) == [nil, "unfinished"])
        #expect(parse(box + [Words.cat, Words.dog], .length).findings.map(\.label) == ["catdog"])
        #expect(parse(box + [Words.cat, Words.separator], .length).findings.map(\.note) == [nil])
        let outline = parse(box + Words.outline(7), .length)
        #expect(outline.findings.map(\.note) == ["partial_codes,unfinished"])
        #expect(parse(box + [Words.cat, Words.separator, 9, 9], .length).notUnderstoodCount == 1)
    }

    @Test func boxesThatRepeatAreMarked() {
        let group = [0, 0, 1000, 1000, Words.cat, Words.separator]
        let near = [0, 0, 1000, 950, Words.cat, Words.separator]
        let other = [0, 0, 1000, 1000, Words.dog, Words.separator]
        let far = [0, 0, 1000, 890, Words.cat]
        let parsed = parse(group + near + other + group + far)
        #expect(
            parsed.findings.map(\.note) == [nil, "duplicate", nil, "duplicate", "duplicate"], "far is near to near")
        #expect(parse(group + far).findings.map(\.note) == [nil, nil])
    }
}

/// A box's mask, as the decoder makes it.
@Suite struct MaskTests {
    /// The whole box, or nothing of the image.
    private struct WholeBox: MaskDecoder {
        func mask(codes: [Int], box: Box, height: Int, width: Int) -> RunLengthMask? {
            let (rows, columns) = (Int(box.y1 * Float(height))..<Int(box.y2 * Float(height)), 0..<width)
            if rows.isEmpty { return nil }
            let pixels = Array(repeating: true, count: rows.count * columns.count)
            return RunLengthMask(height: height, width: width, rows: rows, columns: columns, pixels: pixels)
        }
    }

    private func findings(_ task: TaskName, _ tokens: [Int], decoder: (any MaskDecoder)?) throws -> [Finding] {
        var context = context(JobSpec(task: task, imageURLs: ["a"], texts: ["cat"]))
        context.maskDecoder = decoder
        return try task.definition.result([0: [[response(tokens)]]], checkpoints: [], context: context).findings
    }

    private let outlined = [0, 0, 1023, 1023] + Words.outline() + [Words.cat]

    /// Of the image's size: 3 × 4 pixels.
    @Test(arguments: [TaskName.segment, .detect]) func codesBecomeAMask(task: TaskName) throws {
        let found = try #require(try findings(task, outlined, decoder: WholeBox()).first)
        #expect(found.mask == RunLengthMask(height: 3, width: 4, counts: "0<"), "no pixel outside, then 12 inside")
        #expect(found.codes == Array(0..<16) && found.note == nil)
        let plain = try #require(try findings(task, [0, 0, 9, 9, Words.cat], decoder: WholeBox()).first)
        #expect(plain.mask == nil && plain.note == nil)
        let thin = try findings(task, [0, 0, 1, 9] + Words.outline(), decoder: WholeBox())
        #expect(thin.map(\.note) == ["no_pixels"] && thin[0].codes != nil)
    }

    @Test func withoutADecoderTheCodesStandAlone() throws {
        let found = try #require(try findings(.segment, outlined, decoder: nil).first)
        #expect(found.codes == Array(0..<16) && found.mask == nil && found.note == "no_mask_decoder")
    }

    @Test func aBareExpressionIsTheNameOfItsBox() throws {
        for task in [TaskName.segment, .detect] {
            let spec = JobSpec(task: task, imageURLs: ["a"], style: "bare", texts: ["the left cat"])
            #expect(try result(spec, [0: [[response(box)]]]).findings.map(\.label) == ["the left cat"])
        }
    }
}
