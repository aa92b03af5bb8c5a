/// What a status of HTTP says about a later attempt, where the answer is no file. docs/fetching.md has the table.
enum HTTPStatus {
    /// What it means.
    enum Meaning: CaseIterable {
        /// The answer stays as it is.
        case final
        /// The answer passes by itself.
        case passing
        /// The host as a whole fails, or what stands before it does not reach it.
        case hostFails
        /// The host asks for fewer requests.
        case asksForPatience
    }

    /// The meaning of a status without `Retry-After`.
    static func meaning(_ status: Int) -> Meaning {
        switch status {
        // Too many requests.
        case 429: .asksForPatience
        // Bad gateway, unavailable, gateway timeout; the same in Cloudflare's words; bandwidth exceeded, overloaded, and what
        // Twitter and Shopify say for 429.
        case 502, 503, 504, 520...527, 530, 509, 529, 420, 430: .hostFails
        // Accepted, a part or "unchanged" that nobody asked for: a cache's mistake. Request timeout, conflict, misdirected,
        // locked, too early, client closed request. Server errors.
        case 202, 206, 304, 408, 409, 421, 423, 425, 499, 500...599: .passing
        default: .final
        }
    }

    /// Whether an answer with `Retry-After` speaks of the host: it limits how often it is asked.
    static func limitsRequests(_ status: Int) -> Bool { status == 403 || meaning(status) == .hostFails }
}
