import CCurl

/// curl's error codes, translated.
enum TransferFailure {
    /// - Parameters:
    ///   - place: The host, as messages name it.
    ///   - explanation: curl's own text; may be empty.
    ///   - hasAnswer: Whether the server answered before. One that hangs up without a word does so whatever the URL.
    static func error(_ code: CURLcode, place: String, explanation: String, hasAnswer: Bool) -> ImageError {
        let why = explanation.isEmpty ? Curl.text(code) : explanation
        let meaning = meaning(of: code)
        let isHostWide = meaning == .connectionLost && !hasAnswer
        return ImageError(meaning, "\(place): \(why)", blame: isHostWide ? .origin : nil)
    }

    /// What each of curl's codes means, of those that end a transfer over HTTP.
    static func meaning(of code: CURLcode) -> ImageError.Code {
        switch code {
        case CURLE_URL_MALFORMAT: .invalidURL
        case CURLE_LOGIN_DENIED: .userinfo
        case CURLE_COULDNT_RESOLVE_HOST: .nameServerFailure
        case CURLE_COULDNT_CONNECT: .connectFailed
        case CURLE_OPERATION_TIMEDOUT: .timeout
        case CURLE_FILESIZE_EXCEEDED: .tooLarge
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM,
            CURLE_NO_CONNECTION_AVAILABLE:
            .connectionLost
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS,
            CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            .badCertificate
        // The last: the server wants a certificate of ours.
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_SHUTDOWN_FAILED, CURLE_USE_SSL_FAILED,
            CURLE_SSL_CLIENTCERT:
            .tls
        case CURLE_OUT_OF_MEMORY: .outOfMemory
        case CURLE_FAILED_INIT, CURLE_NOT_BUILT_IN, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE,
            CURLE_SSL_CERTPROBLEM, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED,
            CURLE_UNKNOWN_OPTION, CURLE_BAD_FUNCTION_ARGUMENT, CURLE_RECURSIVE_API_CALL, CURLE_INTERFACE_FAILED,
            CURLE_COULDNT_RESOLVE_PROXY, CURLE_PROXY:
            .localFailure
        default: .badResponse
        }
    }
}
