import Foundation
import Testing

/// `glossctl pack` from outside: it writes the whole file or leaves nothing.
@Suite struct PackTests {
    private let folder: TemporaryFolder
    private let out: String

    init() throws {
        folder = try TemporaryFolder()
        out = folder.file("model.gloss")
    }

    private func pack(_ arguments: String...) async throws -> Tool.Run {
        try await Tool.run(Tool.path, ["pack"] + arguments)
    }

    private var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
    }

    @Test func whatItWritesAnswersAsTheFolderDoes() async throws {
        let run = try await pack(Tree.model, out)
        #expect(run.status == 0 && run.output.contains("\(out): 0.0"), "\(run.errors)")
        #expect(try files == ["model.gloss"])
        let answers = try await [Tree.model, out].mapInOrder { model in
            try await Tool.run(
                Tool.path, ["infer", "--model", model, "--max-tokens", "4", "--prompt", "ocr", Tree.image("rgb.png")])
        }
        #expect(answers[0].status == 0 && answers[0].output == answers[1].output, "\(answers[1].errors)")
    }

    @Test func anExistingFileIsReplacedOnlyByForce() async throws {
        try folder.write("model.gloss", "old")
        let refused = try await pack(Tree.model, out)
        #expect(refused.status == 1 && refused.errors.contains("exists; --force replaces it"))
        #expect(try folder.read("model.gloss") == "old")
        #expect(try await pack(Tree.model, "--force", "--dtype", "int8", out).status == 0)
        #expect(try Data(contentsOf: URL(filePath: out)).starts(with: Data("glosspak".utf8)))
        #expect(try files == ["model.gloss"])
    }

    @Test func placesThatAreNoFilesAreRefused() async throws {
        for place in [folder.path, "/dev/null"] {
            let run = try await pack(Tree.model, "--force", place)
            #expect(run.status == 1 && run.errors.contains("\(place) is not a file"), "\(run.errors)")
        }
        let run = try await pack(Tree.model, folder.file("missing/model.gloss"))
        #expect(run.status == 1 && run.errors.contains("missing") && run.errors.contains("No such file or directory"))
        #expect(try files.isEmpty)
    }

    @Test func aFailedPackKeepsTheOldFileAndLeavesNothing() async throws {
        try folder.write("model.gloss", "old")
        let none = try await pack(folder.file("none"), "--force", out)
        #expect(none.status == 1 && none.errors.contains("none/config.json: no such file"), "\(none.errors)")
        for name in ["tokenizer.model", "config.json"] {
            let broken = folder.file("broken")
            try FileManager.default.copyItem(atPath: Tree.model, toPath: broken)
            try folder.write("broken/\(name)", "nonsense")
            let run = try await pack(broken, "--force", out)
            #expect(run.status == 1 && run.errors.contains("broken/\(name)"), "\(run.errors)")
            try FileManager.default.removeItem(atPath: broken)
        }
        #expect(try files == ["model.gloss"] && folder.read("model.gloss") == "old")
    }

    @Test func twoPacksDoNotMix() async throws {
        try folder.write(".model.gloss.partial", "another's")
        let run = try await pack(Tree.model, out)
        #expect(run.status == 1 && run.errors.contains("another pack is writing it"), "\(run.errors)")
        #expect(try folder.read(".model.gloss.partial") == "another's")
    }
}

extension Array {
    /// The results of `body`, one after the other.
    fileprivate func mapInOrder<Result>(_ body: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await body(element)) }
        return results
    }
}
