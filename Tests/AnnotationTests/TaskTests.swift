import Annotation
import Foundation
import Testing

@Suite struct PromptTests {
    struct Example: CustomTestStringConvertible, Sendable {
        let task: TaskName
        let style: String
        var language = "en"
        var texts: [String] = []
        var options: [String] = []
        let prompts: [String]

        var testDescription: String { "\(task) \(style)" }
    }

    /// The prompts that PaliGemma was trained with (3.2.5, appendix B), one example a style or more.
    static let examples = [
        Example(task: .caption, style: "caption", prompts: ["caption en"]),
        Example(task: .caption, style: "caption", language: "pt-BR", prompts: ["caption pt-BR"]),
        Example(task: .caption, style: "cap", language: "de", prompts: ["cap de"]),
        Example(task: .caption, style: "describe", prompts: ["describe en"]),
        Example(
            task: .caption, style: "box", texts: ["0,0,0.5,1"],
            prompts: ["caption <loc0000><loc0000><loc0512><loc1023>"]),
        Example(task: .ocr, style: "ocr", prompts: ["ocr"]),
        Example(task: .ocr, style: "raw", texts: ["ocr please"], prompts: ["ocr please"]),
        Example(task: .question, style: "question", language: "de", texts: ["blau"], prompts: ["question de blau"]),
        Example(task: .question, style: "raw", texts: ["blue"], prompts: ["blue"]),
        Example(task: .caption, style: "raw", texts: ["a {language} cat"], prompts: ["a {language} cat"]),
        Example(task: .vqa, style: "answer", texts: ["What is this?"], prompts: ["answer en What is this?"]),
        Example(task: .vqa, style: "answer", texts: ["{text} {texts}?"], prompts: ["answer en {text} {texts}?"]),
        Example(task: .vqa, style: "bare", texts: ["Question: a\nAnswer:"], prompts: ["Question: a\nAnswer:"]),
        Example(task: .vqa, style: "raw", texts: ["Is it red?"], prompts: ["Is it red?"]),
        Example(
            task: .choice, style: "answer", texts: ["Is it red?"], options: ["yes", "no"],
            prompts: ["answer en Is it red?"]),
        Example(
            task: .choice, style: "listed", texts: ["which {options}?"], options: ["a", "{text}", "c d"],
            prompts: ["answer en  which {options}? choose from: a \t {text} \t c d"]),
        Example(
            task: .choice, style: "bare", texts: ["Is there a cat?"], options: ["yes", "no"],
            prompts: ["Is there a cat?"]),
        Example(task: .choice, style: "raw", texts: ["what?"], options: ["yes", "no"], prompts: ["what?"]),
        Example(task: .detect, style: "detect", texts: ["cat"], prompts: ["detect cat"]),
        Example(task: .detect, style: "detect", texts: ["cat", "big dog"], prompts: ["detect cat ; big dog"]),
        Example(task: .detect, style: "bare", texts: ["the left cat"], prompts: ["the left cat"]),
        Example(task: .detect, style: "raw", texts: ["detect a ; b"], prompts: ["detect a ; b"]),
        Example(task: .segment, style: "segment", texts: ["cat", "dog"], prompts: ["segment cat ; dog"]),
        Example(task: .segment, style: "bare", texts: ["the left cat"], prompts: ["the left cat"]),
        Example(task: .segment, style: "raw", texts: ["segment cat"], prompts: ["segment cat"]),
        Example(
            task: .multiview, style: "answer", language: "fr", texts: ["A?", "B?"],
            prompts: ["answer fr A?", "answer fr B?"]),
        Example(task: .multiview, style: "raw", texts: ["a", "b"], prompts: ["a", "b"]),
    ]

    @Test(arguments: examples) func promptsAreThoseOfThePaper(example: Example) {
        let spec = JobSpec(
            task: example.task, imageURLs: ["u"], style: example.style, language: example.language,
            texts: example.texts, options: example.options)
        #expect(spec.prompts == example.prompts)
    }

    @Test func everyStyleHasAnExample() {
        let styles = TaskName.all.flatMap { task in task.styles.map { "\(task.name) \($0.name)" } }
        #expect(Set(styles) == Set(Self.examples.map(\.testDescription)))
    }

    @Test func aMultiviewJobWithoutQuestionsAsksThoseOfThePaper() {
        #expect(
            JobSpec(task: .multiview, imageURLs: ["u"]).prompts == [
                "answer en What is this?", "answer en What type of object is this?",
                "answer en What is in the image?", "answer en Describe the object in the image",
            ])
    }
}

