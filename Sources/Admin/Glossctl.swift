import ArgumentParser
import Decoding
import Foundation
import Queue

/// The root command: it only knows its subcommands and how errors become exit codes.
@main
struct Glossctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "glossctl",
        abstract: "Sees to the queue of gloss: image annotation with PaliGemma.",
        discussion: """
            The database is the one that --database names, else the environment's GLOSS_DATABASE, else that of libpq's \
            own PG* variables. Every command takes --json for programs.

            \(ExitStatus.help)

            EXAMPLES
              glossctl migrate
              glossctl enqueue caption https://example.org/cat.jpg --key row-17
              glossctl status --watch
              glossctl results caption --batch photos > captions.jsonl
            """,
        version: glossVersion,
        subcommands: [
            Migrate.self, Enqueue.self, Status.self, Wait.self, Failures.self, Jobs.self, Job.self, Retry.self,
            Rerun.self, Cancel.self, Pause.self, Resume.self, Results.self, ConsoleCommand.self, Export.self,
            Evaluate.self,
            Reproduce.self, Forget.self, Prune.self,
            DoctorCommand.self, Report.self, Infer.self, Pack.self, Bench.self,
        ])

    @OptionGroup var database: DatabaseOptions

    static func main() async {
        // On the first thread, before there is a second.
        DecoderMain.runIfAsked(CommandLine.arguments)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            end(with: error)
        }
    }

    /// Says what went wrong on standard error and exits; ArgumentParser's own errors keep its form.
    private static func end(with error: any Error) -> Never {
        guard let failure = CommandError(error) else { exit(withError: error) }
        Console.note("glossctl: \(failure.message)")
        Foundation.exit(failure.status.rawValue)
    }
}
