import CCurl
import Glibc

/// One request on the network: a curl handle, what has arrived, and what was refused. Lives on the fetch thread.
final class Transfer {
    /// How a transfer ended.
    enum Outcome {
        case fetched(FetchedBody)
        case redirect(to: String, after: Duration)
        /// The address that it leads to has no place for it now.
        case noPlace
        /// Make the same request once more, without this.
        case again(without: Concession, after: Duration)
        case failed(ImageError)
    }

    var request: Request
    let easy: EasyHandle
    private let policy: FetchPolicy
    private let terms: HostRules.Terms
    private var head = AnswerHead()
    private var headerByteCount = 0
    private var body: [UInt8] = []
    /// The beginning of what is no file: stores say there what they mean.
    private var errorText: [UInt8] = []
    private var discardedByteCount = 0
    /// Why the transfer was stopped from within a callback; curl then reports only that it was.
    private var stop: ImageError?
    /// Why the last address was not connected to.
    private var refusal: ImageError?
    private var openedSocketCount = 0
    private var openedIPv4 = false
    /// The bytes that the file may have as far as is known: what is allowed, what is announced, what has come.
    private(set) var reservedByteCount: Int
    private let onResize: (Int, Int) -> Void
    private let mayConnect: (Transfer, IPAddress) -> Bool
    private var mustWait = false
    /// More of a robots.txt came than counts.
    private var hasEnough = false
    /// How long this process stood still meanwhile, if it did.
    var standstill: Duration?

    private static let headerLimit = 256 << 10
    /// How much of an error page or of a redirect's body is read to keep the connection alive.
    private static let discardLimit = 64 << 10
    private static let errorTextLimit = 4096
    /// curl counts deadlines in milliseconds.
    private static let clockSlack = Duration.milliseconds(5)

    init(
        _ request: Request, policy: FetchPolicy, terms: HostRules.Terms, onResize: @escaping (Int, Int) -> Void,
        mayConnect: @escaping (Transfer, IPAddress) -> Bool
    ) throws(ImageError) {
        self.request = request
        self.policy = policy
        self.terms = terms
        self.onResize = onResize
        self.mayConnect = mayConnect
        reservedByteCount = policy.maxBytes
        easy = try EasyHandle(headers: terms.headers(for: request.purpose) + (request.signature?.headers ?? []))
        try setTarget()
        try request.signature?.apply(to: easy)
        try setLimits()
        try setCallbacks()
    }

    // MARK: Setting up

