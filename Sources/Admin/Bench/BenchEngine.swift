import Annotation
import ArgumentParser
import Console
import Foundation
import Images
import Inference

/// `glossctl bench engine`
struct BenchEngine: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "The scheduler alone, on images that are decoded beforehand.",
        discussion: """
            What a daemon with this model could do if fetching, decoding and the queue cost nothing. Each prompt is asked \
            about each image, --repeat times over, as if each time the image were another. Only computing is timed.

            EXAMPLES
              glossctl bench engine --model models/gloss-shapes --prompt 'caption en' --repeat 50 demo/images/scene-*.jpg
              glossctl bench engine --model DIR --prompt 'answer en What is this?' --samples 5 --max-tokens 24 --json a.png

            \(ExitStatus.help)
            """)

    @OptionGroup var format: FormatOptions

    @Option(
        help: ArgumentHelp("The model's folder, or what glossctl pack made of it.", valueName: "path"),
        completion: .file())
    var model: String
    @Option(name: .customLong("prompt"), help: "A prompt, word for word; may be given several times.")
    var prompts: [String]
    @Option(help: "The most tokens of a response, the end token included.")
    var maxTokens = 64
    @Option(help: "Responses to each prompt; several are drawn at temperature 1.")
    var samples = 1
    @Option(help: "Beams of each prompt; 1 is greedy, or samples.")
    var beams = 1
    @Option(help: "How often each image comes.")
    var `repeat` = 1
    @Option(help: "Prompts that the scheduler holds at a time.")
    var held = 256
    @Option(help: "f32, bf16, bf16-amx or int8. Default: the model's.")
    var precision: Precision?
    @Option(help: "Threads. Default: one for each processor that it may use.")
    var threads: Int?
    @Argument(help: "Image files.", completion: .file())
    var images: [String]

    func validate() throws {
        for (name, value) in [("repeat", `repeat`), ("held", held), ("threads", threads ?? 1)] where value < 1 {
            throw ValidationError("--\(name) must be 1 or more, not \(value).")
        }
        guard !prompts.isEmpty else { throw ValidationError("There is no --prompt.") }
    }

    func run() throws {
        let decoded = try images.map(LocalImage.decode)
        do {
            let model = try PaliGemma(
                contentsOf: URL(filePath: model), precision: precision, threads: threads ?? Processors.threadCount())
            let pixels = decoded.map { model.pixelValues(rgb: $0.pixels, width: $0.width, height: $0.height) }
            let answer = try measure(model, pixels)
            try format.json ? JSONText.say(answer) : say(answer)
        } catch let error as InferenceError {
            throw CommandError(.failed, error.message)
        }
    }

    private func measure(_ model: PaliGemma, _ pixels: [PixelValues]) throws(InferenceError) -> Answer {
        var scheduler = Scheduler(model: model)
        let total = pixels.count * `repeat` * prompts.count
        var (submitted, ended, tokens) = (0, 0, 0)
        let start = ContinuousClock.now
        while ended < total {
            while submitted < min(total, ended + held) {
                scheduler.submit(query(submitted, pixels))
                submitted += 1
            }
            for completion in scheduler.step() {
                tokens += try completion.result.get().reduce(0) { $0 + $1.tokens.count }
                ended += 1
            }
        }
        return Answer(
            seconds: (ContinuousClock.now - start) / .seconds(1), tokens: tokens, prompts: total,
            statistics: scheduler.statistics)
    }

    private func query(_ id: Int, _ pixels: [PixelValues]) -> Scheduler.Query {
        let image = id / prompts.count
        return Scheduler.Query(
            id: id, images: [Scheduler.Image(pixels[image % pixels.count], key: "\(image)")],
            prompt: prompts[id % prompts.count],
            settings: DecodeSettings(
                maxTokens: maxTokens, samples: samples, beams: beams, temperature: samples > 1 ? 1 : 0,
                seed: UInt64(id)))
    }

    private func say(_ answer: Answer) {
        let (images, prompts) = (Double(answer.images) / answer.seconds, Double(answer.prompts) / answer.seconds)
        Console.say("\(Formats.fixed(images, 1)) images/s, \(Formats.fixed(prompts, 1)) prompts/s")
        var table = Table([.text("STAGE"), .number("SECONDS"), .number("SHARE")])
        for (name, seconds) in [
            ("vision", answer.vision), ("prefill", answer.prefill), ("extend", answer.extend), ("all", answer.seconds),
        ] {
            let share = Formats.fixed(seconds / answer.seconds, 3)
            table.add([Table.Cell(name), Table.Cell(Formats.fixed(seconds, 3)), Table.Cell(share)])
        }
        table.lines(width: nil, palette: .output).forEach(Console.say)
    }

    private struct Answer: Encodable {
        let seconds, vision, prefill, extend: Double
        let images, prompts, tokens: Int
        /// Tokens of responses and beams that were computed after a prefill.
        let rows: Int

        init(seconds: Double, tokens: Int, prompts: Int, statistics: Scheduler.Statistics) {
            (self.seconds, self.tokens, self.prompts) = (seconds, tokens, prompts)
            (images, rows) = (statistics.imageCount, statistics.extendRowCount)
            (vision, prefill, extend) = (
                statistics.seconds.vision, statistics.seconds.prefill, statistics.seconds.extend
            )
        }
    }
}
