import ArgumentParser
import Configuration
import FlyingFox
import Logging
import ServiceLifecycle

@main
struct Glossd: AsyncParsableCommand {
    func run() async throws {}
}
