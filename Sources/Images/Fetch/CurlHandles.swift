import CCurl

/// libcurl's process-wide state, set up once and never torn down.
enum Curl {
    /// Sets libcurl up on first use. Throws ``ImageError`` (`localFailure`) when it cannot.
    static func start() throws(ImageError) {
        guard startCode == CURLE_OK else {
            throw ImageError(.localFailure, "libcurl does not start: \(text(startCode))")
        }
    }

    static func text(_ code: CURLcode) -> String { String(cString: curl_easy_strerror(code)) }

    private static let startCode = curl_global_init(Int(CURL_GLOBAL_DEFAULT))
}

/// One transfer's curl handle. Used by one thread at a time.
struct EasyHandle: ~Copyable {
    let raw: UnsafeMutableRawPointer
    private let errorText: UnsafeMutablePointer<CChar>
    private let headers: UnsafeMutablePointer<curl_slist>?

    init(headers lines: [String]) throws(ImageError) {
        guard let raw = curl_easy_init() else { throw ImageError(.outOfMemory, "no memory for a transfer") }
        self.raw = raw
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        headers = lines.reduce(nil) { curl_slist_append($0, $1) }
        set(CURLOPT_ERRORBUFFER, errorText)
        set(CURLOPT_HTTPHEADER, headers)
    }

    deinit {
        curl_easy_cleanup(raw)
        curl_slist_free_all(headers)
        errorText.deallocate()
    }

    /// curl's own account of the last failure; empty when it gave none.
    var explanation: String { String(cString: errorText) }

    func set(_ option: CURLoption, _ value: Int) { check(ccurl_set_long(raw, option, value), option) }

    func set(_ option: CURLoption, bytes: Int) { check(ccurl_set_size(raw, option, curl_off_t(bytes)), option) }

    func set(_ option: CURLoption, _ value: String) { check(ccurl_set_string(raw, option, value), option) }

    private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) {
        check(ccurl_set_pointer(raw, option, value), option)
    }

    func long(_ info: CURLINFO) -> Int { ccurl_get_long(raw, info) }

    func size(_ info: CURLINFO) -> Int { Int(ccurl_get_size(raw, info)) }

    func string(_ info: CURLINFO) -> String? { ccurl_get_string(raw, info).map { String(cString: $0) } }

    /// Every option set here exists in the libcurl that the package asks for; one that fails is our bug.
    private func check(_ code: CURLcode, _ option: CURLoption) {
        precondition(code == CURLE_OK, "curl option \(option.rawValue): \(Curl.text(code))")
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

    func add(_ easy: borrowing EasyHandle) { check(curl_multi_add_handle(raw, easy.raw)) }

    func remove(_ easy: borrowing EasyHandle) { check(curl_multi_remove_handle(raw, easy.raw)) }

    /// Reads and writes what can be without waiting.
    func perform() {
        var running: Int32 = 0
        check(curl_multi_perform(raw, &running))
    }

    /// The next transfer that has ended, by its easy handle.
    func nextFinished() -> (easy: UnsafeMutableRawPointer, code: CURLcode)? {
        var code = CURLE_OK
        return ccurl_next_finished(raw, &code).map { ($0, code) }
    }

    /// Waits for activity, a wake-up, or `milliseconds`.
    func poll(milliseconds: Int32) { check(curl_multi_poll(raw, nil, 0, milliseconds, nil)) }

    private func check(_ code: CURLMcode) {
        precondition(code == CURLM_OK, "curl: \(String(cString: curl_multi_strerror(code)))")
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

    /// Reads a whole URL; returns why it is none.
    func parse(_ text: String) -> String? {
        let code = curl_url_set(raw, CURLUPART_URL, text, UInt32(CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE))
        return code == CURLUE_OK ? nil : String(cString: curl_url_strerror(code))
    }

    /// Replaces a part, or drops it; false when curl does not take the value.
    @discardableResult func set(_ part: CURLUPart, _ value: String?) -> Bool {
        curl_url_set(raw, part, value, 0) == CURLUE_OK
    }

    /// A part of the URL; nil where it has none.
    func part(_ part: CURLUPart, _ flags: Int32 = 0) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(raw, part, &text, UInt32(flags)) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}
