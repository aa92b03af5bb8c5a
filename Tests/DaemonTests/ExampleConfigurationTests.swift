import Foundation
import Images
import Inference
import Testing

@testable import Daemon

/// systemd/glossd.yaml is what an operator reads: it shows every key, and each with its default.
@Suite struct ExampleConfigurationTests {
    private static let path = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../systemd/glossd.yaml").standardizedFileURL.path

    private let text: String

    init() throws { text = try String(contentsOfFile: Self.path, encoding: .utf8) }

    /// The settings alone, with the # taken away: lines such as `#threads: 0` and, under `#fetch:`,
    /// `#  max_bytes: 33554432`. Prose has one space after its #.
    private var settings: [String] {
        text.split(separator: "\n").compactMap { $0.wholeMatch(of: /#?((?:  )?[a-z_]+:.*)/).map { String($0.1) } }
    }

    @Test func showsEveryKeyOnce() {
        var section = ""
        var shown: [String] = []
        for line in settings {
            let key = String(line.prefix { $0 != ":" })
            if line.hasSuffix(":") {
                section = key + "."
            } else if key.hasPrefix("  ") {
                shown.append(section + key.dropFirst(2))
            } else {
                shown.append(key)
            }
        }
        #expect(shown.count == Set(shown).count)
        #expect(Set(shown) == DaemonConfiguration.keys)
    }

    @Test func isAcceptedAsItIs() async throws {
        let configuration = try await DaemonConfiguration(file: Self.path, environment: [:])
        #expect(!configuration.model.isEmpty)
    }

    @Test func showsTheDefaults() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID().uuidString).yaml").path
        try settings.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        let shown = try await DaemonConfiguration(file: file, environment: [:])
        let defaults = try await DaemonConfiguration(file: nil, environment: ["GLOSS_MODEL": shown.model])
        let differences = zip(Mirror(reflecting: shown).children, Mirror(reflecting: defaults).children)
            .filter { $0.value as? AnyHashable != $1.value as? AnyHashable }.map {
                "\($0.label ?? ""): \($0.value), default \($1.value)"
            }
        #expect(differences.isEmpty)
    }

    /// What the daemon accepts, the fetcher accepts too.
    @Test func localRootsMakeAPolicy() async throws {
        let configuration = try await DaemonConfiguration(
            file: nil, environment: ["GLOSS_MODEL": "/m", "GLOSS_FETCH_LOCAL_ROOTS": "/srv/images,/srv/more"])
        #expect(configuration.fetch.localRoots == ["/srv/images", "/srv/more"])
        try configuration.fetch.validate()
    }

    @Test func namesWhatItDoesNotKnow() async throws {
        await #expect(throws: ConfigurationError.self) {
            try await DaemonConfiguration(file: nil, environment: ["GLOSS_MODEL": "/m", "GLOSS_THREAD": "2"])
        }
    }

    @Test func readsProcessors() async throws {
        let cpu = try #require(Processors.allowed().first)
        func read(_ text: String) async throws -> [Int] {
            try await DaemonConfiguration(file: nil, environment: ["GLOSS_MODEL": "/m", "GLOSS_CPUS": text]).cpus
        }
        #expect(try await read("\(cpu)-\(cpu)") == [cpu])
        #expect(try await read("") == [])
        for wrong in ["all", "3-1", "1023", "1024"] {
            await #expect(throws: ConfigurationError.self, "\(wrong)") { try await read(wrong) }
        }
    }

    /// YAML takes a 3 without quotation marks for a number.
    @Test func readsOneProcessorFromAFile() async throws {
        let cpu = try #require(Processors.allowed().first)
        let file = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID().uuidString).yaml").path
        try "model: /m\ncpus: \(cpu)\n".write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        #expect(try await DaemonConfiguration(file: file, environment: [:]).cpus == [cpu])
    }
}
