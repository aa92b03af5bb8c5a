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

    @Flag(help: "Check the configuration, print nothing if it is right, and exit.")
    var checkConfig = false

    func run() async throws {
        let configuration: DaemonConfiguration
        do { configuration = try await DaemonConfiguration(file: config) } catch {
            throw Self.stop(error, code: 78)
        }
        if checkConfig { return }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "glossd")
        logger.logLevel = Logger.Level(rawValue: configuration.logLevel) ?? .info
        let model = try await Self.load(configuration, logger)
        do { try await Self.serve(configuration, model, logger) } catch let error as StorageError {
            throw Self.stop(error, code: 69)
        }
    }

    private static func stop(_ error: any Error, code: Int32) -> ExitCode {
        FileHandle.standardError.write(Data("glossd: \(error)\n".utf8))
        return ExitCode(code)
    }

    private static func load(_ configuration: DaemonConfiguration, _ logger: Logger) async throws -> PaliGemma {
        Systemd.notify("STATUS=loading the model")
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
            return model
        } catch {
            throw stop(error, code: 70)
        }
    }

    private static func serve(_ configuration: DaemonConfiguration, _ model: PaliGemma, _ logger: Logger) async throws {
        let metrics = Metrics()
        let store = store(configuration)
        let description = WorkerDescription(
            host: ProcessInfo.processInfo.hostName, pid: ProcessInfo.processInfo.processIdentifier,
            version: glossVersion,
            models: [configuration.modelName, model.fileDigest, model.digest])
        let fetcher = try ImageFetcher(policy: configuration.fetch)
        let incarnation = Incarnation(try await register(description, store, logger))
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
                fetcher: fetcher, maxPixels: configuration.maxPixels, size: size, metrics: metrics,
                watchdog: watchdog),
            room: ImageRoom(limit: max(1, decodedBytes / (3 * size * size * MemoryLayout<Float>.stride))),
            annotator: Annotator(model: model, modelName: configuration.modelName), thread: thread,
            hosts: HostHealth(), leases: leases, metrics: metrics, watchdog: watchdog, logger: logger)
        // Told to stop, services end from the last to the first: the heart beats until the work is recorded.
        var services: [any Service] = [
            Pulse(
                store: store, incarnation: incarnation, description: description, leases: leases, fetcher: fetcher,
                watchdog: watchdog, metrics: metrics, drain: drain, interval: configuration.heartbeatInterval,
                rescueAfter: configuration.rescueAfter, logger: logger)
        ]
        if configuration.healthPort != 0 {
            services.append(
                HealthServer(
                    address: configuration.healthAddress, port: configuration.healthPort, metrics: metrics,
                    thread: thread,
                    logger: logger))
        }
        services.append(
            Worker(
                pipeline: pipeline, incarnation: incarnation, events: events, inbox: inbox,
                batchSize: configuration.batchSize, pollInterval: configuration.pollInterval, drain: drain,
                logger: logger))
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let group = ServiceGroup(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        Systemd.notify("READY=1\nSTATUS=ready")
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
        _ description: WorkerDescription, _ store: PostgresJobStore, _ logger: Logger
    ) async throws -> WorkerID {
        var pause = Duration.milliseconds(500)
        while true {
            do { return try await store.register(description) } catch let error as StorageError
                where error.disposition == .retry
            {
                // systemd may wait as long as we do; two minutes are enough for the next try.
                Systemd.notify("EXTEND_TIMEOUT_USEC=120000000\nSTATUS=waiting for the database: \(error)")
                logger.warning("waiting for the database", metadata: ["error": "\(error)", "in": "\(pause)"])
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(10))
            }
        }
    }
}
