import CPostgres
import Glibc

/// The servers that a connection string names, one by one. libpq's asynchronous way of connecting knows no time-out: a
/// server that accepts a connection and says nothing would be waited for although the next one would answer.
struct ServerList {
    /// One server. What is nil is left to libpq.
    struct Server: Hashable {
        var host: String?
        var address: String?
        var port: String?
    }

    /// In the order in which they are tried.
    var servers: [Server]
    /// What the session must be, a value of target_session_attrs a round.
    var rounds: [String?]
    /// Whether the order of servers and of their addresses is left to chance.
    var isShuffled: Bool
    /// The longest wait for one server, as the connection string has it.
    var connectTimeout: Duration?

    /// Reads the options that hold: those of the connection string, the environment and a service file.
    /// - Throws: `cannotConnect` with what libpq has against them.
    init(_ settings: ConnectionSettings) throws(StorageError) {
        // This value of sslmode makes libpq stop when it knows the options, before it looks for a server.
        guard let probe = ConnectionOptions(settings, [("sslmode", "none of them")]).start() else { throw .noMemory }
        defer { PQfinish(probe) }
        var options: [String: String] = [:]
        let list = PQconninfo(probe)
        defer { PQconninfoFree(list) }
        var next = list
        while let option = next?.pointee, let keyword = option.keyword {
            if let value = option.val, value.pointee != 0 { options[String(cString: keyword)] = String(cString: value) }
            next = next?.advanced(by: 1)
        }
        self.init(options)
    }

    /// What these options of libpq say.
    init(_ options: [String: String]) {
        func list(_ name: String) -> [String?] {
            (options[name] ?? "").split(separator: ",", omittingEmptySubsequences: false).map { item in
                let item = item.trimmingSpaces
                return item.isEmpty ? nil : item
            }
        }
        let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"))
        let count = max(hosts.count, addresses.count)
        let fits =
            (options["host"] == nil || hosts.count == count) && (options["hostaddr"] == nil || addresses.count == count)
            && (ports.count == 1 || ports.count == count)
        // Of lists of different lengths libpq says what is wrong with them.
        servers =
            fits
            ? (0..<count).map { n in
                Server(
                    host: hosts.count == count ? hosts[n] : nil,
                    address: addresses.count == count ? addresses[n] : nil,
                    port: ports.count == count ? ports[n] : ports[0])
            } : [Server()]
        let wanted = options["target_session_attrs"]
        rounds = wanted == "prefer-standby" ? ["standby", "any"] : [wanted]
        isShuffled = options["load_balance_hosts"] == "random"
        if isShuffled { servers.shuffle() }
        if let seconds = options["connect_timeout"].flatMap({ Int64($0) }), seconds > 0 {
            connectTimeout = .seconds(max(seconds, 2))
        }
    }
}

/// What libpq gets to connect with.
struct ConnectionOptions {
    private let options: [(String, String)]

    /// The options of a connection string, and some that win over them.
    init(_ settings: ConnectionSettings, _ more: [(String, String)]) {
        // Later entries win, so the first of these give way to the connection string.
        options =
            [
                ("application_name", settings.applicationName), ("tcp_user_timeout", "10000"),
                ("keepalives_idle", "10"),
                ("keepalives_interval", "5"), ("keepalives_count", "3"), ("dbname", settings.conninfo),
                ("client_encoding", "UTF8"),
            ] + more
    }

    /// Begins to connect; nil: there is no memory.
    func start() -> OpaquePointer? {
        let keywords = options.map { strdup($0.0) } + [nil]
        let values = options.map { strdup($0.1) } + [nil]
        defer { for text in keywords + values { free(text) } }
        return PQconnectStartParams(keywords.map { UnsafePointer($0) }, values.map { UnsafePointer($0) }, 1)
    }
}

extension ServerList.Server {
    /// What makes libpq try this server alone.
    /// - Parameter address: of the host, if its name was looked up.
    func options(address: String?, round: String?) -> [(String, String)] {
        [("host", host), ("hostaddr", address ?? self.address), ("port", port), ("target_session_attrs", round)]
            .compactMap { keyword, value in value.map { (keyword, $0) } }
    }

    /// The name that has to be looked up; nil: a socket, or an address is known.
    var nameToLookUp: String? {
        guard address == nil, let host, !host.hasPrefix("/"), !host.hasPrefix("@") else { return nil }
        return host
    }
}

extension StorageError {
    static let noMemory = StorageError(code: .cannotConnect, context: "connect", message: "out of memory")
}

extension Substring {
    /// Without spaces at both ends.
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