@Suite struct QueryTests {
    @Test func allImagesAreOneInput() {
        let settings = DecodeSettings(maxTokens: 9, seed: 4)
        let spec = JobSpec(task: .vqa, imageURLs: ["a", "b"], texts: ["?"], settings: settings)
        let query = TaskQuery(view: 0, question: 0, images: [0, 1], prompt: "answer en ?", settings: settings)
        #expect(TaskName.vqa.definition.queries(spec) == [query])
        #expect(spec.viewCount == 1)
    }

    @Test func aChoiceIsOneQueryWithItsOptions() {
        let spec = JobSpec(task: .choice, imageURLs: ["a"], texts: ["?"], options: ["yes", "no"])
        let queries = TaskName.choice.definition.queries(spec)
        #expect(queries.map(\.prompt) == ["answer en ?"] && queries.map(\.options) == [["yes", "no"]])
        #expect(TaskName.vqa.definition.queries(JobSpec(task: .vqa, imageURLs: ["a"], texts: ["?"]))[0].options == [])
    }

    /// Each query draws from a stream of its own: seed + 1000 · view + question.
    @Test func eachViewIsAskedEachQuestionWithASeedOfItsOwn() {
        let spec = JobSpec(
            task: .multiview, imageURLs: ["a", "b"], texts: ["x", "y", "z"],
            settings: DecodeSettings(samples: 5, temperature: 1, seed: 7))
        let queries = TaskName.multiview.definition.queries(spec)
        #expect(queries.map(\.view) == [0, 0, 0, 1, 1, 1])
        #expect(queries.map(\.question) == [0, 1, 2, 0, 1, 2])
        #expect(queries.map(\.images) == [[0], [0], [0], [1], [1], [1]])
        #expect(queries.map(\.prompt) == ["answer en x", "answer en y", "answer en z"] + queries[..<3].map(\.prompt))
        #expect(queries.map(\.settings.seed) == [7, 8, 9, 1007, 1008, 1009])
        #expect(queries.allSatisfy { $0.settings.samples == 5 && $0.settings.temperature == 1 })
    }

    /// A further stage asks its question of each view, with streams of its own: 1,000,000 · (stage − 1) further on.
    @Test func furtherStagesNameTheAnswer() {
        let spec = JobSpec(
            task: .multiview, imageURLs: ["a", "b"], language: "de", texts: ["x", "y"],
            followUps: ["what is the {answer} made of?", "who?", "{answer}, {answer} or {text}?"],
            settings: DecodeSettings(samples: 3, temperature: 1, seed: 7))
        let task = TaskName.multiview.definition
        #expect(task.queries(spec, answer: "mug").map(\.prompt) == task.queries(spec).map(\.prompt))
        let prompts = (2...4).map { spec.prompts(stage: $0, answer: "red mug") }
        #expect(
            prompts == [
                ["answer de what is the red mug made of?"], ["answer de who?"],
                ["answer de red mug, red mug or {text}?"],
            ])
        let queries = task.queries(spec, stage: 3, answer: "mug")
        #expect(queries.map(\.stage) == [3, 3] && queries.map(\.question) == [0, 0])
        #expect(queries.map(\.view) == [0, 1] && queries.map(\.images) == [[0], [1]])
        #expect(queries.map(\.settings.seed) == [2_000_007, 2_001_007])
        #expect(queries.allSatisfy { $0.settings.samples == 3 && $0.settings.temperature == 1 })
        var raw = spec
        raw.style = "raw"
        #expect(raw.prompts(stage: 2, answer: "mug") == ["what is the mug made of?"])
    }

    @Test func aSeedAtTheEndOfItsRangeWrapsAround() {
        let spec = JobSpec(
            task: .multiview, imageURLs: ["a", "b"], texts: ["x"], settings: DecodeSettings(seed: .max))
        #expect(TaskName.multiview.definition.queries(spec).map(\.settings.seed) == [.max, 999])
    }
}

@Suite struct TaskNameTests {
    @Test func namesAreUniqueAndKnown() throws {
        let names = TaskName.allCases.map(\.rawValue)
        #expect(Set(names).count == names.count)
        for task in TaskName.all {
            #expect(TaskName(rawValue: task.name.rawValue)?.definition.summary == task.summary)
            #expect(!task.styles.isEmpty && !task.title.isEmpty && !task.resultViews.isEmpty)
            #expect(Set(task.styles.map(\.name)).count == task.styles.count)
        }
        #expect(TaskName(rawValue: "dream") == nil)
    }

