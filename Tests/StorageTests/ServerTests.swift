import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Storage

/// Connection strings that name several servers.
@Suite(.timeLimit(.minutes(5))) struct ServerTests {
    typealias Server = ServerList.Server

    @Test func listsAreTakenApart() {
        let one = ServerList(["host": "a", "port": "5432"])
        #expect(one.servers == [Server(host: "a", port: "5432")] && one.rounds == [nil])
        let two = ServerList(["host": "a, b", "port": "1,2", "target_session_attrs": "read-write"])
        #expect(two.servers == [Server(host: "a", port: "1"), Server(host: "b", port: "2")])
        #expect(two.rounds == ["read-write"])
        let mixed = ServerList(["host": "a,b", "hostaddr": "10.0.0.1,10.0.0.2", "port": "7"])
        #expect(mixed.servers.map(\.address) == ["10.0.0.1", "10.0.0.2"] && mixed.servers.map(\.port) == ["7", "7"])
        #expect(mixed.servers.map(\.nameToLookUp) == [nil, nil])
        let addresses = ServerList(["hostaddr": "10.0.0.1,10.0.0.2", "port": "7", "connect_timeout": "3"])
        #expect(addresses.servers.map(\.host) == [nil, nil] && addresses.connectTimeout == .seconds(3))
        #expect(ServerList(["port": "5432"]).servers == [Server(port: "5432")])
        #expect(ServerList(["host": "/run/postgresql", "port": "1"]).servers[0].nameToLookUp == nil)
        #expect(ServerList(["host": "a,b", "port": "1,2,3"]).servers == [Server()], "libpq says what is wrong")
        #expect(
            ServerList(["host": "a", "port": "1", "target_session_attrs": "prefer-standby"]).rounds
                == ["standby", "any"])
        let many = (1...20).map { "h\($0)" }
        let shuffled = ServerList(["host": many.joined(separator: ","), "port": "1", "load_balance_hosts": "random"])
        #expect(Set(shuffled.servers.compactMap(\.host)) == Set(many))
    }

    /// A server that takes connections and says nothing.
    private final class SilentServer: Sendable {
        let port: Int
        private let descriptor: Int32

        init() throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let status = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) | listen(descriptor, 16) | getsockname(descriptor, $0, &length)
                }
            }
            try #require(status == 0)
            port = Int(UInt16(bigEndian: address.sin_port))
        }

        deinit { close(descriptor) }
    }

    @Test func aSilentFirstServerIsPassedOver() async throws {
        let silent = try SilentServer()
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let folder = try #require(database.conninfo().split(separator: " ")[0].split(separator: "=").last)
        let settings = ConnectionSettings(
            conninfo: "host=127.0.0.1,\(folder) port=\(silent.port),5432 dbname=\(database.name) user=postgres",
            connectTimeout: .seconds(4))
        #expect(try await Session(settings).query("select 1").scalar == "1")
        let alone = ConnectionSettings(
            conninfo: "host=127.0.0.1 port=\(silent.port) dbname=x user=postgres", connectTimeout: .milliseconds(300))
        let error = await #expect(throws: StorageError.self) { try await Session(alone).query("select 1") }
        #expect(error?.code == .cannotConnect && error?.message == "no answer of 127.0.0.1 within 0.3 s")
    }

    @Test func aDemotedServerIsLeftForTheNewOne() async throws {
        let servers = [PrivatePostgres(), PrivatePostgres()]
        var folders: [String] = []
        var sessions: [Session] = []
        for server in servers {
            let database = try await server.makeDatabase(migrated: false)
            let folder = try #require(database.conninfo().split(separator: " ")[0].split(separator: "=").last)
            folders.append(String(folder))
            sessions.append(Session(ConnectionSettings(conninfo: "host=\(folder) dbname=postgres user=postgres")))
        }
        // The server tells its processes one by one: each that matters is asked until it knows.
        func wait(_ session: Session, _ word: String) async throws {
            for _ in 0..<100_000 {
                if try await session.query("show default_transaction_read_only").scalar == word { return }
            }
        }
        func demote(_ server: Int, _ isReadOnly: Bool) async throws {
            let session = sessions[server]
            try await session.script("alter system set default_transaction_read_only = \(isReadOnly ? "on" : "off")")
            try await session.script("select pg_reload_conf()")
            try await wait(session, isReadOnly ? "on" : "off")
        }
        try await demote(0, true)
        let both = Session(
            ConnectionSettings(
                conninfo: "host=\(folders.joined(separator: ",")) dbname=postgres user=postgres "
                    + "target_session_attrs=read-write"))
        func folder() async throws -> String? { try await both.query("show unix_socket_directories").scalar }
        #expect(try await folder() == folders[1])
        try await demote(1, true)
        try await wait(both, "on")
        try await demote(0, false)
        let error = await #expect(throws: StorageError.self) { try await both.query("create table t ()") }
        #expect(error?.sqlState == "25006" && error?.disposition == .retry)
        #expect(try await folder() == folders[0])
        for (server, session) in zip(servers, sessions) {
            await session.close()
            try await server.stop()
        }
    }

    @Test func aNameThatIsNotResolvedHoldsNobodyUp() throws {
        let gate = Gate()
        let count = Mutex(0)
        let lookup = HostLookup { _ in
            count.withLock { $0 += 1 }
            gate.pass()
            return .success(["127.0.0.1"])
        }
        for _ in 0..<3 {
            let error = #expect(throws: StorageError.self) {
                try lookup.addresses(of: "slow.example", within: .milliseconds(20))
            }
            #expect(error?.code == .cannotConnect)
        }
        #expect(count.withLock { $0 } == 1, "one thread, however many ask")
        gate.open()
        #expect(try lookup.addresses(of: "slow.example", within: .seconds(60)) == ["127.0.0.1"])
    }

    @Test func namesAreResolved() throws {
        #expect(try HostLookup.shared.addresses(of: "127.0.0.1", within: .seconds(60)) == ["127.0.0.1"])
        let error = #expect(throws: StorageError.self) {
            try HostLookup.shared.addresses(of: "no such name", within: .seconds(60))
        }
        #expect(error?.message.contains("no such name") == true)
    }

    @Test func noRoleChangesHowAnswersLook() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        for setting in [
            "datestyle = 'German'", "intervalstyle = 'iso_8601'", "bytea_output = 'escape'",
            "default_transaction_isolation = 'serializable'", "lock_timeout = 1", "client_encoding = 'LATIN1'",
        ] {
            try await database.query("alter database \(database.name) set \(setting)")
        }
        let answer = try await database.query(
            """
            select '2026-03-04 05:06:07Z'::timestamptz at time zone 'utc', '1 day 2 s'::interval, '\\x00ff'::bytea, 'ä',
                   current_setting('transaction_isolation'), current_setting('lock_timeout')
            """)
        #expect(
            answer.rows == [["2026-03-04 05:06:07", "1 day 00:00:02", "\\x00ff", "ä", "read committed", "0"]])
    }
}
