import Glibc
import Queue

/// Looks at everything around the queue that can go wrong without anybody noticing, and says what to do.
///
/// It only reads, and needs no more than the role gloss_admin. What it cannot see with that it says.
public struct Doctor: Sendable {
    /// From where on something is worth a warning or an error.
    public struct Limits: Sendable {
        /// Seconds that a transaction may hold back the clean-up of deleted rows.
        public var transaction = (warning: 600.0, error: 7200.0)
        /// The same in transactions, where its start is hidden.
        public var transactionAge = (warning: 1_000_000, error: 20_000_000)
        /// Deleted rows of a narrow table, if they are also more than the others.
        public var deadRows = 100_000
        /// Bytes of a narrow table with its indexes, if it needed less than a tenth.
        public var tableBytes = 64 << 20
        /// Seconds between the clocks of the database and of this machine.
        public var clock = (warning: 5.0, error: 300.0)
        /// Bytes free on the database's disk.
        public var diskBytes = (warning: 10 << 30, error: 1 << 30)
        /// Connections left.
        public var connections = (warning: 10, error: 3)
        /// The share of dead jobs among those that ended within an hour, if they are at least ten.
        public var deadShare = (warning: 0.1, error: 0.5)

        public init() {}
    }

    let settings: ConnectionSettings
    let session: Session
    let directory: String?
    let limits: Limits
    let now: @Sendable () -> Double

    /// - Parameters:
    ///   - directory: the migrations to compare the database with; nil: there are none here.
    ///   - now: this machine's clock, seconds since 1970.
    public init(
        _ settings: ConnectionSettings, migrations directory: String?, limits: Limits = Limits(),
        now: @escaping @Sendable () -> Double = Doctor.systemClock
    ) {
        self.settings = settings
        session = Session(settings)
        self.directory = directory
        self.limits = limits
        self.now = now
    }

    /// Seconds since 1970.
    public static let systemClock: @Sendable () -> Double = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Looks at everything.
    /// - Returns: one finding or more for each thing; after an error of the connection or a missing schema, no more.
    public func examine() async -> [Diagnosis] {
        var findings = await look("server", server)
        if findings.contains(where: { $0.level == .error }) { return findings }
        findings += await look("migrations", migrations)
        guard (try? await session.query("select to_regclass('gloss.schema_object') is not null"))?.scalar == "t" else {
            guard !findings.contains(where: { $0.level == .error }) else { return findings }
            return findings + [
                Diagnosis("migrations", .error, "the database has no schema gloss", advice: "run: glossctl migrate")
            ]
        }
        let checks: [(String, () async throws -> [Diagnosis])] = [
            ("objects", objects), ("tasks", tasks), ("roles", roles), ("daemons", daemons), ("models", models),
            ("misplaced", misplaced),
            ("dead", dead), ("reproduction", reproduction), ("horizon", horizon), ("bloat", bloat), ("notify", notify),
            ("clock", clock),
            ("connections", connections), ("disk", disk),
        ]
        for (name, check) in checks { findings += await look(name, check) }
        await session.close()
        return findings
    }

    private func look(_ name: String, _ check: () async throws -> [Diagnosis]) async -> [Diagnosis] {
        do { return try await check() } catch let error as StorageError {
            return [Self.finding(name, error)]
        } catch {
            return [Diagnosis(name, .error, "\(error)")]
        }
    }

    /// What it means that a look itself failed.
    private static func finding(_ name: String, _ error: StorageError) -> Diagnosis {
        switch (error.code, error.sqlState) {
        case (_, "42501"):
            Diagnosis(
                name, .unseen, "your role may not look: \(error.message)", advice: "ask as a role with gloss_admin")
        case (_, "57014"), (.timedOut, _):
            Diagnosis(name, .unseen, "looking took too long, and was given up")
        case (.migration, _): Diagnosis(name, .error, error.message, advice: error.hint)
        case (.cannotConnect, _), (.badConnectionString, _), (.connectionLost, _):
            Diagnosis(name, .error, error.message, advice: "is PostgreSQL running, and is the connection string right?")
        case (_, "42P01"), (_, "42883"), (_, "42703"):
            Diagnosis(
                name, .error, error.message, advice: "something of gloss's own is missing: see the other findings")
        default: Diagnosis(name, .error, error.description)
        }
    }
}

/// A time as people say it.
func span(_ seconds: Double) -> String {
    switch seconds {
    case ..<120: "\(Int(seconds.rounded())) s"
    case ..<7200: "\(Int((seconds / 60).rounded())) min"
    case ..<172_800: "\(Int((seconds / 3600).rounded())) h"
    default: "\(Int((seconds / 86_400).rounded())) days"
    }
}

/// Bytes as people say them.
func bytes(_ count: Int) -> String {
    count < 10 << 20 ? "\(count >> 10) KiB" : count < 10 << 30 ? "\(count >> 20) MiB" : "\(count >> 30) GiB"
}
