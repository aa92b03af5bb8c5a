import Foundation
import Images
import Inference
import Settings
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
        text.split(separator: "\n").compactMap {
            $0.wholeMatch(of: /#?((?:  ){0,2}[a-z0-9_]+:.*)/).map { String($0.1) }
        }
    }

    @Test func showsEveryKeyOnce() {
        var sections: [String] = []
        var shown: [String] = []
        for line in settings {
            let key = line.drop { $0 == " " }.prefix { $0 != ":" }
            sections.removeLast(max(0, sections.count - line.prefix { $0 == " " }.count / 2))
            if line.hasSuffix(":") {
                sections.append(String(key))
            } else {
                shown.append((sections + [String(key)]).joined(separator: "."))
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

    @Test func readsWhichImagesAreWanted() async throws {
        let sum = String(repeating: "0aBc", count: 16)
        let configuration = try await DaemonConfiguration(
            file: nil,
            environment: [
                "GLOSS_MODEL": "/m", "GLOSS_IMAGES_FORMATS": "jpeg,heic", "GLOSS_IMAGES_MIN_SIDE": "32",
                "GLOSS_IMAGES_MAX_ASPECT_RATIO": "3.5", "GLOSS_IMAGES_PLACEHOLDERS": sum,
            ])
        #expect(configuration.images.formats == [.jpeg, .heic])
        #expect(configuration.images.minSide == 32 && configuration.images.maxAspectRatio == 3.5)
        #expect(configuration.placeholders == [sum.lowercased()])
    }

    /// What the daemon accepts, the fetcher accepts too.
    @Test func localRootsMakeAPolicy() async throws {
        let configuration = try await DaemonConfiguration(
            file: nil, environment: ["GLOSS_MODEL": "/m", "GLOSS_FETCH_LOCAL_ROOTS": "/srv/images,/srv/more"])
        #expect(configuration.fetch.localRoots == ["/srv/images", "/srv/more"])
        try configuration.fetch.validate()
    }

    @Test func readsTheStores() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID().uuidString).yaml").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try """
        model: /m
        fetch:
          s3:
            buckets: [images, more]
            endpoint: http://minio.example:9000
            region: eu-central-1
            path_style: false
            credentials: instance
            profile: reader
          az:
            account: account
        """.write(toFile: file, atomically: true, encoding: .utf8)
        var fetch = try await DaemonConfiguration(file: file, environment: [:]).fetch
        #expect(fetch.s3.buckets == ["images", "more"] && fetch.s3.endpoint == "http://minio.example:9000")
        #expect(fetch.s3.region == "eu-central-1" && fetch.s3.usesPathStyle == false && fetch.s3.profile == "reader")
        #expect(fetch.s3.credentials == .instance && fetch.azureAccount == "account")
        let environment = ["GLOSS_FETCH_S3_PATH_STYLE": "true", "GLOSS_FETCH_S3_BUCKETS": "*"]
        fetch = try await DaemonConfiguration(file: file, environment: environment).fetch
        #expect(fetch.s3.usesPathStyle == true && fetch.s3.buckets == ["*"])
    }

    @Test func namesWhatItDoesNotKnow() async throws {
        await #expect(throws: ConfigurationError.self) {
            try await DaemonConfiguration(file: nil, environment: ["GLOSS_MODEL": "/m", "GLOSS_THREAD": "2"])
        }
    }

    /// What the start refuses, --check-config refuses, with the same sentence and code.
    @Test(arguments: [
        ["GLOSS_FETCH_LOCAL_ROOTS": "images"], ["GLOSS_FETCH_USER_AGENT": "Gloß"], ["GLOSS_FETCH_USER_AGENT": ""],
        ["GLOSS_FETCH_CERTIFICATE_AUTHORITIES": "/nonexistent.pem"],
        ["GLOSS_FETCH_CERTIFICATE_AUTHORITIES": "/etc/hostname"], ["GLOSS_THREAD": "2"], ["GLOSS_HEALTH_PORT": "x"],
        ["GLOSS_IMAGES_FORMATS": "jpeg,psd"], ["GLOSS_IMAGES_MIN_SIDE": "0"], ["GLOSS_IMAGES_MAX_ASPECT_RATIO": "0.5"],
        ["GLOSS_IMAGES_PLACEHOLDERS": "d41d8cd98f00b204"],
        ["GLOSS_WINDOW": "some"], ["GLOSS_MODEL": ""], ["GLOSS_DATABASE": "hst=/tmp"],
        ["GLOSS_DATABASE": "postgresql://[::1"],
        ["GLOSS_FETCH_LOCAL_ROOTS": "/nonexistent"], ["GLOSS_FETCH_S3_BUCKETS": "images"],
        ["GLOSS_FETCH_S3_BUCKETS": "Images", "GLOSS_FETCH_S3_CREDENTIALS": "none"],
        ["GLOSS_FETCH_S3_ENDPOINT": "minio:9000"],
        ["GLOSS_FETCH_S3_CREDENTIALS": "file"], ["GLOSS_FETCH_S3_PATH_STYLE": "maybe"],
        ["GLOSS_FETCH_AZ_ACCOUNT": "a.b"],
    ])
    func theCheckAndTheStartAgree(settings: [String: String]) async throws {
        let settings = ["GLOSS_MODEL": "/m", "GLOSS_DATABASE": "host=/nonexistent"].merging(settings) { $1 }
        let start = try GlossdProcess(settings)
        let check = try GlossdProcess(settings, arguments: ["--check-config"])
        #expect(await start.wait() == 78)
        #expect(await check.wait() == 78)
        #expect(start.output == check.output && start.output.hasPrefix("glossd: "), "\(start.output)\(check.output)")
    }

    /// A file of certificates that holds none, although it looks like one.
    @Test func aBrokenCertificateIsTheSameForBoth() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).pem").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n"
            .write(toFile: file, atomically: true, encoding: .utf8)
        try await theCheckAndTheStartAgree(settings: ["GLOSS_FETCH_CERTIFICATE_AUTHORITIES": file])
    }

    /// A model that is not there, and a folder that holds none.
    @Test(arguments: ["/nonexistent", "/usr"]) func aMissingModelIsTheSameForBoth(model: String) async throws {
        let settings = ["GLOSS_MODEL": model, "GLOSS_DATABASE": "host=/nonexistent", "GLOSS_HEALTH_PORT": "0"]
        let start = try GlossdProcess(settings)
        #expect(await start.wait() == 70)
        let check = try GlossdProcess(settings, arguments: ["--check-config"])
        #expect(await check.wait() == 70)
        let reason = check.output.trimmingPrefix("glossd: ")
        #expect(start.output.contains(reason.trimmingCharacters(in: .newlines)), "\(start.output)\(check.output)")
    }

    @Test func anEmptyListIsAList() async throws {
        let configuration = try await DaemonConfiguration(
            file: nil,
            environment: [
                "GLOSS_MODEL": "/m", "GLOSS_FETCH_PORTS": "", "GLOSS_FETCH_NETWORKS": "", "GLOSS_FETCH_LOCAL_ROOTS": "",
            ])
        #expect(configuration.fetch.allowedPorts == nil, "any")
        #expect(configuration.fetch.allowedNetworks.isEmpty && configuration.fetch.localRoots.isEmpty)
    }

    /// Kubernetes gives every container variables of each service; with one called gloss, or gloss-health, they look like ours.
    @Test func kubernetesServicesAreNoSettings() async throws {
        let service = [
            "GLOSS_SERVICE_HOST": "10.0.0.7", "GLOSS_SERVICE_PORT": "5432", "GLOSS_SERVICE_PORT_PG": "5432",
            "GLOSS_PORT": "tcp://10.0.0.7:5432", "GLOSS_PORT_5432_TCP": "tcp://10.0.0.7:5432",
            "GLOSS_PORT_5432_TCP_PROTO": "tcp", "GLOSS_PORT_5432_TCP_ADDR": "10.0.0.7",
            "GLOSS_HEALTH_PORT": "tcp://10.0.0.8:80", "GLOSS_HEALTH_SERVICE_HOST": "10.0.0.8",
        ]
        let configuration = try await DaemonConfiguration(
            file: nil, environment: service.merging(["GLOSS_MODEL": "/m"]) { $1 })
        #expect(configuration.healthPort == 9471)
        #expect(configuration.warnings.count == 1)
        for name in service.keys { #expect(configuration.warnings[0].contains(name)) }
        await #expect(throws: ConfigurationError.self, "a misspelt setting") {
            try await DaemonConfiguration(file: nil, environment: ["GLOSS_MODEL": "/m", "GLOSS_HEALT_PORT": "80"])
        }
    }

    @Test func readsAdapters() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID().uuidString).yaml").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        func read(_ text: String, _ environment: [String: String] = [:]) async throws -> [String: String] {
            try "model: /m/base\n\(text)\n".write(toFile: file, atomically: true, encoding: .utf8)
            return try await DaemonConfiguration(file: file, environment: environment).adapters
        }
        #expect(try await read("adapters:\n  shelves.v2: /a/b\n  tags: /c") == ["shelves.v2": "/a/b", "tags": "/c"])
        #expect(try await read("adapters: {tags: /c}") == ["tags": "/c"])
        #expect(try await read("adapters: {tags: /c}", ["GLOSS_ADAPTERS": "x=/y, z=/w=1"]) == ["x": "/y", "z": "/w=1"])
        #expect(try await read("adapters: {tags: /c}", ["GLOSS_ADAPTERS": ""]) == [:])
        for wrong in ["adapters: /c", "adapters: {base: /c}", "adapters: {tags: \"\"}", "adapters: {tags: [1]}"] {
            await #expect(throws: ConfigurationError.self, "\(wrong)") { try await read(wrong) }
        }
        await #expect(throws: ConfigurationError.self) { try await read("", ["GLOSS_ADAPTERS": "tags"]) }
    }

    private func read(_ fetch: String, _ environment: [String: String] = [:]) async throws -> FetchPolicy {
        let file = FileManager.default.temporaryDirectory.appending(path: "glossd-\(UUID().uuidString).yaml").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "model: /m\nfetch:\n\(fetch)\n".write(toFile: file, atomically: true, encoding: .utf8)
        do { return try await DaemonConfiguration(file: file, environment: environment).fetch } catch {
            throw ConfigurationError("\(error)".replacing(file, with: "FILE"))
        }
    }

    @Test func readsRulesForHosts() async throws {
        let policy = try await read(
            """
              per_host_concurrency: 2
              opt_outs: strict
              limit_by: domain
              hosts:
                - match: "*.example.org"
                  concurrency: 8
                  delay_seconds: 0.5
                  headers:
                    Authorization: {credential: example-token}
                    X-Key: {file: /etc/gloss/key}
                    Referer: https://example.org/
                  user_agent: Acme/1.0
                  certificates: any
                  opt_outs: off
                - match: "*"
                  certificates: /etc/gloss/ca.pem
              max_bytes: 1000
            """)
        var first = HostRule(match: "*.example.org")
        first.concurrency = 8
        first.delay = .seconds(0.5)
        first.headers = [
            "Authorization": .credential("example-token"), "X-Key": .file("/etc/gloss/key"),
            "Referer": .text("https://example.org/"),
        ]
        first.userAgent = "Acme/1.0"
        first.certificates = .any
        first.optOuts = .off
        var second = HostRule(match: "*")
        second.certificates = .authorities("/etc/gloss/ca.pem")
        #expect(policy.hosts == [first, second])
        #expect(policy.optOuts == .strict && policy.limitBy == .domain)
        #expect(policy.maxBytes == 1000 && policy.perHostConcurrency == 2, "what stands beside it")
        let above = ["GLOSS_FETCH_HOSTS": "[{match: a.example, concurrency: 3}]", "GLOSS_FETCH_OPT_OUTS": "off"]
        let changed = try await read("  hosts: [{match: b.example}]", above)
        #expect(changed.hosts.map(\.match) == ["a.example"] && changed.hosts.first?.concurrency == 3)
        #expect(changed.optOuts == .off)
        #expect(try await read("  hosts: [{match: b.example}]", ["GLOSS_FETCH_HOSTS": ""]).hosts.isEmpty)
    }

    @Test(arguments: [
        ("  hosts: yes", "FILE:3: fetch.hosts: expected a list of rules, each with match"),
        ("  hosts:\n    - a.example", "FILE:4: fetch.hosts: expected a rule: match and what differs"),
        ("  hosts:\n    - concurrency: 1", "FILE:4: fetch.hosts: a rule has no match: the host that it is for"),
        (
            "  hosts:\n    - match: a.example\n      concurency: 1",
            "FILE:5: fetch.hosts: there is no key concurency; known are "
        ),
        (
            "  hosts:\n    - match: a.example\n      concurrency: 0",
            "FILE:5: fetch.hosts: concurrency is 0, expected 1 to 1024"
        ),
        (
            "  hosts:\n    - match: a.example\n      concurrency: x",
            "FILE:5: fetch.hosts: concurrency is not a whole number"
        ),
        ("  hosts:\n    - match: A.example", "FILE:4: fetch.hosts: match is A.example, expected a host such as "),
        (
            "  hosts:\n    - match: a.example\n\n      opt_outs: none",
            "FILE:6: fetch.hosts: opt_outs is none, expected named, strict, off"
        ),
        (
            "  hosts:\n    - match: a.example\n      headers:\n        Host: b",
            "FILE:6: fetch.hosts: headers has Host, which Gloss sets itself"
        ),
        (
            "  hosts:\n    - match: a.example\n      headers:\n        A: {env: B}",
            "FILE:6: fetch.hosts: the header A is a text, {file: PATH} or {credential: NAME}"
        ),
        (
            "  hosts:\n    - match: a.example\n      certificates: none",
            "FILE:5: fetch.hosts: certificates is none, expected any, or the absolute path of a file of authorities"
        ),
        (
            "  opt_outs: none",
            "configuration (FILE, or GLOSS_FETCH_OPT_OUTS): fetch.opt_outs is none, expected one of named, strict, off"
        ),
        (
            "  limit_by: host",
            "configuration (FILE, or GLOSS_FETCH_LIMIT_BY): fetch.limit_by is host, expected one of origin, domain, address"
        ),
    ])
    func saysWhatIsWrongWithARuleAndWhere(text: String, message: String) async throws {
        let error = await #expect(throws: ConfigurationError.self) { try await read(text) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "")")
    }

    /// The check and the start read headers from their files, and neither shows one.
    @Test func aHeaderThatCannotBeReadIsTheSameForBoth() async throws {
        try await theCheckAndTheStartAgree(
            settings: ["GLOSS_FETCH_HOSTS": "[{match: a.example, headers: {X-Key: {file: /nonexistent}}}]"])
        try await theCheckAndTheStartAgree(
            settings: ["GLOSS_FETCH_HOSTS": "[{match: a.example, headers: {X-Key: {credential: key}}}]"])
        try await theCheckAndTheStartAgree(settings: [
            "GLOSS_FETCH_HOSTS": "[{match: a.example, certificates: /nonexistent}]"
        ])
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
