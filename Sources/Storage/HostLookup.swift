import Dispatch
import Glibc
import Synchronization

/// Addresses of hosts' names. getaddrinfo has no bound of its own, so it runs on a thread of its own: one a name, however
/// many ask for it meanwhile.
final class HostLookup: Sendable {
    static let shared = HostLookup()

    private final class Answer: Sendable {
        let isThere = DispatchGroup()
        let addresses = Mutex<[String]>([])
        let problem = Mutex("the name was not resolved in time")

        init() { isThere.enter() }
    }

    private let resolve: @Sendable (String) -> Result<[String], HostLookupError>
    private let running = Mutex<[String: Answer]>([:])

    init(resolve: @escaping @Sendable (String) -> Result<[String], HostLookupError> = HostLookup.ask) {
        self.resolve = resolve
    }

    /// The numeric addresses of `host`, in the order in which they are to be tried.
    func addresses(of host: String, within patience: Duration) throws(StorageError) -> [String] {
        let answer = running.withLock { running in
            if let known = running[host] { return known }
            let answer = Answer()
            running[host] = answer
            DispatchQueue(label: "gloss.name").async { [self] in
                switch resolve(host) {
                case .success(let addresses): answer.addresses.withLock { $0 = addresses }
                case .failure(let error): answer.problem.withLock { $0 = error.message }
                }
                self.running.withLock { $0[host] = nil }
                answer.isThere.leave()
            }
            return answer
        }
        let milliseconds = Int(clamping: patience.milliseconds)
        let isInTime = answer.isThere.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
        let addresses = isInTime ? answer.addresses.withLock { $0 } : []
        guard addresses.isEmpty else { return addresses }
        let problem =
            isInTime ? answer.problem.withLock { $0 } : "its name is not resolved within \(patience.seconds) s"
        throw StorageError(code: .cannotConnect, context: "connect", message: "host \"\(host)\": \(problem)")
    }

    static func ask(_ host: String) -> Result<[String], HostLookupError> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        guard status == 0 else { return .failure(HostLookupError(message: String(cString: gai_strerror(status)))) }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var next = list
        while let entry = next?.pointee {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let isKnown = getnameinfo(
                entry.ai_addr, entry.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            let address = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            if isKnown == 0, !addresses.contains(address) { addresses.append(address) }
            next = entry.ai_next
        }
        return .success(addresses)
    }
}

/// Why a name has no address.
struct HostLookupError: Error {
    let message: String
}
