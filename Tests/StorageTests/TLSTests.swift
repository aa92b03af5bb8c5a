import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// A real server with a certificate of a private authority, over TCP.
@Suite(.enabled(if: PrivatePostgres.hasTLS, "the server has no TLS"), .timeLimit(.minutes(5))) struct TLSTests {
    private static let name = "db.gloss.test"

    /// A server with TLS, or one without.
    private func server(_ authority: PrivateCA?) async throws -> (PrivatePostgres, TestDatabase, port: Int) {
        // The port is free: it was just given up.
        let port = try LoopbackServer([:]).port
        let options = try await authority?.serverOptions(for: Self.name) ?? []
        let postgres = PrivatePostgres(port: port, options: options)
        return (postgres, try await postgres.makeDatabase(), port)
    }

    private func settings(
        _ database: TestDatabase, _ port: Int, host: String = name, root: String, as user: TestDatabase.User = .worker
    ) -> ConnectionSettings {
        ConnectionSettings(
            conninfo: "host=\(host) hostaddr=127.0.0.1 port=\(port) dbname=\(database.name) user=\(user.rawValue) "
                + "sslmode=verify-full sslrootcert=\(root)")
    }

    private func refusal(_ settings: ConnectionSettings) async -> StorageError? {
        await #expect(throws: StorageError.self) { try await Session(settings).query("select 1") }
    }

    @Test func theRightServerIsTrusted() async throws {
        let authority = try await PrivateCA()
        let (postgres, database, port) = try await server(authority)
        let store = PostgresJobStore(settings(database, port, root: authority.certificate))
        _ = try await store.register(Samples.worker())
        let listener = Listener(settings(database, port, root: authority.certificate), channel: "gloss_ready")
        #expect(await listener.wait(timeout: .seconds(60)), "it is connected")
        let connections = try await database.query(
            "select count(*), bool_and(s.ssl) from pg_stat_ssl s join pg_stat_activity a using (pid) where usename = 'test_worker'"
        )
        #expect(connections.rows == [["2", "t"]])
        async let woken = listener.wait(timeout: .seconds(60))
        _ = try await database.administration(as: .producer).enqueue(Samples.caption())
        #expect(await woken, "notifications come through TLS")
        await listener.close()
        await store.close()
        try await postgres.stop()
    }

    @Test func everyOtherServerIsRefused() async throws {
        let (authority, other) = (try await PrivateCA(), try await PrivateCA())
        let (postgres, database, port) = try await server(authority)
        let cases: [(settings: ConnectionSettings, words: String)] = [
            (settings(database, port, root: other.certificate), "certificate verify failed"),
            (
                settings(database, port, host: "other.gloss.test", root: authority.certificate),
                "server certificate for \"db.gloss.test\" does not match host name \"other.gloss.test\""
            ),
            (
                settings(database, port, root: "/nonexistent/ca.pem"),
                "root certificate file \"/nonexistent/ca.pem\" does not exist"
            ),
        ]
        for (settings, words) in cases {
            let error = await refusal(settings)
            #expect(error?.code == .cannotConnect && error?.disposition == .retry)
            #expect(error?.message.contains(words) == true, "\(String(describing: error))")
            #expect(await !Listener(settings, channel: "gloss_ready").wait(timeout: .milliseconds(1)))
        }
        let (plain, plainDatabase, plainPort) = try await server(nil)
        let error = await refusal(settings(plainDatabase, plainPort, root: authority.certificate))
        #expect(error?.message.contains("server does not support SSL, but SSL was required") == true)
        try await plain.stop()
        try await postgres.stop()
    }
}
