import Annotation
import ArgumentParser
import Decoding
import Dispatch
import Foundation
import Images
import Inference
import Logging
import Queue
import ServiceLifecycle
import Settings
import Storage
import UnixSignals
import Work

/// Composition root: reads the configuration, loads the model, and runs the services until told to stop.
@main
struct Glossd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "glossd",
        abstract: "Annotates images from a queue in PostgreSQL with PaliGemma.",
        discussion: """
            Settings come from a YAML file and, above it, from environment variables: health.port is GLOSS_HEALTH_PORT.

            SIGTERM, SIGINT and SIGHUP stop it: jobs that the model has begun are finished and recorded, within drain_seconds; the
            rest goes back to the queue at once.

            Exit codes: 0 stopped as told, 64 wrong arguments, 69 the database refuses for good (schema, rights),
            70 the model can't be loaded, 75 the health port is taken, 78 wrong configuration.
            """,
        version: glossVersion)

    @Option(help: "The configuration, YAML.")
    var config: String?

    @Flag(help: "Check the configuration and the files that it names, print nothing if all is right, and exit.")
    var checkConfig = false

    static func main() async {
        // On the first thread, before there is a second.
        DecoderMain.runIfAsked(CommandLine.arguments)
        await main(nil)
    }

    func run() async throws {
        let configuration: DaemonConfiguration
        do {
            configuration = try await DaemonConfiguration(file: config)
            try configuration.checkFiles()
        } catch {
            throw Self.stop(error, code: 78)
        }
        if checkConfig {
            for warning in configuration.warnings { Self.say("warning: \(warning)", .warning) }
            do throws(InferenceError) {
                try PaliGemma.check(
                    contentsOf: URL(filePath: configuration.model), precision: configuration.precision,
                    options: configuration.options)
                _ = try ServedModel.maskDecoder(configuration.maskDecoder)
            } catch {
                throw Self.stop(error, code: 70)
            }
            return
        }
        Self.startLogging()
        var logger = Logger(label: "glossd")
        logger.logLevel = Logger.Level(rawValue: configuration.logLevel) ?? .info
        for warning in configuration.warnings { logger.warning("\(warning)") }
        try await Self.runAll(configuration, logger)
    }

    private static func startLogging() {
        guard JournalLogHandler.isStandardError() else {
            return LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        }
        LoggingSystem.bootstrap { _ in JournalLogHandler { FileHandle.standardError.write(Data($0.utf8)) } }
    }

    private static func stop(_ error: any Error, code: Int32) -> ExitCode { stop("\(error)", code: code) }

    private static func stop(_ message: String, code: Int32) -> ExitCode {
        say(message, .critical)
        return ExitCode(code)
    }

    /// A line on standard error, without a logger.
    private static func say(_ text: String, _ level: Logger.Level) {
        let line = JournalLogHandler.isStandardError() ? JournalLogHandler.line(level, text) : "glossd: \(text)\n"
        FileHandle.standardError.write(Data(line.utf8))
    }

    /// Health and metrics from the first moment; beside them the work, at whose end all ends.
    private static func runAll(_ configuration: DaemonConfiguration, _ logger: Logger) async throws {
        let metrics = Metrics()
        let queue = QueueGauge()
        try await withThrowingTaskGroup { group in
            if configuration.healthPort != 0 {
                let server = HealthServer(
                    address: configuration.healthAddress, port: configuration.healthPort, metrics: metrics,
                    queue: queue, logger: logger)
                group.addTask {
                    do { try await server.run() } catch  where !Task.isCancelled { throw stop(error, code: 75) }
                }
            }
            group.addTask {
                let served = try await load(configuration, metrics, logger)
                try Task.checkCancellation()
                do { try await serve(configuration, served, metrics, queue, logger) } catch let error as DatabaseRefusal
                { throw stop(error, code: 69) }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private static func load(
        _ configuration: DaemonConfiguration, _ metrics: Metrics, _ logger: Logger
    ) async throws -> ServedModel {
        Systemd.notify(status: metrics.statusLine)
        let folder = URL(filePath: configuration.model)
        let (precision, options) = (configuration.precision, configuration.options)
        let (cpus, adapters, maskDecoder) = (configuration.cpus, configuration.adapters, configuration.maskDecoder)
        let threads = configuration.threads == 0 ? Processors.threadCount(cpus: cpus) : configuration.threads
        let start = ContinuousClock.now
        let loaded = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    returning: Result { () throws(InferenceError) in
                        try ServedModel(
                            PaliGemma(
                                contentsOf: folder, precision: precision, options: options, threads: threads, cpus: cpus
                            ),
                            adapters: adapters, maskDecoder: maskDecoder)
                    })
            }
        }
        do throws(InferenceError) {
            let served = try loaded.get()
            let model = served.model
            logger.info(
                "model loaded",
                metadata: [
                    "model": "\(configuration.modelName)", "digest": "\(model.digest)", "threads": "\(threads)",
                    "precision": "\(model.precision.rawValue)", "instruction_set": "\(InstructionSet.best)",
                    "seconds": "\((ContinuousClock.now - start) / .seconds(1))",
                ])
            for set in InstructionSet.refused {
                logger.warning(
                    "products by \(set) differ from those of plain C on this processor, so \(InstructionSet.best) computes: please report it"
                )
            }
            if let drawback = model.precision.drawback(on: .best) { logger.warning("\(drawback)") }
            sayExpectation(of: model, logger)
            for warning in model.warnings { logger.warning("\(warning)") }
            for (name, adapter) in served.adapters.sorted(by: { $0.key < $1.key }) {
                logger.info(
                    "adapter loaded",
                    metadata: [
                        "adapter": "\(name)", "digest": "\(adapter.digest)", "trained_on": "\(adapter.base ?? "")",
                    ])
            }
            return served
        } catch {
            throw stop(error, code: 70)
        }
    }

    /// Some tenths of a second, before jobs are claimed.
    private static func sayExpectation(of model: PaliGemma, _ logger: Logger) {
        // Whoever has no memory for it now will say so when there is work.
        guard let expectation = try? model.expectation() else { return }
        var metadata: Logger.Metadata = ["product_gops": "\(Int(expectation.operationsPerSecond / 1e9))"]
        if expectation.isMeaningful {
            let times = expectation.times
            metadata["image_seconds"] = "\(String(format: "%.2f", times.job(responseTokens: 10)))"
            metadata["object_seconds"] = "\(String(format: "%.1f", times.object))"
        }
        logger.info(
            "expects, by the speed of the largest product now; whole runs take longer, see glossctl bench quick",
            metadata: metadata)
    }

    private static func serve(
        _ configuration: DaemonConfiguration, _ served: ServedModel, _ metrics: Metrics, _ queue: QueueGauge,
        _ logger: Logger
    ) async throws {
        let model = served.model
        let identity = EngineIdentity(
            model: configuration.modelName, digest: model.digest, maskDecoderDigest: served.maskDecoder?.digest,
            precision: model.precision.rawValue, resize: model.resize.rawValue, version: glossVersion)
        metrics.knows(identity)
        let store = store(configuration, logger)
        queue.use { try await store.queueMetrics() }
        let fetcher = try ImageFetcher(policy: configuration.fetch)
        let inbox = Inbox()
        let thread = InferenceThread(
            model: model, limits: limits(configuration, logger), metrics: metrics, deliver: { inbox.put($0) })
        let decoders = decoderCount(configuration)
        let size = model.configuration.vision.imageSize
        let images = ImageTable(
            fetcher: fetcher,
            decoders: DecoderPool(
                limits: .init(configuration.images, placeholders: configuration.placeholders), count: decoders),
            size: size,
            resize: model.resize, previews: try previews(configuration, logger), metrics: metrics,
            deliver: { inbox.put($0) })
        let watchdog = Watchdog(threads: [("inference", { thread.turns }), ("fetch", { fetcher.turns })])
        let driver = WorkDriver(
            state: WorkState(
                WorkSettings(configuration, imageSize: size, decoders: decoders),
                engine: EngineDescription(
                    identity: identity, adapters: served.identities(identity), vocabulary: model.vocabulary,
                    maskDecoder: served.maskDecoder),
                originOf: ImageFetcher.origin(of:), seed: .random(in: 0 ... .max), now: .now),
            inbox: inbox, store: store, description: description(configuration, served), images: images,
            engine: thread, adapters: served.adapters,
            fetcher: WorkDriver.Fetching(fetcher),
            metrics: metrics, journal: Journal(metrics: metrics, logger: logger), watchdog: watchdog)
        let ping = WatchdogPing(
            watchdog: watchdog, metrics: metrics, interval: configuration.heartbeatInterval, logger: logger)
        defer { fetcher.shutdown() }
        try await run(driver, ping, logger)
        await close(store)
        logger.info("stopped", metadata: ["status": "\(metrics.statusLine)"])
    }

    /// Until the work ends. Told to stop, services end from the last to the first: systemd is pinged to the end.
    private static func run(_ driver: WorkDriver, _ ping: WatchdogPing, _ logger: Logger) async throws {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: ping), .init(service: driver, successTerminationBehavior: .gracefullyShutdownGroup),
                ], gracefulShutdownSignals: [.sigterm, .sigint, .sighup], logger: quiet))
        try await group.run()
    }

    private static func description(
        _ configuration: DaemonConfiguration, _ served: ServedModel
    ) -> WorkerDescription {
        WorkerDescription(
            host: ProcessInfo.processInfo.hostName, pid: ProcessInfo.processInfo.processIdentifier,
            version: glossVersion,
            models: [configuration.modelName] + configuration.adapters.keys.sorted() + [
                served.model.fileDigest, served.model.digest,
            ],
            adapters: served.adapters.mapValues(\.digest),
            rescueAfter: configuration.rescueAfter)
    }

    private static func previews(_ configuration: DaemonConfiguration, _ logger: Logger) throws -> Previews? {
        guard let folder = configuration.previews else { return nil }
        do {
            let cache = try PictureCache(path: folder, limit: configuration.previewsSize << 20, isForGroup: true)
            return Previews(cache) { logger.warning("no previews can be kept in \(folder): \($0)") }
        } catch {
            throw stop("previews: \(folder): \(error.localizedDescription)", code: 78)
        }
    }

    /// Closes the connections. One that waits for a silent database is left to the end of the process.
    private static func close(_ store: PostgresJobStore) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        Task {
            await store.close()
            end.yield()
        }
        Task {
            try? await Task.sleep(for: .seconds(1))
            end.yield()
        }
        for await _ in ends.prefix(1) {}
    }

    /// A connection that has gone silent is given up while others still believe in this daemon, or soon after.
    private static func store(_ configuration: DaemonConfiguration, _ logger: Logger) -> PostgresJobStore {
        let silence = configuration.rescueAfter
        let settings = ConnectionSettings(
            conninfo: configuration.database, applicationName: "glossd",
            statementTimeout: min(max(silence, .seconds(5)), .seconds(30)))
        return PostgresJobStore(settings, pulseTimeout: min(max(silence / 3, .seconds(1)), .seconds(10))) {
            logger.notice("\($0)")
        }
    }

    private static func decoderCount(_ configuration: DaemonConfiguration) -> Int {
        configuration.threads == 0 ? Processors.threadCount(cpus: configuration.cpus) : configuration.threads
    }

    private static func limits(_ configuration: DaemonConfiguration, _ logger: Logger) -> Scheduler.Limits {
        let automatic = FreeMemory.keyValueBytes()
        let bytes = configuration.kvCacheMB == 0 ? automatic : configuration.kvCacheMB << 20
        logger.info("memory for keys and values", metadata: ["MB": "\(bytes >> 20)"])
        return Scheduler.Limits(keyValueBytes: bytes, imageBytes: configuration.imageCacheMB << 20)
    }
}

extension WorkSettings {
    /// What the configuration and this machine allow.
    fileprivate init(_ configuration: DaemonConfiguration, imageSize: Int, decoders: Int) {
        self.init()
        maxJobs = configuration.maxJobs
        ahead = configuration.claimAhead
        maxFetches = configuration.fetch.maxConcurrent
        fetchesPerOrigin = configuration.fetch.perHostConcurrency
        fetchesFrom = configuration.fetch.concurrency(from:)
        maxFileBytes = configuration.fetch.maxBytes
        // An eighth of what is free; files are seldom as large as they may be.
        fileBytes = min(max(FreeMemory.bytes() / 8, 4 * maxFileBytes), 1 << 30)
        imageBytes = 3 * imageSize * imageSize
        pixelBytes = 64 << 20
        self.decoders = decoders
        leastMemory = FreeMemory.least
        engineRows = Scheduler.Limits().rows
        pollInterval = configuration.pollInterval
        heartbeatInterval = configuration.heartbeatInterval
        rescueAfter = configuration.rescueAfter
        drainTimeout = configuration.drainTimeout
    }
}
