import Annotation
import ArgumentParser
import Console
import Foundation
import Storage
import Submissions

/// `glossctl export objaverse`
struct ExportObjaverse: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "objaverse",
        abstract: "The answers about objects and their probabilities, as the published annotations of Objaverse.",
        discussion: """
            objects.csv has a line an answer: the object's key; the answer; its probability. Objects come by their keys, \
            answers by their probabilities, as they were aggregated. Fields are separated by semicolons, and there is no \
            head. The condition of --where is over the columns of gloss.multiview, a row an object.

            EXAMPLES
              glossctl export objaverse --batch objects
              glossctl export objaverse --where 'probability > .5' --top 1

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions
    @Option(help: "The most answers of an object. Default: all.")
    var top: Int?
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var output: OutputFlags

    private static let name = "objects.csv"
    private static let pieceSize = 4000

    func validate() throws {
        if let top, top < 1 { throw ValidationError("--top must be 1 at least.") }
        _ = try chosen()
    }

    private func chosen() throws -> ExportSelection {
        guard let view = ResultView(rawValue: "multiview") else { throw ValidationError("there is no view multiview.") }
        return try selection.selection(
            of: TaskName.allCases.filter { $0.definition.presentation == .distribution }, view: view)
    }

    func run() async throws {
        let selection = try chosen()
        let path = output.output ?? "gloss-objaverse"
        let administration = database.administration(statementTimeout: nil)
        if let batch = selection.batch { try await administration.batch(named: batch) }
        let columns = selection.condition == nil ? [] : try await administration.columns(of: selection.view)
        let folder = try ExportFolder(path)
        let interruption = folder.discardWhenInterrupted()
        defer { interruption.forEach { $0.cancel() } }
        do {
            let snapshot = try await administration.snapshot()
            try await selection.checkCondition(snapshot, columns: columns)
            let counts = try await ExportCounts(snapshot, selection)
            let written = try await write(snapshot, selection, counts.results, to: try folder.file(Self.name))
            try await snapshot.end()
            if output.verify { try verify(folder, written.rows) }
            let manifest = manifest(selection, counts, written)
            try manifest.write(to: folder)
            try folder.finish()
            if output.format.json {
                try JSONText.say(manifest)
            } else {
                Console.say(
                    "\(path): \(Formats.count(written.objects)) objects, \(Formats.count(written.rows)) answers"
                        + (output.verify ? ", verified" : ""))
            }
            if written.withoutKey > 0 {
                Console.note("\(Formats.count(written.withoutKey)) objects have no key, and were left out")
            }
        } catch {
            folder.discard()
            throw error
        }
    }

    /// How much was written.
    private struct Written {
        var objects = 0
        var rows = 0
        var withoutKey = 0
    }

    private func write(
        _ snapshot: Snapshot, _ selection: ExportSelection, _ total: Int, to file: OutputFile
    ) async throws -> Written {
        let cursor = try await selection.explained {
            try await snapshot.cursor(
                "object",
                """
                select f.job_id, f.key, x.value ->> 'answer', (x.value ->> 'p')::real
                from \(selection.rows) f
                cross join lateral jsonb_array_elements(\(selection.distribution)) with ordinality x (value, n)
                where x.n <= coalesce($5::bigint, x.n) and \(selection.areTrue("f")) order by f.key collate "C", f.job_id, x.n
                """, selection.parameters + [SQLValue(top)])
        }
        let bar = ProgressBar("export")
        defer { bar.finish() }
        var (written, last) = (Written(), String?.none)
        while case let rows = try await selection.explained({ try await cursor.next(Self.pieceSize) }), !rows.isEmpty {
            for row in rows {
                let isNew = row[0] != last
                last = row[0]
                guard let key = row[1], let answer = row[2], let probability = row[3] else {
                    written.withoutKey += isNew ? 1 : 0
                    continue
                }
                if isNew { written.objects += 1 }
                written.rows += 1
                try file.write("\(Self.field(key));\(Self.field(answer));\(probability)\n")
            }
            bar.show(Double(written.objects) / Double(max(total, written.objects, 1)), count: written.objects)
        }
        try file.close()
        return written
    }

    /// A field in quotes where it needs them, as PostgreSQL's COPY decides.
    private static func field(_ text: String) -> String {
        let needsQuotes = text.isEmpty || text == "\\." || text.utf8.contains { [0x22, 0x3B, 0x0A, 0x0D].contains($0) }
        return needsQuotes ? "\"" + text.replacing("\"", with: "\"\"") + "\"" : text
    }

    private func manifest(_ selection: ExportSelection, _ counts: ExportCounts, _ written: Written) -> Manifest {
        var all = Manifest.Counts()
        all.results = counts.results
        all.dead = counts.dead.reduce(0) { $0 + $1.count }
        all.dead_by_code = Dictionary(uniqueKeysWithValues: counts.dead.map { ($0.what, $0.count) })
        (all.pending, all.truncated, all.repeated) = (counts.pending, counts.truncated, counts.repeated)
        all.format = ["objects": written.objects, "answers": written.rows, "objects_without_key": written.withoutKey]
        return Manifest(
            format: "objaverse",
            selection: Manifest.Selection(
                batch: selection.batch, tasks: selection.tasks.map(\.rawValue), model: selection.model,
                since: selection.since, where: selection.condition, truth: selection.truth.name),
            orientation: ExportOrientation.upright.rawValue, images: ImageFiles.none.rawValue, counts: all,
            categories: [], models: counts.engines, prompts: counts.prompts)
    }

    private func verify(_ folder: ExportFolder, _ expected: Int) throws {
        var file = CSVReader(try ByteReader(path: folder.place(Self.name)), separator: ";")
        var count = 0
        while let row = try file.next()?.fields {
            count += 1
            guard row.count == 3, let probability = Double(row[2]), 0...1.0001 ~= probability else {
                throw CommandError(.failed, "\(Self.name), row \(count): is not an object, an answer and a probability")
            }
        }
        guard count == expected else {
            throw CommandError(.failed, "\(Self.name): has \(count) rows, not \(expected)")
        }
    }
}