    private func setTarget() throws(ImageError) {
        try easy.set(CURLOPT_URL, request.url.text)
        try easy.set(CURLOPT_PROTOCOLS_STR, "http,https")
        try easy.set(CURLOPT_FOLLOWLOCATION, 0)  // every redirect is judged here, like a first request
        try easy.set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1)
        try easy.set(CURLOPT_PROXY, "")  // whatever the environment says: a proxy would connect unchecked
        try easy.set(CURLOPT_NOPROXY, "*")
        let version = request.concessions.contains(.http2) ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS
        try easy.set(CURLOPT_HTTP_VERSION, Int(version))
        if !request.concessions.contains(.contentCodings) { try easy.set(CURLOPT_ACCEPT_ENCODING, "") }
        try terms.apply(to: easy, policy)
    }

    private func setLimits() throws(ImageError) {
        try easy.set(CURLOPT_NOSIGNAL, 1)
        try easy.set(CURLOPT_TCP_KEEPALIVE, 1)
        try easy.set(CURLOPT_DNS_CACHE_TIMEOUT, 60)
        // Whoever gives a transfer up does not wait for its name lookup; all other transfers would wait too.
        try easy.set(CURLOPT_QUICK_EXIT, 1)
        try easy.set(CURLOPT_TIMEOUT_MS, max(1, remainingTime.milliseconds))
        try easy.set(CURLOPT_CONNECTTIMEOUT_MS, max(1, policy.connectTimeout.milliseconds))
        try easy.set(CURLOPT_LOW_SPEED_LIMIT, policy.minimumThroughput)
        try easy.set(CURLOPT_LOW_SPEED_TIME, max(1, Int(policy.throughputWindow.components.seconds)))
    }

    private func setCallbacks() throws(ImageError) {
        try easy.call(
            onBody: { Transfer.of($3).receive(UnsafeRawBufferPointer(start: $0, count: $1 * $2)) },
            onHeader: { Transfer.of($3).receiveHeader(UnsafeRawBufferPointer(start: $0, count: $1 * $2)) },
            onOpenSocket: { context, _, address in address.map { Transfer.of(context).open($0) } ?? CURL_SOCKET_BAD },
            Unmanaged.passUnretained(self).toOpaque())
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> Transfer {
        guard let context else { preconditionFailure("curl lost a callback's context") }
        return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    }

    /// What the earlier hops left of the total.
    private var remainingTime: Duration { policy.totalTimeout - request.spent }

    // MARK: curl's callbacks. A count other than the one that came stops the transfer.

    private func receive(_ chunk: UnsafeRawBufferPointer) -> Int {
        guard head.isFile else {
            errorText += chunk.prefix(Self.errorTextLimit - errorText.count)
            discardedByteCount += chunk.count
            return discardedByteCount > Self.discardLimit ? 0 : chunk.count
        }
        if request.purpose == .robots { return receiveRobots(chunk) }
        guard body.count + chunk.count <= policy.maxBytes else {
            stop = tooLarge
            return 0
        }
        if body.isEmpty {
            let announced = easy.size(CURLINFO_CONTENT_LENGTH_DOWNLOAD_T)
            if announced > 0 { reserve(min(announced, policy.maxBytes)) }
            body.reserveCapacity(min(max(announced, chunk.count), policy.maxBytes))
        }
        body.append(contentsOf: chunk)
        // It was compressed, and the length announced was that of what is sent.
        if body.count > reservedByteCount { reserve(policy.maxBytes) }
        return chunk.count
    }

    /// As much as counts, and one byte more to see that there is more.
    private func receiveRobots(_ chunk: UnsafeRawBufferPointer) -> Int {
        body.append(contentsOf: chunk.prefix(RobotsRules.byteLimit + 1 - body.count))
        hasEnough = body.count > RobotsRules.byteLimit
        return hasEnough ? 0 : chunk.count
    }

    /// Why the site does not want the file used, if it says so.
    private var optOut: ImageError? {
        guard request.url.object == nil, let header = OptOutHeaders(head).refusal(agent: terms.agent, terms.optOuts)
        else {
            return nil
        }
        if !terms.obeysEverywhere, let address = easy.string(CURLINFO_PRIMARY_IP).flatMap({ IPAddress($0) }),
            AddressRules.isAllowed(address, by: policy.allowedNetworks)
        {
            return nil
        }
        return ImageError(.optedOut, "\(place) does not want this image used: it says \(header)")
    }

    private func reserve(_ count: Int) {
        onResize(reservedByteCount, count)
        reservedByteCount = count
        request.onBytes?(count)
    }

    private func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        headerByteCount += line.count
        guard headerByteCount <= Self.headerLimit else {
            stop = ImageError(.badResponse, "\(place) sent more than \(Self.headerLimit) bytes of headers")
            return 0
        }
        guard head.read(line) else { return line.count }
        stop = objection()
        // Nobody waits for a long error page.
        let isTooLong = !head.isFile && head.length ?? 0 > Self.discardLimit
        return stop == nil && !isTooLong ? line.count : 0
    }

    /// Why the file behind this head is not wanted; nil if it is. Nothing of it has been read yet.
    private func objection() -> ImageError? {
        guard head.isFile else { return nil }
        // Of a robots.txt the beginning counts.
        if request.purpose == .robots { return nil }
        if let optOut { return optOut }
        if let length = head.length, length > policy.maxBytes { return tooLarge }
        return nil
    }

    /// curl is about to connect: the one gate through which every address passes, whatever name led to it.
    private func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        if stop != nil || mustWait { return CURL_SOCKET_BAD }
        refusal = judge(address)
        guard refusal == nil, joinsLine(address) else { return CURL_SOCKET_BAD }
        let socket = ccurl_open_socket(address)
        if socket == CURL_SOCKET_BAD {
            let code = errno
            guard [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) else { return socket }
            stop = ImageError(.localFailure, "no socket for a transfer: \(String(cString: strerror(code)))")
        } else {
            openedSocketCount += 1
            if address.pointee.family == AF_INET { openedIPv4 = true }
        }
        return socket
    }

    /// Whether an address may be connected to now: robots.txt is not asked for in allowed networks, and limits may be counted by address. The
    /// first address of a transfer counts.
    private func joinsLine(_ address: UnsafeMutablePointer<curl_sockaddr>) -> Bool {
        guard openedSocketCount == 0, let ip = Self.read(address).ip else { return true }
        if request.purpose == .robots, !terms.obeysEverywhere, AddressRules.isAllowed(ip, by: policy.allowedNetworks) {
            stop = .trust
        } else if !mayConnect(self, ip) {
            mustWait = true
        }
        return stop == nil && !mustWait
    }

    private static func read(_ address: UnsafeMutablePointer<curl_sockaddr>) -> (ip: IPAddress?, port: UInt16) {
        var bytes = [UInt8](repeating: 0, count: 16)
        var port: UInt16 = 0
        let length = Int(ccurl_read_address(address, &bytes, &port))
        return (IPAddress(bytes: bytes.prefix(length)), port)
    }

    private func judge(_ address: UnsafeMutablePointer<curl_sockaddr>) -> ImageError? {
        let (ip, port) = Self.read(address)
        guard let ip else {
            return ImageError(.addressNotAllowed, "\(place) has an address of an unknown family; not allowed")
        }
        if let kind = AddressRules.refusal(of: ip, allowing: policy.allowedNetworks) {
            return ImageError(.addressNotAllowed, "address \(ip) is \(kind); not allowed (\(place))")
        }
        if let ports = policy.allowedPorts, !ports.contains(Int(port)) {
            return ImageError(.portNotAllowed, "port \(port) is not allowed (\(place))")
        }
        return nil
    }

    // MARK: The end

    /// Reads curl's result and the server's answer. The status comes first: what becomes of an error page does not matter.
    func conclude(_ code: CURLcode) -> Outcome {
        if mustWait { return .noPlace }
        if let stop { return .failed(stop) }
        if hasEnough { return .fetched(fetched(isEndKnown: false)) }
        if head.isComplete, !head.isFile, code != CURLE_OUT_OF_MEMORY { return answered() }
        if let concession = concession(code) { return .again(without: concession, after: duration) }
        if code == CURLE_OK, head.isComplete { return received(isEndKnown: head.saysWhereItEnds) }
        if wasPerhapsCut(code) { return received(isEndKnown: false) }
        return .failed(excused(failure(code)))
    }

    /// An answer that is no file.
    private func answered() -> Outcome {
        if [300, 301, 302, 303, 307, 308].contains(head.status) {
            // curl makes it a whole URL, unless the body that came with it was cut; and it writes the key of a signed request into it.
            let whole = request.signature == nil ? easy.string(CURLINFO_REDIRECT_URL) : nil
            if let target = whole ?? head.value("location") { return .redirect(to: target, after: duration) }
        }
        let isOfHTTP2 = head.status == 421 || head.status == 505
        if isOfHTTP2, head.version >= 2, !request.concessions.contains(.http2) {
            return .again(without: .http2, after: duration)
        }
        return .failed(storeError ?? statusError)
    }

    /// The answer is a file, or claims to be.
    private func received(isEndKnown: Bool) -> Outcome {
        let isAway = head.status == 202 || retryAfter != nil || head.isChallenge
        if isAway, request.purpose == .image, (try? ImageFormat(sniffing: body)) == nil { return .failed(statusError) }
        if body.isEmpty {
            return .failed(
                ImageError(
                    .emptyBody, "\(place) sent an empty file", disposition: isEndKnown ? nil : .retry(after: nil)))
        }
        if head.isPart { return .failed(statusError) }
        return .fetched(fetched(isEndKnown: isEndKnown && head.value("content-range")?.hasSuffix("/*") != true))
    }

    private var statusError: ImageError {
        let plain = ImageError(
            .httpStatus(head.status), "\(place) answered HTTP \(head.status)", retryAfter: retryAfter)
        guard head.isChallenge, !plain.isThrottled else { return plain }
        return ImageError(
            plain.code, "\(plain.message): it wants to see a browser", retryAfter: retryAfter,
            disposition: .retry(after: retryAfter), blame: .origin)
    }

    /// What an object store's answer means beside its status.
    private var storeError: ImageError? {
        guard request.url.object != nil else { return nil }
        return StoreAnswer(head: head, text: errorText).error(place: place, retryAfter: retryAfter)
    }

    /// What the same request may do without, after a failure that has to do with it; each once.
    private func concession(_ code: CURLcode) -> Concession? {
        // What is in no coding some decoders call damaged, some cannot write, and some make nothing of.
        let isUndone =
            [CURLE_BAD_CONTENT_ENCODING, CURLE_WRITE_ERROR].contains(code) || code == CURLE_OK && head.length != 0
        if isUndone, head.isFile, body.isEmpty, head.value("content-encoding") != nil { return first(.contentCodings) }
        guard request.url.scheme == "https", didConnect else { return nil }
        switch code {
        case CURLE_HTTP2, CURLE_HTTP2_STREAM: return first(.http2)
        // Without an answer nobody knows which version it would have had.
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE:
            return head.version == 1 ? nil : first(.http2)
        default: return nil
        }
    }

    private func first(_ concession: Concession) -> Concession? {
        request.concessions.contains(concession) ? nil : concession
    }

    /// Whether the connection ended in a body of which the answer does not say how long it is: in TLS without its last word, in the
    /// middle of chunks. The file may be whole all the same, and whoever decodes it sees that.
    private func wasPerhapsCut(_ code: CURLcode) -> Bool {
        head.isFile && head.isComplete && head.version == 1 && head.length == nil && !body.isEmpty && standstill == nil
            && (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)
    }

    /// The host, for messages, and how we came to it.
    var place: String {
        request.url.name + (request.redirectedFrom.map { ", by redirect from \($0)" } ?? "")
    }

    private func fetched(isEndKnown: Bool) -> FetchedBody {
        FetchedBody(
            bytes: body, finalURL: request.url.written, contentType: easy.string(CURLINFO_CONTENT_TYPE),
            remoteAddress: easy.string(CURLINFO_PRIMARY_IP), isEndKnown: isEndKnown,
            duration: request.spent + duration)
    }

    private var duration: Duration { .microseconds(easy.size(CURLINFO_TOTAL_TIME_T)) }

    /// Seconds or a date in the header; curl reads both. At once is in a second.
    private var retryAfter: Duration? {
        guard let value = head.value("retry-after") else { return nil }
        let seconds = easy.size(CURLINFO_RETRY_AFTER)
        guard seconds != 0 || Int(value) == 0 else { return nil }
        return .seconds(min(max(seconds, 1), 3600))
    }

    /// Whether the system knew no way to the host, over IPv4.
    var hadNoRoute: Bool { openedIPv4 && easy.long(CURLINFO_OS_ERRNO) == ENETUNREACH }

    /// Whether the server answered, with whatever.
    var hasAnswer: Bool { head.isComplete }

    /// Whether the host was connected to.
    var didConnect: Bool { easy.size(CURLINFO_PRETRANSFER_TIME_T) > 0 }

    private var tooLarge: ImageError {
        ImageError(.tooLarge, "\(place) sent more than \(policy.maxBytes) bytes")
    }

    private func failure(_ code: CURLcode) -> ImageError {
        if code == CURLE_COULDNT_CONNECT, openedSocketCount == 0, let refusal { return refusal }
        return switch code {
        case CURLE_FILESIZE_EXCEEDED: tooLarge
        case CURLE_OPERATION_TIMEDOUT: lateness
        case CURLE_OUT_OF_MEMORY where Curl.hasMemory:
            ImageError(.badResponse, "\(place) sent something longer than libcurl takes")
        default: TransferFailure.error(code, place: place, explanation: easy.explanation, hasAnswer: hasAnswer)
        }
    }

    /// After a standstill of ours, deadlines have passed and servers have hung up: nobody else's fault.
    private func excused(_ error: ImageError) -> ImageError {
        guard let standstill, case .retry = error.disposition else { return error }
        return ImageError(
            .stoodStill, "this process stood still for \(standstill) during a transfer: \(error.message)")
    }

    /// curl has one code for three clocks.
    private var lateness: ImageError {
        if !didConnect {
            return ImageError(
                .timeout, "\(place) was not connected to within \(min(policy.connectTimeout, remainingTime))")
        }
        guard duration + Self.clockSlack < remainingTime else {
            return ImageError(.timeout, "\(place) took longer than \(policy.totalTimeout)")
        }
        return ImageError(
            .tooSlow,
            "\(place) sent less than \(policy.minimumThroughput) bytes a second over \(policy.throughputWindow)")
    }
}

extension Duration {
    /// Whole milliseconds, rounded down; what is too long for an Int of them counts as a day.
    var milliseconds: Int {
        self > .seconds(86400)
            ? 86_400_000 : Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}
