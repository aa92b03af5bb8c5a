import Foundation
import Queue
import Storage

/// A database of one test in a `PrivatePostgres`.
public struct TestDatabase: Sendable {
    /// Who connects. Apart from the superuser, each is a login role with one of gloss's roles.
    public enum User: String, Sendable, CaseIterable {
        /// The server's superuser.
        case superuser = "postgres"
        /// Has `gloss_producer`.
        case producer = "test_producer"
        /// Has `gloss_worker`.
        case worker = "test_worker"
        /// Has `gloss_reader`.
        case reader = "test_reader"
        /// Has `gloss_reviewer`.
        case reviewer = "test_reviewer"
        /// Has `gloss_admin`.
        case admin = "test_admin"
        /// Has `gloss_console`, and inherits nothing.
        case console = "test_console"
        /// May log in, and has none of gloss's roles.
        case stranger = "test_stranger"

        /// The role of gloss that it has.
        var role: String? {
            switch self {
            case .superuser, .stranger: nil
            default: rawValue.replacing("test", with: "gloss")
            }
        }
    }

    /// The migrations of this source tree.
    public static let migrationsDirectory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("migrations").path

    /// The database's name.
    public let name: String
    let socketDirectory: String
    /// Where the server also listens on 127.0.0.1.
    let port: Int?

    /// A libpq connection string.
    public func conninfo(as user: User = .superuser) -> String {
        "host=\(socketDirectory)\(port.map { " port=\($0)" } ?? "") dbname=\(name) user=\(user.rawValue)"
    }

    /// Connection settings with time-outs fit for tests.
    public func settings(as user: User = .superuser) -> ConnectionSettings {
        ConnectionSettings(
            conninfo: conninfo(as: user), applicationName: "gloss-test", connectTimeout: .seconds(10),
            statementTimeout: .seconds(60))
    }

    /// The store, as a daemon has it.
    public func store(retryPolicy: RetryPolicy = RetryPolicy()) -> PostgresJobStore {
        PostgresJobStore(settings(as: .worker), retryPolicy: retryPolicy)
    }

    /// Administration, as glossctl has it.
    public func administration(as user: User = .admin) -> Administration { Administration(settings(as: user)) }

    /// Lets time pass: workers have been silent, and delayed jobs have waited, for longer. A worker that is silent now was
    /// seen to be so before.
    public func advance(by duration: Duration) async throws {
        let seconds = SQLValue(Double(duration.components.seconds))
        // A statement of its own: claims lock rows of gloss.scheduled first, and then those of gloss.lane.
        try await query("update gloss.lane set moved_at = moved_at - make_interval(secs => $1)", [seconds])
        try await query("update gloss.chore set done_at = done_at - make_interval(secs => $1)", [seconds])
        // It locks in an order of its own, and may lose to those who work meanwhile.
        let session = session()
        _ = try await session.transact(
            """
            with a as (
                update gloss.registered_worker
                set heartbeat_at = heartbeat_at - make_interval(secs => $1),
                    previous_at = previous_at - make_interval(secs => $1),
                    stopped_at = stopped_at - make_interval(secs => $1),
                    suspected_at = heartbeat_at - make_interval(secs => $1), suspected_beats = beats
            ), b as (update gloss.parked_origin set until = until - make_interval(secs => $1))
            update gloss.scheduled set run_at = run_at - make_interval(secs => $1)
            """, [seconds])
        await session.close()
    }

    /// Jobs that are not in exactly one state or where nobody looks for them, and counts that are not those of the tables:
    /// none, always.
    public func misplacedJobs() async throws -> [[String?]] {
        try await query(
            """
            select job_id::text, reason from gloss.misplaced_job
            union all select concat_ws(' ', batch, task, model), format('%s: counted %s, found %s', what, counted, found)
            from gloss.miscount
            """
        ).rows
    }

    /// Does all small chores until nothing is left of what nobody uses. Rows go only when all transactions of the server have
    /// ended that began before they were marked, those of other tests too.
    public func tidy() async throws {
        // A batch goes first, then its lane, then its model.
        for _ in 1...3 {
            // Marked, and then numbered.
            for _ in 1...2 { try await maintain() }
            let last = try await query("select pg_current_xact_id()").scalar
            let sql = "select pg_snapshot_xmin(pg_current_snapshot()) > $1::xid8"
            while try await query(sql, [SQLValue(last)]).scalar != "t" { try await Task.sleep(for: .milliseconds(20)) }
            try await maintain()
        }
    }

    /// One call after the other, until none does anything.
    public func maintain() async throws {
        while try await query("select folded + requeued + removed > 0 from gloss.maintain(true)").scalar == "t" {}
    }

    /// A session.
    public func session(as user: User = .superuser) -> Session { Session(settings(as: user)) }

    /// Runs one statement on a connection of its own.
    @discardableResult
    public func query(
        _ sql: String, _ parameters: [SQLValue] = [], as user: User = .superuser
    ) async throws -> ResultSet {
        let session = session(as: user)
        do {
            let answer = try await session.query(sql, parameters, context: "test")
            await session.close()
            return answer
        } catch {
            await session.close()
            throw error
        }
    }
}
