/// Where a page's images come from.
package enum ImageSource: String, CaseIterable, Sendable {
    /// The console fetches them, and shows copies that it has made: browsers ask no other server.
    case copies
    /// From where they were found: a browser is sent there, and asks whoever has them.
    case direct

    /// What the policy of every page allows for images.
    var policy: String {
        switch self {
        case .copies: "'self'"
        case .direct: "'self' http: https:"
        }
    }
}
