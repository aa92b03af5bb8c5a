import ArgumentParser
import Foundation
import Inference
import Synchronization

/// `glossctl pack`
struct Pack: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Packs a model into one file that loads in a moment.",
        discussion: """
            The file holds config.json, the tokenizer and all weights as the kernels read them, checksummed. glossd and \
            glossctl take it wherever they take a model's folder; daemons on one machine share its memory. The results are \
            the same as with the folder and the same precision. Replace it with --force or mv, which daemons that have it survive; \
            one that is overwritten in place (cp) is pulled from under them. It depends on this version's format: keep the folder.

            With --adapter the LoRA adapter in that folder is merged into the weights, in f32 and before they are rounded. \
            The packed model is a model of its own, with a digest of its own.

            EXAMPLES
              glossctl pack /srv/models/paligemma --dtype bf16 /srv/models/paligemma.bf16.gloss
              glossctl pack /srv/models/paligemma --adapter /srv/adapters/shelves \
                --dtype bf16 /srv/models/shelves.bf16.gloss

            \(ExitStatus.help)
            """)

    @Argument(
        help: ArgumentHelp("The model's folder, as Hugging Face has it.", valueName: "model-dir"),
        completion: .directory)
    var model: String
    @Option(help: "f32, bf16, bf16-amx or int8. Default: bf16 where all weights are stored so, else f32.")
    var dtype: Precision?
    @Option(
        help: ArgumentHelp("A LoRA adapter of PEFT, to be merged into the weights.", valueName: "path"),
        completion: .directory)
    var adapter: String?
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @Argument(help: "The file to write.", completion: .file())
    var out: String

    func run() throws {
        let (folder, url) = (URL(filePath: model, directoryHint: .isDirectory), URL(filePath: out))
        let start = ContinuousClock.now
        try checkPlace()
        Interruption.watch()
        do {
            try PaliGemma.pack(
                folder: folder, precision: dtype,
                adapter: adapter.map { URL(filePath: $0, directoryHint: .isDirectory) }, to: url,
                isCancelled: { Interruption.signal != 0 })
        } catch {
            Interruption.obey()
            let what = (error as? InferenceError)?.message ?? "\(out): \((error as NSError).localizedDescription)"
            throw CommandError(.failed, what)
        }
        let size = (try? url.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        Console.say(String(format: "%@: %.2f GB in %.1f s", out, Double(size) / 1e9, seconds))
    }

    private func checkPlace() throws {
        var status = stat()
        guard stat(out, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFREG else { throw CommandError(.failed, "\(out) is not a file") }
        guard force else { throw CommandError(.failed, "\(out) exists; --force replaces it") }
    }
}

/// Signals that are to end the program, but not before it has cleared up.
private enum Interruption {
    private static let received = Atomic<Int32>(0)

    /// The signal that came; 0: none.
    static var signal: Int32 { received.load(ordering: .relaxed) }

    static func watch() {
        for number in [SIGINT, SIGTERM] {
            Foundation.signal(number) { Interruption.received.store($0, ordering: .relaxed) }
        }
    }

    /// Ends the program by the signal that came, if one did.
    static func obey() {
        guard signal != 0 else { return }
        Foundation.signal(signal, SIG_DFL)
        raise(signal)
    }
}