    @Test func aNameIsItsBareTextInJSON() throws {
        #expect(String(decoding: try JSONEncoder().encode([TaskName.vqa]), as: UTF8.self) == "[\"vqa\"]")
        #expect(try JSONDecoder().decode([TaskName].self, from: Data("[\"detect\"]".utf8)) == [.detect])
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([TaskName].self, from: Data("[\"dream\"]".utf8))
        }
        guard case .dataCorrupted(let context) = error else {
            Issue.record("unexpected: \(String(describing: error))")
            return
        }
        #expect(context.debugDescription == "this version knows no task \"dream\"")
    }

    /// What a job that says nothing gets; the SQL functions read the same from the row.
    @Test(arguments: [
        (TaskName.caption, "caption", DecodeSettings(maxTokens: 64)),
        (.vqa, "answer", DecodeSettings(maxTokens: 32)), (.detect, "detect", DecodeSettings(maxTokens: 256)),
        (.segment, "segment", DecodeSettings(maxTokens: 256)), (.ocr, "ocr", DecodeSettings(maxTokens: 512)),
        (.question, "question", DecodeSettings(maxTokens: 32)), (.choice, "answer", DecodeSettings(maxTokens: 8)),
        (.multiview, "answer", DecodeSettings(maxTokens: 24, samples: 5, temperature: 1)),
    ])
    func defaults(task: TaskName, style: String, settings: DecodeSettings) {
        let spec = JobSpec(task: task, imageURLs: ["u"])
        #expect(spec.style == style && spec.settings == settings && spec.language == "en")
    }

    /// The JSON that `gloss.define_task` takes.
    @Test func aRowIsTheDefinition() throws {
        let json = """
            {
              "name": "detect", "summary": "Find things in an image and give their boxes.",
              "default_style": "detect",
              "styles": {
                "detect": {"prompt": "detect {texts}", "texts": [1, 500]},
                "bare": {"prompt": "{text}", "texts": [1, 1]}, "raw": {"prompt": "{text}", "texts": [1, 1]}
              },
              "defaults": {
                "max_tokens": 256, "samples": 1, "beams": 1, "temperature": 0, "top_k": 0, "top_p": 1, "seed": 0
              },
              "default_texts": [], "text_noun": "thing", "separator": ";",
              "limits": {"images": 16, "views": false, "samples": 1, "beams": 1}
            }
            """
        let row = TaskRow(TaskName.detect.definition)
        let written = try JSONSerialization.jsonObject(with: JSONEncoder().encode(row)) as? NSDictionary
        #expect(try written == JSONSerialization.jsonObject(with: Data(json.utf8)) as? NSDictionary)
        #expect(try JSONDecoder().decode(TaskRow.self, from: Data(json.utf8)) == row)
    }

    @Test func everyRowSurvivesJSON() throws {
        for task in TaskName.all {
            let row = TaskRow(task)
            #expect(try JSONDecoder().decode(TaskRow.self, from: JSONEncoder().encode(row)) == row)
        }
        #expect(TaskRow(TaskName.multiview.definition).limits.views)
        #expect(TaskRow(TaskName.caption.definition).textNoun == nil)
        #expect(TaskRow(TaskName.choice.definition).limits.options == [2, 64])
        let searching = TaskName.all.filter { $0.limits.beamCount == 8 }.map(\.name)
        #expect(Set(searching) == [.caption, .ocr, .vqa, .question])
    }
}

@Suite struct SettingsTests {
    /// Settings that came later are written only where they say something, so that jobs of before stay the same jobs.
    @Test func onlyWhatIsNotUsualIsWritten() throws {
        func keys(_ settings: DecodeSettings) throws -> Set<String> {
            let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(settings))
            return Set((object as? [String: Any])?.keys.map { $0 } ?? [])
        }
        let usual: Set = ["max_tokens", "samples", "beams", "temperature", "top_k", "top_p", "seed"]
        #expect(try keys(DecodeSettings()) == usual)
        let all = DecodeSettings(
            samples: 3, pick: .likeliest, beams: 2, temperature: 1, continueFrom: "a", maxRepeats: 2, tokenScores: true)
        #expect(try keys(all) == usual.union(["pick", "continue_from", "max_repeats", "token_scores"]))
        for settings in [DecodeSettings(), all] {
            let again = try JSONDecoder().decode(DecodeSettings.self, from: JSONEncoder().encode(settings))
            #expect(again == settings)
        }
    }
}
