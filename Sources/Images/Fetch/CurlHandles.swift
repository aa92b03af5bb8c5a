import CCurl
import Glibc

/// libcurl's process-wide state, set up once and never torn down.
enum Curl {
    /// Sets libcurl up on first use. Throws ``ImageError`` (`localFailure`) when it cannot.
    static func start() throws(ImageError) {
        guard startCode == CURLE_OK else {
            throw ImageError(.localFailure, "libcurl does not start: \(text(startCode))")
        }
    }

    static func text(_ code: CURLcode) -> String { String(cString: curl_easy_strerror(code)) }

    /// Whether there is memory, whatever libcurl says. 7.88 says that there is none of a line of 100 KiB in an answer's head: a server must
    /// not have us believe that.
    static var hasMemory: Bool {
        let count = 1 << 20
        guard let bytes = malloc(count) else { return false }
        memset(bytes, 1, count)
        free(bytes)
        return true
    }

    /// The system's file of trusted authorities, as libcurl was built for it; nil where there is none to read.
    static let systemAuthorities: String? = ccurl_authorities()
        .map { String(cString: $0) }.flatMap { access($0, R_OK) == 0 ? $0 : nil }

    private static let startCode = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
}

/// One transfer's curl handle. Used by one thread at a time.
struct EasyHandle: ~Copyable {
    let raw: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    private let headers: UnsafeMutablePointer<curl_slist>?

    init(headers lines: [String]) throws(ImageError) {
        guard let raw = curl_easy_init() else { throw Self.noMemory }
        var list: UnsafeMutablePointer<curl_slist>?
        let text = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        text.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        do throws(ImageError) {
            for line in lines {
                guard let longer = curl_slist_append(list, line) else { throw Self.noMemory }
                list = longer
            }
            try Self.check(ccurl_set_pointer(raw, CURLOPT_ERRORBUFFER, text), CURLOPT_ERRORBUFFER)
            try Self.check(ccurl_set_pointer(raw, CURLOPT_HTTPHEADER, list), CURLOPT_HTTPHEADER)
        } catch {
            Self.free(raw, list, text)
            throw error
        }
        (self.raw, headers, errorText) = (raw, list, text)
    }

    deinit { Self.free(raw, headers, errorText) }

    private static func free(
        _ raw: UnsafeMutableRawPointer, _ headers: UnsafeMutablePointer<curl_slist>?,
        _ errorText: UnsafeMutablePointer<CChar>
    ) {
        curl_easy_cleanup(raw)
        curl_slist_free_all(headers)
        errorText.deallocate()
    }

    private static var noMemory: ImageError { ImageError(.outOfMemory, "no memory for a transfer") }

    /// curl's own account of the last failure; empty when it gave none.
    var explanation: String { String(cString: errorText) }

    func set(_ option: CURLoption, _ value: Int) throws(ImageError) {
        try Self.check(ccurl_set_long(raw, option, value), option)
    }

    func set(_ option: CURLoption, bytes: Int) throws(ImageError) {
        try Self.check(ccurl_set_size(raw, option, curl_off_t(bytes)), option)
    }

    /// nil: none, in place of what libcurl was built with.
    func set(_ option: CURLoption, _ value: String?) throws(ImageError) {
        try Self.check(ccurl_set_string(raw, option, value), option)
    }

    /// What curl calls while it works; the context is handed to each.
    func call(
        onBody: @escaping curl_write_callback, onHeader: @escaping curl_write_callback,
        onOpenSocket: @escaping curl_opensocket_callback, _ context: UnsafeMutableRawPointer
    ) throws(ImageError) {
        try Self.check(ccurl_on_body(raw, onBody, context), CURLOPT_WRITEFUNCTION)
        try Self.check(ccurl_on_header(raw, onHeader, context), CURLOPT_HEADERFUNCTION)
        try Self.check(ccurl_on_open_socket(raw, onOpenSocket, context), CURLOPT_OPENSOCKETFUNCTION)
    }

