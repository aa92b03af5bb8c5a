import ArgumentParser

@main
struct Glossctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "glossctl", subcommands: [])
}
