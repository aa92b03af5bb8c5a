import ArgumentParser
import Foundation

/// How a command that deletes or ends something is agreed to; the same for all of them.
struct ConfirmationOptions: ParsableArguments {
    @Flag(name: [.customShort("y"), .long], help: "Do it without asking. Needed where nobody can be asked.")
    var yes = false
    @Flag(help: "Only say what would be done.")
    var dryRun = false

    func validate() throws {
        if yes && dryRun { throw ValidationError("--yes and --dry-run exclude each other.") }
    }

    /// Says what is about to happen, and asks on a terminal.
    /// - Returns: whether to do it.
    /// - Throws: `CommandError` when the answer is no, or when nobody can be asked.
    func agree(to plan: Plan, json: Bool) throws -> Bool {
        if dryRun {
            if json {
                try JSONText.say(["dry_run": plan.counts])
            } else {
                Console.say("\(plan.sentence) Nothing was changed.")
            }
            return false
        }
        if yes || plan.isNothing { return true }
        guard Console.canAsk else {
            throw CommandError(.failed, "\(plan.sentence) Nothing was changed: without a terminal, say --yes.")
        }
        Console.write("\(plan.sentence.harmless) Go on? [y/N] ", to: STDERR_FILENO)
        guard ["y", "yes"].contains(readLine()?.trimmingCharacters(in: .whitespaces).lowercased()) else {
            throw CommandError(.failed, "Nothing was changed.")
        }
        return true
    }
}

/// What a command is about to do.
struct Plan {
    /// For a person, with a full stop.
    let sentence: String
    /// For a program: how many of each thing.
    let counts: [String: Int]

    /// Whether there is nothing to do.
    var isNothing: Bool { counts.values.allSatisfy { $0 == 0 } }
}