    /// Makes the request and waits for its end. The callback gets the context.
    func perform(onBody: @escaping curl_write_callback, _ context: UnsafeMutableRawPointer) -> CURLcode {
        let code = ccurl_on_body(raw, onBody, context)
        return code == CURLE_OK ? curl_easy_perform(raw) : code
    }

    func long(_ info: CURLINFO) -> Int { ccurl_get_long(raw, info) }

    func size(_ info: CURLINFO) -> Int { Int(ccurl_get_size(raw, info)) }

    func string(_ info: CURLINFO) -> String? { ccurl_get_string(raw, info).map { String(cString: $0) } }

    private static func check(_ code: CURLcode, _ option: CURLoption) throws(ImageError) {
        guard code != CURLE_OK else { return }
        guard code != CURLE_OUT_OF_MEMORY else { throw noMemory }
        throw ImageError(.localFailure, "libcurl does not take option \(option.rawValue): \(Curl.text(code))")
    }
}

/// curl's set of concurrent transfers, with its connections and its name cache. Only `wake` may be called from a
/// thread other than the owner's.
struct MultiHandle: ~Copyable {
    let raw: UnsafeMutableRawPointer

    init() throws(ImageError) {
        guard let raw = curl_multi_init() else { throw ImageError(.outOfMemory, "no memory for transfers") }
        self.raw = raw
    }

    deinit { curl_multi_cleanup(raw) }

    func add(_ easy: borrowing EasyHandle) throws(ImageError) { try check(curl_multi_add_handle(raw, easy.raw)) }

    /// What fails here is done again by the easy handle's own end.
    func remove(_ easy: borrowing EasyHandle) { curl_multi_remove_handle(raw, easy.raw) }

    /// Reads and writes what can be without waiting.
    func perform() throws(ImageError) {
        var running: Int32 = 0
        try check(curl_multi_perform(raw, &running))
    }

    /// The next transfer that has ended, by its easy handle.
    func nextFinished() -> (easy: UnsafeMutableRawPointer, code: CURLcode)? {
        var code = CURLE_OK
        return ccurl_next_finished(raw, &code).map { ($0, code) }
    }

    /// Waits for activity, a wake-up, or `milliseconds`.
    func poll(milliseconds: Int32) throws(ImageError) {
        try check(curl_multi_poll(raw, nil, 0, milliseconds, nil))
    }

    private func check(_ code: CURLMcode) throws(ImageError) {
        guard code != CURLM_OK else { return }
        let why = String(cString: curl_multi_strerror(code))
        throw ImageError(code == CURLM_OUT_OF_MEMORY ? .outOfMemory : .localFailure, "libcurl can't go on: \(why)")
    }
}

/// curl's URL parser: what it reads is what curl connects to.
struct URLHandle: ~Copyable {
    private let raw: OpaquePointer

    init() throws(ImageError) {
        guard let raw = curl_url() else { throw ImageError(.outOfMemory, "no memory for a URL") }
        self.raw = raw
    }

    deinit { curl_url_cleanup(raw) }

    /// Reads a whole URL; returns why it is none. Throws ``ImageError`` (`outOfMemory`), as all that follow.
    func parse(_ text: String) throws(ImageError) -> String? {
        let code = curl_url_set(raw, CURLUPART_URL, text, UInt32(CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE))
        return try isOK(code) ? nil : String(cString: curl_url_strerror(code))
    }

    /// Replaces a part, or drops it; false when curl does not take the value.
    @discardableResult func set(_ part: CURLUPart, _ value: String?) throws(ImageError) -> Bool {
        try isOK(curl_url_set(raw, part, value, 0))
    }

    /// A part of the URL; nil where it has none.
    func part(_ part: CURLUPart, _ flags: Int32 = 0) throws(ImageError) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard try isOK(curl_url_get(raw, part, &text, UInt32(flags))), let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    private func isOK(_ code: CURLUcode) throws(ImageError) -> Bool {
        guard code != CURLUE_OUT_OF_MEMORY else { throw ImageError(.outOfMemory, "no memory for a URL") }
        return code == CURLUE_OK
    }
}
