import Annotation
import ArgumentParser
import Console
import Foundation
import Images
import Inference

/// `glossctl infer`
struct Infer: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the model here and now on local images, without the queue.",
        discussion: """
            The prompt is the model's own, word for word: 'caption en', 'answer en what is this?', 'detect cat ; dog'. \
            Several images are one input. With --json there is one object on one line, with every token's \
            log-probability (natural logarithm, of the raw logits).

            With --choice the response is the likeliest of the given texts; each has its probability among them.

            EXAMPLES
              glossctl infer --model DIR --prompt 'caption en' cat.jpg
              glossctl infer --model DIR --prompt 'answer en what is this?' \\
                --samples 5 --seed 7 --json cat.jpg
              glossctl infer --model DIR --prompt 'caption en' --beams 3 cat.jpg
              glossctl infer --model DIR --prompt 'answer en is there a cat?' \\
                --choice yes --choice no cat.jpg
              glossctl infer --model DIR --prompt 'caption en' --score 'a red cube' a.png
              glossctl infer --model DIR --prompt 'caption en' \\
                --dump-stages stages.safetensors a.png

            \(ExitStatus.help)
            """)

    @OptionGroup var format: FormatOptions

    @Option(
        help: ArgumentHelp(
            "The model's folder (config.json, safetensors, tokenizer.model or tokenizer.json), or what glossctl pack made of it.",
            valueName: "path"), completion: .file())
    var model: String
    @Option(
        help: ArgumentHelp(
            "A LoRA adapter of PEFT for the model: adapter_config.json, adapter_model.safetensors. The model stays as it is.",
            valueName: "path"), completion: .directory)
    var adapter: String?
    @Option(help: "The prompt, without the line break at its end.")
    var prompt: String
    @Option(help: "The most tokens of a response, the end token included.")
    var maxTokens = 64
    @Option(help: "Responses.")
    var samples = 1
    @Option(help: "Which samples are given: all, or the likeliest alone.")
    var pick = SamplePick.all
    @Option(help: "Search with so many beams, 2 to 8, as big_vision does; 1 is greedy, or samples.")
    var beams = 1
    @Option(help: "0 is greedy. Default: 0, and 1 if there are several samples.")
    var temperature: Double?
    @Option(help: "Sample among so many of the likeliest tokens; 0 is all.")
    var topK = 0
    @Option(help: "Sample among the likeliest tokens that together reach this probability; 1 is all.")
    var topP = 1.0
    @Option(help: "The seed of the random numbers.")
    var seed: UInt64 = 0
    @Option(
        help: ArgumentHelp(
            "What the response begins with. Its tokens are scored and counted as the model's own.", valueName: "text"))
    var continueFrom = ""
    @Option(help: "End a response where the same run of tokens stands so often in a row; 0 is never.")
    var maxRepeats = 0
    @Option(
        help: ArgumentHelp(
            "A box in fractions of the height and the width, drawn in red into what the model sees, as big_vision does.",
            valueName: "y1,x1,y2,x2"))
    var drawBox: Box?
    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Generate nothing; choose this response or another one given so. May be repeated.", valueName: "text"))
    var choice: [String] = []
    @Option(help: "Generate nothing; score this response instead.")
    var score: String?
    @Option(help: "f32, bf16, bf16-amx or int8. Default: bf16 where all weights are stored so, else f32.")
    var precision: Precision?
    @Option(help: "The window of PaliGemma 2's sliding layers: model, as transformers has it, or none, as big_vision.")
    var window = LoadOptions.Window.model
    @Option(
        help: ArgumentHelp(
            "How images are made square: bicubic, bilinear or bilinear-antialias. Default: as the model's folder says, which is bicubic.",
            valueName: "filter"))
    var resize: Resize?
    @Option(
        help: ArgumentHelp(
            "What makes masks of the codes of outlines: big_vision's vae-oid.npz, or .safetensors with its names.",
            valueName: "file"), completion: .file())
    var maskDecoder: String?
    @Option(
        help: "Threads to compute with. Default: one for each processor that it may use. Results do not depend on it.")
    var threads: Int?
    @Option(
        help: ArgumentHelp(
            "Also write pixel_values, image_features and the prefill's logits to this file.", valueName: "file"))
    var dumpStages: String?
    @Argument(help: "Image files.", completion: .file())
    var images: [String]

    func validate() throws {
        if let problem = PromptText.problem(PromptText.trimmed(prompt)) {
            throw ValidationError("The prompt \(problem).")
        }
        if let threads, threads < 1 { throw ValidationError("--threads must be 1 or more, not \(threads).") }
        if drawBox != nil, images.count != 1 { throw ValidationError("--draw-box is for one image.") }
        if let (first, second) = excluded { throw ValidationError("\(first) and \(second) exclude each other.") }
    }

    /// Two options that make no sense together.
    private var excluded: (String, String)? {
        let sampling = [
            ("--samples", samples != 1), ("--pick", pick != .all), ("--temperature", (temperature ?? 0) != 0),
            ("--max-repeats", maxRepeats != 0),
        ]
        let drawing = sampling + [("--beams", beams != 1), ("--continue-from", !continueFrom.isEmpty)]
        let rows = [
            ("--score", score != nil, [("--choice", !choice.isEmpty)] + drawing),
            ("--choice", !choice.isEmpty, drawing), ("--beams", beams != 1, sampling),
        ]
        for (name, isGiven, others) in rows where isGiven {
            if let other = others.first(where: \.1) { return (name, other.0) }
        }
        return nil
    }

    func run() throws {
        do {
            try infer()
        } catch let error as InferenceError {
            throw CommandError(.failed, error.message)
        }
    }

    /// The prompt without outer blanks.
    private var asked: String { PromptText.trimmed(prompt) }

    private func infer() throws {
        let decoded = try images.map(LocalImage.decode)
        let model = try PaliGemma(
            contentsOf: try location(), precision: precision, options: LoadOptions(window: window, resize: resize),
            threads: threads ?? Processors.threadCount())
        for warning in model.warnings { Console.note("glossctl: \(warning)") }
        let pixels = decoded.map { image in
            let seen = model.pixelValues(rgb: image.pixels, width: image.width, height: image.height)
            return drawBox.map(seen.drawing) ?? seen
        }
        let adapter = try adapter.map { try model.adapter(contentsOf: URL(filePath: $0, directoryHint: .isDirectory)) }
        if let dumpStages { try dump(model, pixels, adapter, to: dumpStages) }
        let responses = try responses(model, model.embedImages(pixels, adapter: adapter), adapter)
        let masks = try maskDecoder.map { try VAEMaskDecoder(contentsOf: URL(filePath: $0)) }
        let things = DetectionParser.things(askedBy: asked)
        let boxes = responses.map { response in
            DetectionParser(model.vocabulary).parse(response, things: things).findings.masked(by: masks) { index in
                decoded.indices.contains(index) ? (decoded[index].height, decoded[index].width) : nil
            }
        }
        if !choice.isEmpty { return try say(Choices(choice, responses), boxes) }
        try format.json ? sayJSON(responses, boxes) : say(responses, boxes)
    }

    private func location() throws -> URL {
        guard FileManager.default.fileExists(atPath: model) else {
            throw CommandError(.failed, "there is no model \(model)")
        }
        return URL(filePath: model)
    }

    private func responses(_ model: PaliGemma, _ images: [ImageTokens], _ adapter: Adapter?) throws -> [Generation] {
        if let score {
            return [try model.score(images: images, prompt: asked, suffix: score, adapter: adapter)]
        }
        let settings = DecodeSettings(
            maxTokens: maxTokens, samples: samples, pick: pick, beams: beams,
            temperature: temperature ?? (samples > 1 ? 1 : 0), topK: topK, topP: topP, seed: seed,
            continueFrom: continueFrom, maxRepeats: maxRepeats)
        let request = GenerationRequest(
            images: images, prompt: asked, settings: settings, options: choice, adapter: adapter)
        return try model.generate([request]).flatMap { try $0.get() }
    }

    private func dump(_ model: PaliGemma, _ pixels: [PixelValues], _ adapter: Adapter?, to path: String) throws {
        do {
            try model.writeStages(images: pixels, prompt: asked, adapter: adapter, to: URL(filePath: path))
        } catch let error as InferenceError {
            throw error
        } catch {
            throw CommandError(.failed, "\(path) cannot be written: \(error.localizedDescription)")
        }
    }

    private func sayJSON(_ responses: [Generation], _ boxes: [[Finding]]) throws {
        let scored = zip(responses, boxes).map { ScoredResponse($0, $1) }
        if samples > 1, pick == .all {
            try JSONText.say(["samples": scored])
        } else if let only = scored.first {
            try JSONText.say(only)
        }
    }

    private func say(_ choices: Choices, _ boxes: [[Finding]]) throws {
        let best = choices.best
        if format.json {
            return try JSONText.say(ScoredResponse(choices.responses[best], boxes[best], choices: choices.rows))
        }
        Console.say(Palette.output.paint(choices.rows[best].text, .bold))
        choices.table.lines(width: nil, palette: .output).forEach { Console.say("  \($0)") }
    }

    private func say(_ responses: [Generation], _ boxes: [[Finding]]) {
        let palette = Palette.output
        for (response, findings) in zip(responses, boxes) {
            Console.say(palette.paint(score ?? response.text, .bold))
            let count = "\(response.tokens.count) token\(response.tokens.count == 1 ? "" : "s")"
            let end =
                switch response.finishReason {
                case .eos: ""
                case .length: ", cut off by --max-tokens"
                case .repetition: ", ended by --max-repeats"
                }
            let (sum, norm) = (response.sumLogprob, response.normLogprob)
            let scores = "log-probability \(Formats.fixed(sum, 4)), length-normalised \(Formats.fixed(norm, 4))"
            Console.say(palette.paint("  \(scores), \(count)\(end)", .dim))
            if !findings.isEmpty {
                Self.table(findings).lines(width: nil, palette: palette).forEach { Console.say("  \($0)") }
            }
        }
    }

    private static func table(_ findings: [Finding]) -> Table {
        var table = Table([
            .text("BOX"), .number("SCORE"), .number("TOP"), .number("LEFT"), .number("BOTTOM"), .number("RIGHT"),
            .text("NOTE"),
        ])
        for finding in findings {
            let edges = finding.box.map { [$0.y1, $0.x1, $0.y2, $0.x2] } ?? [nil, nil, nil, nil]
            let numbers = [finding.score] + edges
            let cells = numbers.map { Table.Cell($0.map { Formats.fixed(Double($0), 3) }) }
            table.add([Table.Cell(finding.label, .green)] + cells + [Table.Cell(finding.note)])
        }
        return table
    }
}

/// Images of this machine.
enum LocalImage {
    /// Reads and decodes a file.
    static func decode(_ path: String) throws(CommandError) -> RGBImage {
        do {
            return try ImageDecoder.decode(
                try bytes(path), limits: DecodeLimits(formats: Set(ImageFormat.allCases)))
        } catch let error as ImageError {
            throw CommandError(.badData, "\(path): \(error.message)")
        } catch {
            throw CommandError(error) ?? CommandError(.failed, "\(path): \(error)")
        }
    }

    private static func bytes(_ path: String) throws(CommandError) -> [UInt8] {
        do {
            return [UInt8](try Data(contentsOf: URL(filePath: path)))
        } catch {
            let exists = FileManager.default.fileExists(atPath: path)
            throw CommandError(.badData, exists ? "\(path) cannot be read" : "there is no file \(path)")
        }
    }
}

extension Precision: ExpressibleByArgument {}
extension Resize: ExpressibleByArgument {}
extension SamplePick: ExpressibleByArgument {}
extension LoadOptions.Window: ExpressibleByArgument {}
