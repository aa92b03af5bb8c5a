/// What an answer's headers say about the use of its file: `X-Robots-Tag`, as search engines read it, and `TDM-Reservation` of the TDM
/// Reservation Protocol.
struct OptOutHeaders {
    private let robotsTags: [String]
    private let reservesMining: Bool

    private static let against: Set<String> = ["noai", "noimageai"]
    private static let againstIndexing: Set<String> = ["noindex", "noimageindex", "none"]
    /// Directives that have a value behind a colon; another word there is a user agent.
    private static let withValue: Set<String> = [
        "unavailable_after", "max-snippet", "max-image-preview", "max-video-preview",
    ]

    init(_ head: AnswerHead) {
        robotsTags = head.values("x-robots-tag")
        reservesMining = head.values("tdm-reservation").contains { Self.words($0) == ["1"] }
    }

    /// The header that refuses the use of the file, for a message; nil if none does.
    ///
    /// - Parameter agent: our product token, in lowercase.
    func refusal(agent: String, _ optOuts: OptOuts) -> String? {
        if optOuts == .off { return nil }
        if reservesMining { return "TDM-Reservation: 1" }
        return robotsTags.lazy.compactMap { Self.refusal(in: $0, agent: agent, optOuts) }.first
    }

    /// `directive, directive` for everybody, `agent: directive, directive` for one; several of them may be joined in one line.
    private static func refusal(in tag: String, agent: String, _ optOuts: OptOuts) -> String? {
        var addressee: String?
        for item in tag.split(separator: ",") {
            var directive = item
            if let colon = item.firstIndex(of: ":") {
                let names = words(item[..<colon])
                // The rest of a date has a colon, too.
                guard let name = names.first, names.count == 1, !withValue.contains(name) else { continue }
                addressee = name
                directive = item[item.index(after: colon)...]
            }
            let isForUs = !agent.isEmpty && addressee?.productToken == agent
            guard isForUs || addressee == nil || addressee == "*" else { continue }
            guard let word = words(directive).first, words(directive).count == 1 else { continue }
            if against.contains(word) || (isForUs || optOuts == .strict) && againstIndexing.contains(word) {
                return "X-Robots-Tag: " + (isForUs ? "\(agent): " : "") + word
            }
        }
        return nil
    }

    private static func words(_ text: some StringProtocol) -> [String] {
        text.split { " \t\r\n".contains($0) }.map { $0.lowercased() }
    }
}
