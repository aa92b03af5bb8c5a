import ArgumentParser
import Foundation
import Inference

/// `glossctl pack`
struct Pack: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Packs a model into one file that loads in a moment.",
        discussion: """
            The file holds config.json, tokenizer.model and all weights as the kernels read them, checksummed. glossd and \
            glossctl take it wherever they take a model's folder; daemons on one machine share its memory. The results are \
            the same as with the folder and the same precision. It depends on this version's format: keep the folder.

            EXAMPLES
              glossctl pack /srv/models/paligemma --dtype bf16 /srv/models/paligemma.bf16.gloss

            \(ExitStatus.help)
            """)

    @Argument(
        help: ArgumentHelp("The model's folder: config.json, safetensors, tokenizer.model.", valueName: "model-dir"),
        completion: .directory)
    var model: String
    @Option(help: "f32, bf16 or int8. Default: bf16 where all weights are stored so, else f32.")
    var dtype: Precision?
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @Argument(help: "The file to write.", completion: .file())
    var out: String

    func run() throws {
        let (folder, url) = (URL(filePath: model, directoryHint: .isDirectory), URL(filePath: out))
        let start = ContinuousClock.now
        if FileManager.default.fileExists(atPath: out) && !force {
            throw Trouble(.failed, "\(out) exists; --force replaces it")
        }
        do {
            try PaliGemma.pack(folder: folder, precision: dtype, to: url)
        } catch let error as InferenceError {
            throw Trouble(.failed, error.message)
        } catch {
            throw Trouble(.failed, "\(out): \((error as NSError).localizedDescription)")
        }
        let size = (try? url.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        Console.say(String(format: "%@: %.2f GB in %.1f s", out, Double(size) / 1e9, seconds))
    }
}
