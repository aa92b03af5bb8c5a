import ArgumentParser
import Foundation
import Storage

/// `glossctl doctor`
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Looks for what is wrong around the queue, and says what to do.",
        discussion: """
            It only reads. The role gloss_admin is enough; what it cannot see with your role it says.

            EXAMPLES
              glossctl doctor
              glossctl doctor --json | jq 'select(.level == "error")'

            EXIT CODES
              0   all is well, or could not be seen
              1   warnings
              2   errors, or the database cannot be reached
              64  the command line is wrong
            """)

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var migrations: MigrationsOptions

    func run() async throws {
        let diagnoses = await Doctor(database.settings(), migrations: migrations.found).examine()
        if format.json {
            for diagnosis in diagnoses { try JSONText.say(diagnosis) }
        } else {
            Self.lines(diagnoses, .output).forEach(Console.say)
        }
        let worst = diagnoses.map(\.level).max() ?? .ok
        if worst >= .warning { throw ExitCode(worst == .error ? 2 : 1) }
    }

    private static func lines(_ diagnoses: [Diagnosis], _ palette: Palette) -> [String] {
        let width = diagnoses.map(\.check.count).max() ?? 0
        let gap = String(repeating: " ", count: 9 + width + 2)
        func padded(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        var lines = diagnoses.flatMap { diagnosis in
            let level = palette.paint(padded(diagnosis.level.rawValue, 7), style(diagnosis.level))
            let line = "\(level)  \(padded(diagnosis.check, width))  \(diagnosis.message.singleLine)"
            return [line] + (diagnosis.advice.map { [gap + palette.paint("→ " + $0.singleLine, .dim)] } ?? [])
        }
        let counts = [
            (Diagnosis.Level.error, "errors"), (.warning, "warnings"), (.unseen, "things that could not be seen"),
        ]
        .map { level, word in "\(diagnoses.count { $0.level == level }) \(word)" }
        lines += ["", counts.joined(separator: ", ")]
        return lines
    }

    private static func style(_ level: Diagnosis.Level) -> Palette.Style {
        switch level {
        case .ok: .green
        case .unseen: .dim
        case .warning: .yellow
        case .error: .red
        }
    }
}
