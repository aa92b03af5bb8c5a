import Evaluation
import Foundation

/// Stanford's own PTBTokenizer, in Java: for numbers that equal the official tool's to the last bit, where a caption's
/// end depends on how the next one begins.
struct StanfordTokenizer {
    /// The path of `stanford-corenlp-3.4.1.jar`, as pycocoevalcap's wheel has it.
    let jar: String

    /// Cuts the references of all items, then their texts, each in the items' order as pycocoevalcap does. What it
    /// returns is for ``CaptionTokenizer/ptbTokens``.
    /// - Throws: `CommandError` if there is no Java or no such jar, or if a line is lost.
    func cut(_ items: [EvaluatedItem]) throws -> [EvaluatedItem] {
        var references = try cut(items.flatMap(\.answers))[...]
        var texts = try cut(items.compactMap(\.text))[...]
        return items.map { item in
            var item = item
            item.answers = Array(references.prefix(item.answers.count))
            references = references.dropFirst(item.answers.count)
            if item.text != nil { item.text = texts.popFirst() }
            return item
        }
    }

    private func cut(_ captions: [String]) throws -> [String] {
        if captions.isEmpty { return [] }
        guard FileManager.default.isReadableFile(atPath: jar) else {
            throw CommandError(.failed, "\(jar) cannot be read: it is the jar of Stanford CoreNLP 3.4.1")
        }
        let file = FileManager.default.temporaryDirectory.appending(path: "gloss-captions-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(captions.map(PTBTokenizer.line).joined(separator: "\n").utf8).write(to: file)
        let output = try run(file)
        let lines = output.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard lines.count == captions.count else {
            throw CommandError(.failed, "\(jar) made \(lines.count) lines of \(captions.count) captions")
        }
        return lines
    }

    private func run(_ file: URL) throws -> Data {
        let java = Process()
        java.executableURL = URL(filePath: "/usr/bin/env")
        java.arguments = [
            "java", "-cp", jar, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", file.path,
        ]
        let output = Pipe()
        java.standardOutput = output
        java.standardError = FileHandle.nullDevice
        try java.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        java.waitUntilExit()
        guard java.terminationStatus == 0 else {
            let reason =
                java.terminationStatus == 127 ? "there is no java" : "java failed with \(java.terminationStatus)"
            throw CommandError(.failed, "captions cannot be cut by \(jar): \(reason)")
        }
        return data
    }
}
