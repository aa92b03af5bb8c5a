import Configuration
import Foundation
import Images
import Inference
import Storage
import SystemPackage
import Yams

/// Everything that an operator sets: from a YAML file, with GLOSS_… environment variables above it.
///
/// systemd/glossd.yaml documents each key. A key that does not exist or a value that can't be is an error at start.
package struct DaemonConfiguration: Sendable {
    package var database = ""
    package var model = ""
    package var modelName = ""
    /// The file of the mask decoder; empty: none.
    package var maskDecoder = ""
    /// Folders of adapters, by the name that jobs ask for.
    package var adapters: [String: String] = [:]
    /// nil: as the model is stored.
    package var precision: Precision?
    /// What the model's files leave open.
    package var options = LoadOptions()
    package var threads = 0
    /// Where to compute; empty: wherever the process may run.
    package var cpus: [Int] = []
    /// The most jobs held at a time.
    package var maxJobs = 64
    /// How much work is held beyond what runs, by what jobs of its kind have taken.
    package var claimAhead = Duration.seconds(30)
    package var kvCacheMB = 0
    package var imageCacheMB = 64
    package var pollInterval = Duration.seconds(5)
    package var heartbeatInterval = Duration.seconds(3)
    package var rescueAfter = Duration.seconds(15)
    package var drainTimeout = Duration.seconds(120)
    package var logLevel = "info"
    package var healthAddress = "127.0.0.1"
    package var healthPort = 9471
    /// What is decoded, and which images are wanted.
    package var images = DecodeLimits()
    /// Files that stand for images that are gone, by SHA-256, 64 hexadecimal digits in lower case.
    package var placeholders: Set<String> = []
    /// The folder of previews; nil: none are kept.
    package var previews: String?
    /// The most that all previews take, MiB.
    package var previewsSize = 1024
    package var fetch = FetchPolicy()
    /// What an operator should know, though nothing is wrong.
    package private(set) var warnings: [String] = []

    /// The keys of the file, dotted.
    package static let keys: Set<String> = [
        "database", "model", "model_name", "adapters", "mask_decoder", "precision", "window", "resize", "threads",
        "cpus",
        "max_jobs", "claim_ahead_seconds", "kv_cache_mb",
        "image_cache_mb",
        "poll_seconds", "heartbeat_seconds", "rescue_seconds", "drain_seconds", "log_level", "health.address",
        "health.port", "images.max_pixels", "images.formats", "images.min_side", "images.max_aspect_ratio",
        "images.placeholders", "previews", "previews_size",
        "fetch.ports",
        "fetch.networks", "fetch.max_bytes", "fetch.timeout_seconds", "fetch.connect_timeout_seconds",
        "fetch.min_bytes_per_second", "fetch.max_redirects", "fetch.concurrency", "fetch.per_host_concurrency",
        "fetch.per_host_delay_seconds", "fetch.user_agent", "fetch.certificate_authorities", "fetch.local_roots",
        "fetch.data_urls", "fetch.s3.buckets", "fetch.s3.endpoint", "fetch.s3.region", "fetch.s3.path_style",
        "fetch.s3.credentials", "fetch.s3.profile", "fetch.az.account",
        "fetch.data_urls", "fetch.opt_outs", "fetch.limit_by", "fetch.hosts",
    ]

    /// Reads `file` (nil: none) and `environment`.
    package init(file: String?, environment: [String: String] = ProcessInfo.processInfo.environment) async throws {
        var environment = environment
        warnings = try Self.check(&environment)
        let variables = EnvironmentVariablesProvider(
            environmentVariables: environment, secretsSpecifier: .specific(["GLOSS_DATABASE"]))
        var providers: [any ConfigProvider] = [variables.prefixKeys(with: "gloss")]
        if let file {
            try Self.refuseUnknownKeys(file)
            providers.append(try await FileProvider<ScalarSettings>(filePath: FilePath(file)))
        }
        let reader = SettingsReader(reader: ConfigReader(providers: providers), file: file)
        try await readDaemon(reader)
        try await readImages(reader)
        try await readFetch(reader)
        fetch.hosts = try Self.hostRules(file, environment["GLOSS_FETCH_HOSTS"])
        try await readStores(reader)
        if modelName.isEmpty { modelName = URL(filePath: model).lastPathComponent }
        adapters = try Self.adapters(file, environment["GLOSS_ADAPTERS"])
        if adapters[modelName] != nil {
            throw reader.error("adapters", "has \(modelName), which is the model's own name")
        }
    }

    private mutating func readDaemon(_ reader: SettingsReader) async throws {
        database = try await reader.string("database", database)
        model = try await reader.string("model", model)
        guard !model.isEmpty else { throw reader.error("model", "is missing: the folder of the model to serve") }
        modelName = try await reader.string("model_name", modelName)
        maskDecoder = try await reader.string("mask_decoder", maskDecoder)
        let arithmetic = try await reader.string("precision", "auto")
        precision = Precision(rawValue: arithmetic)
        guard precision != nil || arithmetic == "auto" else {
            let known = Precision.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.error("precision", "is \(arithmetic), expected auto, \(known)")
        }
        let window = try await reader.string("window", options.window.rawValue)
        guard let known = LoadOptions.Window(rawValue: window) else {
            throw reader.error("window", "is \(window), expected model or none")
        }
        options.window = known
        let resize = try await reader.string("resize", "model")
        options.resize = Resize(rawValue: resize)
        guard options.resize != nil || resize == "model" else {
            let known = Resize.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.error("resize", "is \(resize), expected model, \(known)")
        }
        threads = try await reader.integer("threads", threads, 0...1024)
        cpus = try await reader.cpus("cpus")
        maxJobs = try await reader.integer("max_jobs", maxJobs, 1...1024)
        claimAhead = try await reader.seconds("claim_ahead_seconds", claimAhead, 0...3600)
        kvCacheMB = try await reader.integer("kv_cache_mb", kvCacheMB, 0...1 << 20)
        imageCacheMB = try await reader.integer("image_cache_mb", imageCacheMB, 0...1 << 20)
        pollInterval = try await reader.seconds("poll_seconds", pollInterval, 0.05...3600)
        heartbeatInterval = try await reader.seconds("heartbeat_seconds", heartbeatInterval, 0.05...60)
        rescueAfter = try await reader.seconds("rescue_seconds", rescueAfter, 1...3600)
        guard rescueAfter >= heartbeatInterval * 3 else {
            throw reader.error("rescue_seconds", "must be at least three times heartbeat_seconds")
        }
        drainTimeout = try await reader.seconds("drain_seconds", drainTimeout, 0...86400)
        logLevel = try await reader.string("log_level", logLevel)
        guard ["trace", "debug", "info", "notice", "warning", "error", "critical"].contains(logLevel) else {
            throw reader.error(
                "log_level", "is \(logLevel), expected trace, debug, info, notice, warning, error or critical")
        }
        healthAddress = try await reader.string("health.address", healthAddress)
        guard IPAddress(healthAddress)?.family == .v4 else {
            throw reader.error("health.address", "is \(healthAddress), expected an IPv4 address such as 127.0.0.1")
        }
        healthPort = try await reader.integer("health.port", healthPort, 0...65535)
    }

    private mutating func readImages(_ reader: SettingsReader) async throws {
        images.maxPixels = try await reader.integer("images.max_pixels", images.maxPixels, 1...1_000_000_000)
        let formats = try await reader.strings("images.formats")
        for name in formats where ImageFormat(rawValue: name) == nil {
            let known = ImageFormat.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.error("images.formats", "has \(name), expected some of \(known)")
        }
        if !formats.isEmpty { images.formats = Set(formats.compactMap(ImageFormat.init(rawValue:))) }
        images.minSide = try await reader.integer("images.min_side", images.minSide, 1...65_535)
        let ratio = try await reader.number("images.max_aspect_ratio", 0, 0...65_535)
        guard ratio == 0 || ratio >= 1 else {
            throw reader.error("images.max_aspect_ratio", "is \(ratio), expected 1 to 65535, or 0 for any")
        }
        if ratio > 0 { images.maxAspectRatio = ratio }
        let files = try await reader.strings("images.placeholders").map { $0.lowercased() }
        for file in files where file.utf8.count != 64 || !file.allSatisfy({ $0.isHexDigit && $0.isASCII }) {
            throw reader.error("images.placeholders", "has \(file), expected SHA-256s of 64 hexadecimal digits")
        }
        placeholders = Set(files)
        previews = try await reader.text("previews")
        if let previews, !previews.hasPrefix("/") {
            throw reader.error("previews", "is \(previews), expected an absolute path")
        }
        previewsSize = try await reader.integer("previews_size", previewsSize, 1...1 << 20)
    }

    private mutating func readFetch(_ reader: SettingsReader) async throws {
        let ports = try await reader.integers("fetch.ports")
        if let ports { fetch.allowedPorts = ports.isEmpty ? nil : Set(ports) }
        fetch.allowedNetworks = try await reader.strings("fetch.networks").map { text in
            guard let network = CIDR(text) else {
                throw reader.error("fetch.networks", "has \(text), expected a network such as 10.1.0.0/16")
            }
            return network
        }
        fetch.maxBytes = try await reader.integer("fetch.max_bytes", fetch.maxBytes, 1...1 << 31)
        fetch.totalTimeout = try await reader.seconds("fetch.timeout_seconds", fetch.totalTimeout, 0.1...3600)
        fetch.connectTimeout = try await reader.seconds(
            "fetch.connect_timeout_seconds", fetch.connectTimeout, 0.1...600)
        fetch.minimumThroughput = try await reader.integer(
            "fetch.min_bytes_per_second", fetch.minimumThroughput, 0...1 << 30)
        fetch.maxRedirects = try await reader.integer("fetch.max_redirects", fetch.maxRedirects, 0...20)
        fetch.maxConcurrent = try await reader.integer("fetch.concurrency", fetch.maxConcurrent, 1...1024)
        fetch.perHostConcurrency = try await reader.integer(
            "fetch.per_host_concurrency", fetch.perHostConcurrency, 1...1024)
        fetch.perHostDelay = try await reader.seconds("fetch.per_host_delay_seconds", fetch.perHostDelay, 0...3600)
        fetch.limitBy = try await reader.word("fetch.limit_by", fetch.limitBy)
        fetch.optOuts = try await reader.word("fetch.opt_outs", fetch.optOuts)
        fetch.userAgent = try await reader.string("fetch.user_agent", fetch.userAgent)
        guard !fetch.userAgent.isEmpty, fetch.userAgent.utf8.allSatisfy({ 0x20..<0x7F ~= $0 }) else {
            throw reader.error("fetch.user_agent", "must be plain ASCII: it is sent as a header")
        }
        let authorities = try await reader.string("fetch.certificate_authorities", "")
        fetch.certificateAuthorities = authorities.isEmpty ? nil : authorities
        fetch.localRoots = try await reader.strings("fetch.local_roots")
        if let root = fetch.localRoots.first(where: { !$0.hasPrefix("/") }) {
            throw reader.error("fetch.local_roots", "has \(root), expected absolute paths")
        }
        fetch.allowDataURLs = try await reader.boolean("fetch.data_urls", fetch.allowDataURLs)
    }

    private mutating func readStores(_ reader: SettingsReader) async throws {
        fetch.s3.buckets = Set(try await reader.strings("fetch.s3.buckets"))
        fetch.s3.endpoint = try await reader.text("fetch.s3.endpoint")
        fetch.s3.region = try await reader.text("fetch.s3.region")
        fetch.s3.profile = try await reader.text("fetch.s3.profile")
        fetch.s3.usesPathStyle = try await reader.booleanOrAuto("fetch.s3.path_style")
        let source = try await reader.string("fetch.s3.credentials", fetch.s3.credentials.rawValue)
        guard let credentials = S3Policy.Credentials(rawValue: source) else {
            let known = S3Policy.Credentials.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.error("fetch.s3.credentials", "is \(source), expected one of \(known)")
        }
        fetch.s3.credentials = credentials
        fetch.azureAccount = try await reader.text("fetch.az.account")
    }

    /// Looks at what the configuration names outside of itself, but not at the database nor into the model. `--check-config`
    /// and the start call this, so they agree.
    /// - Throws: `ConfigurationError`.
    package func checkFiles() throws {
        if let file = fetch.certificateAuthorities { try Self.checkCertificates(file, "fetch.certificate_authorities") }
        for case (let match, .authorities(let file)) in fetch.hosts.map({ ($0.match, $0.certificates) }) {
            try Self.checkCertificates(file, "fetch.hosts: the rule for \(match)")
        }
        if !maskDecoder.isEmpty, !FileManager.default.isReadableFile(atPath: maskDecoder) {
            throw ConfigurationError("mask_decoder: \(maskDecoder) is no file, or cannot be read")
        }
        for folder in fetch.localRoots {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
                throw ConfigurationError("fetch.local_roots: there is no folder \(folder)")
            }
        }
        if let previews, !FileManager.default.isWritableFile(atPath: previews) {
            throw ConfigurationError("previews: \(previews) is no folder that this user may write to")
        }
        do { try ConnectionSettings(conninfo: database).check() } catch {
            throw ConfigurationError("database: \(error.message)")
        }
        do {
            try fetch.validate()
            try fetch.checkHeaders()
            try fetch.checkCredentials()
        } catch { throw ConfigurationError("fetch: \(error.message)") }
    }

    private static func checkCertificates(_ file: String, _ what: String) throws {
        guard let text = FileManager.default.contents(atPath: file) else {
            throw ConfigurationError("\(what): \(file) cannot be read")
        }
        guard FetchPolicy.hasCertificate(text) else {
            throw ConfigurationError("\(what): \(file) has no certificate in PEM form")
        }
    }

    /// Refuses variables that begin with GLOSS_ and are no settings, and takes away those that Kubernetes makes for a
    /// service called gloss.
    /// - Returns: what is to be said of these.
    private static func check(_ environment: inout [String: String]) throws -> [String] {
        let known = Set(keys.map { "GLOSS_" + $0.uppercased().replacing(".", with: "_") })
        var ignored: [String] = []
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix("GLOSS_") {
            if isOfKubernetes(name, value, isKnown: known.contains(name)) {
                environment[name] = nil
                ignored.append(name)
            } else if !known.contains(name) {
                throw ConfigurationError(
                    "the environment variable \(name) is not known; known are \(known.sorted().joined(separator: ", "))"
                )
            }
        }
        guard !ignored.isEmpty else { return [] }
        return ["ignored, since Kubernetes sets them for its services: \(ignored.joined(separator: ", "))"]
    }

    /// Whether a variable is one that Kubernetes gives to every container for a service whose name begins with gloss:
    /// `GLOSS_SERVICE_HOST=10.0.0.7`, `GLOSS_PORT=tcp://10.0.0.7:5432`, `GLOSS_PORT_5432_TCP_ADDR=10.0.0.7`.
    private static func isOfKubernetes(_ name: String, _ value: String, isKnown: Bool) -> Bool {
        if ["tcp://", "udp://", "sctp://"].contains(where: value.hasPrefix) {
            return name.hasSuffix("_PORT") || name.wholeMatch(of: #/.*_PORT_[0-9]+_(TCP|UDP|SCTP)/#) != nil
        }
        let pattern = #/GLOSS_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))/#
        return !isKnown && name.wholeMatch(of: pattern) != nil
    }

    private static func refuseUnknownKeys(_ file: String) throws {
        let text: String
        do { text = try String(contentsOfFile: file, encoding: .utf8) } catch {
            throw ConfigurationError("\(file): can't be read: \((error as NSError).localizedDescription)")
        }
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            throw ConfigurationError("\(file): not valid YAML: \(error)")
        }
        guard let root else { return }
        guard let mapping = root.mapping else {
            throw ConfigurationError("\(file): expected keys and values at the top")
        }
        for (line, key) in flatKeys(mapping, "") where !keys.contains(key) {
            throw ConfigurationError("\(file):\(line): there is no key \(key)")
        }
    }

    private static func flatKeys(_ mapping: Node.Mapping, _ prefix: String) -> [(line: Int, key: String)] {
        mapping.flatMap { key, value in
            let name = prefix + (key.string ?? "?")
            // Its keys are names that the operator gives.
            if name == "adapters" { return [(key.mark?.line ?? 0, name)] }
            if let inner = value.mapping { return flatKeys(inner, name + ".") }
            return [(key.mark?.line ?? 0, name)]
        }
    }
}
