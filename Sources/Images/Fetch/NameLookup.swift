import Foundation
import Glibc

/// Why a name did not resolve: curl does not tell a name that does not exist from a name server that does not answer.
enum NameLookup {
    /// Asks the resolver once more, on a thread of its own, and answers the request: `hostNotFound` when there is no
    /// such name, otherwise with the error as it was.
    static func explain(_ error: ImageError, of request: Request) {
        Thread.detachNewThread {
            let isUnknown = [EAI_NONAME, noData].contains(resolve(request.url.host))
            let host = request.url.host
            let unknown = ImageError(.hostNotFound, "host \(host) does not exist", host: host)
            request.reply.resume(returning: .failure(isUnknown ? unknown : error))
        }
    }

    /// glibc's EAI_NODATA (the name exists and has no address), which its headers hide.
    private static let noData: Int32 = -5

    private static func resolve(_ host: String) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        if list != nil { freeaddrinfo(list) }
        return code
    }
}
