import Foundation
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
        /// Has `gloss_admin`.
        case admin = "test_admin"
    }

    /// The migrations of this source tree.
    public static let migrationsDirectory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("migrations").path

    /// The database's name.
    public let name: String
    let socketDirectory: String

    /// A libpq connection string.
    public func conninfo(as user: User = .superuser) -> String {
        "host=\(socketDirectory) dbname=\(name) user=\(user.rawValue)"
    }

    /// Connection settings with time-outs fit for tests.
    public func settings(as user: User = .superuser) -> ConnectionSettings {
        ConnectionSettings(
            conninfo: conninfo(as: user), applicationName: "gloss-test", connectTimeout: .seconds(10),
            statementTimeout: .seconds(60))
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
