import ArgumentParser
import Dispatch
import Foundation
import Images
import Inference
import Logging
import Queue
import ServiceLifecycle
import Storage
import UnixSignals

/// Composition root: reads the configuration, loads the model, and runs the services until told to stop.
@main
struct Glossd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "glossd",
        abstract: "Annotates images from a queue in PostgreSQL with PaliGemma.",
        discussion: """
            Settings come from a YAML file and, above it, from environment variables: health.port is GLOSS_HEALTH_PORT.

            SIGTERM and SIGINT stop it: jobs that the model has begun are finished and recorded, within drain_seconds; the
            rest goes back to the queue at once.

            Exit codes: 0 stopped as told, 64 wrong arguments, 69 the database refuses for good (schema, rights),
            70 the model can't be loaded, 78 wrong configuration.
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
            guard FileManager.default.fileExists(atPath: configuration.model) else {
                throw Self.stop(ConfigurationError("model: there is no \(configuration.model)"), code: 70)
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

    private static func stop(_ error: any Error, code: Int32) -> ExitCode {
        say("\(error)", .critical)
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
        try await withThrowingTaskGroup { group in
            if configuration.healthPort != 0 {
                let server = HealthServer(
                    address: configuration.healthAddress, port: configuration.healthPort, metrics: metrics,
                    logger: logger)
                group.addTask {
                    do { try await server.run() } catch  where !Task.isCancelled { throw stop(error, code: 1) }
                }
            }
            group.addTask {
                let model = try await load(configuration, metrics, logger)
                try Task.checkCancellation()
                do { try await serve(configuration, model, metrics, logger) } catch let error as StorageError {
                    throw stop(error, code: 69)
                }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    private static func load(
        _ configuration: DaemonConfiguration, _ metrics: Metrics, _ logger: Logger
    ) async throws -> PaliGemma {
        Systemd.notify(status: metrics.statusLine)
        let folder = URL(filePath: configuration.model)
        let precision = configuration.precision
        let cpus = configuration.cpus
        let threads = configuration.threads == 0 ? Processors.threadCount(cpus: cpus) : configuration.threads
        let start = ContinuousClock.now
        let loaded = await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    returning: Result { () throws(InferenceError) in
                        try PaliGemma(contentsOf: folder, precision: precision, threads: threads, cpus: cpus)
                    })
            }
        }
        do throws(InferenceError) {
            let model = try loaded.get()
            logger.info(
                "model loaded",
                metadata: [
                    "model": "\(configuration.modelName)", "digest": "\(model.digest)", "threads": "\(threads)",
                    "seconds": "\((ContinuousClock.now - start) / .seconds(1))",
                ])
            if model.precision == .bf16 && Processors.hasAMX {
                logger.notice(
                    "this processor has AMX: precision bf16-amx is several times as fast as bf16, with other last bits; int8 uses it by itself"
                )
            }
            return model
        } catch {
            throw stop(error, code: 70)
        }
    }

    private static func serve(
        _ configuration: DaemonConfiguration, _ model: PaliGemma, _ metrics: Metrics, _ logger: Logger
    ) async throws {
        let store = store(configuration)
        let description = WorkerDescription(
            host: ProcessInfo.processInfo.hostName, pid: ProcessInfo.processInfo.processIdentifier,
            version: glossVersion,
            models: [configuration.modelName, model.fileDigest, model.digest])
        let fetcher = try ImageFetcher(policy: configuration.fetch)
        metrics.condition.phase = .registering
        let incarnation = Incarnation(try await register(description, store, metrics, logger))
        let drain = Drain(timeout: configuration.drainTimeout)
        let (events, inbox) = AsyncStream.makeStream(of: JobEvent.self)
        let leases = HeldLeases(onLoss: { inbox.yield(.lost($0)) })
        let thread = InferenceThread(
            model: model, limits: limits(configuration, logger), metrics: metrics, deliver: { inbox.yield($0) })
        let watchdog = Watchdog(threads: [("inference", { thread.turns }), ("fetch", { fetcher.turns })])
        let size = model.configuration.vision.imageSize
        let pipeline = Pipeline(
            store: store,
            images: ImageSource(
                fetcher: fetcher,
                decoders: DecoderPool(
                    limits: DecoderPool.Limits(maxPixels: configuration.maxPixels),
                    count: Processors.threadCount(cpus: configuration.cpus)),
                size: size, metrics: metrics),
            room: ImageRoom(limit: max(1, decodedBytes / (3 * size * size * MemoryLayout<Float>.stride))),
            annotator: Annotator(model: model, modelName: configuration.modelName), thread: thread,
            hosts: HostHealth(), leases: leases, metrics: metrics, watchdog: watchdog, logger: logger)
        // Told to stop, services end from the last to the first: the heart beats until the work is recorded.
        let services: [any Service] = [
            Pulse(
                store: store, incarnation: incarnation, description: description, leases: leases, fetcher: fetcher,
                watchdog: watchdog, metrics: metrics, drain: drain, interval: configuration.heartbeatInterval,
                rescueAfter: configuration.rescueAfter, logger: logger),
            Worker(
                pipeline: pipeline, incarnation: incarnation, events: events, inbox: inbox,
                batchSize: configuration.maxJobs, pollInterval: configuration.pollInterval, drain: drain,
                logger: logger),
        ]
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let group = ServiceGroup(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        metrics.condition.phase = .working
        Systemd.notify("READY=1", status: metrics.statusLine)
        logger.info("ready", metadata: ["worker": "\(incarnation.worker)", "version": "\(glossVersion)"])
        var failure: (any Error)?
        do { try await group.run() } catch { failure = error }
        // Also after a failure: what is held goes back at once, and nobody waits for a rescue.
        fetcher.shutdown()
        try? await store.deregister(incarnation.worker)
        await store.close()
        if let failure { throw failure }
        logger.info("stopped", metadata: ["status": "\(metrics.statusLine)"])
    }

    /// A connection that has gone silent is given up while others still believe in this daemon, or soon after.
    private static func store(_ configuration: DaemonConfiguration) -> PostgresJobStore {
        let silence = configuration.rescueAfter
        let settings = ConnectionSettings(
            conninfo: configuration.database, applicationName: "glossd",
            statementTimeout: min(max(silence, .seconds(5)), .seconds(30)))
        return PostgresJobStore(settings, pulseTimeout: min(max(silence / 3, .seconds(1)), .seconds(10)))
    }

    /// Bytes of decoded images that wait for the model.
    private static let decodedBytes = 256 << 20

    private static func limits(_ configuration: DaemonConfiguration, _ logger: Logger) -> Scheduler.Limits {
        let automatic = FreeMemory.keyValueBytes()
        let bytes = configuration.kvCacheMB == 0 ? automatic : configuration.kvCacheMB << 20
        logger.info("memory for keys and values", metadata: ["MB": "\(bytes >> 20)"])
        return Scheduler.Limits(keyValueBytes: bytes, imageBytes: configuration.imageCacheMB << 20)
    }

    /// Registers, waiting for a database that is away.
    private static func register(
        _ description: WorkerDescription, _ store: PostgresJobStore, _ metrics: Metrics, _ logger: Logger
    ) async throws -> WorkerID {
        var pause = Duration.milliseconds(500)
        while true {
            do {
                let worker = try await store.register(description)
                metrics.condition.succeeded(.register)
                return worker
            } catch let error as StorageError where error.disposition == .retry {
                metrics.databaseFailed(.register, error)
                // systemd may wait as long as we do; two minutes are enough for the next try.
                Systemd.notify("EXTEND_TIMEOUT_USEC=120000000", status: metrics.statusLine)
                logger.warning("waiting for the database", metadata: ["error": "\(error)", "in": "\(pause)"])
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(10))
            }
        }
    }
}
