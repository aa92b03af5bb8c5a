import FlyingFox
import Foundation

/// What the console sends back.
struct Reply: Sendable {
    var status = 200
    var type = "text/html; charset=utf-8"
    var body = Data()
    /// Whether a browser may keep it: pages never, since they show data; pictures and the style do.
    var cache = "no-store"
    /// Where to go instead.
    var location: String?
    var cookie: String?

    /// A page.
    init(_ html: HTML, status: Int = 200) { (body, self.status) = (Data(html.description.utf8), status) }

    init(type: String, body: Data, status: Int = 200, cache: String) {
        (self.type, self.body, self.status, self.cache) = (type, body, status, cache)
    }

    /// To another address of this site.
    static func redirect(to location: String, cookie: String? = nil) -> Reply {
        var reply = Reply("", status: 303)
        (reply.location, reply.cookie) = (location, cookie)
        return reply
    }

    /// For one address, for as long as a browser likes: the address changes with what is there.
    static let immutable = "private, max-age=31536000, immutable"

    /// HTTP's words for a status of ours.
    static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 303: "See Other"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        default: "Internal Server Error"
        }
    }

    /// What every answer says: nothing may be loaded from elsewhere, nothing framed, and nobody else may read it.
    private static let guards = [
        "X-Content-Type-Options": "nosniff",
        // Not no-referrer: with it browsers send `Origin: null` with our own forms.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    ]

    /// - Parameters:
    ///   - isBodyless: the request was HEAD.
    ///   - images: where pages may have images from.
    func response(isBodyless: Bool, images: ImageSource) -> HTTPResponse {
        var headers = HTTPHeaders()
        headers[HTTPHeader("Content-Security-Policy")] =
            "default-src 'none'; img-src \(images.policy); style-src 'self'; script-src 'self'; connect-src 'self'; "
            + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        for (name, value) in Self.guards { headers[HTTPHeader(name)] = value }
        headers[.contentType] = type
        headers[HTTPHeader("Cache-Control")] = cache
        if let location { headers[.location] = location }
        if let cookie { headers[HTTPHeader("Set-Cookie")] = cookie }
        if status == 401 { headers[HTTPHeader("WWW-Authenticate")] = "Bearer realm=\"gloss\"" }
        if status == 405 { headers[HTTPHeader("Allow")] = "GET, HEAD, POST" }
        return HTTPResponse(
            statusCode: HTTPStatusCode(status, phrase: Self.phrase(status)),
            headers: headers, body: isBodyless ? Data() : body)
    }
}
