import CNames

/// libcurl's memory, which runs out where a test says. For processes of their own: it is libcurl's as a whole.
public enum CurlMemory {
    /// Before anything else uses libcurl.
    public static func begin() { curl_memory_begin() }

    /// The allocation of this number fails, counted from 1 from now on; and with `lasts` every one after it. 0: none fails.
    public static func fail(at number: Int, lasts: Bool = false) { curl_memory_fail(number, lasts ? 1 : 0) }

    /// Allocations since `fail`.
    public static var count: Int { curl_memory_count() }
}
