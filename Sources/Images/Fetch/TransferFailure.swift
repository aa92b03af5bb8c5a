import CCurl

/// curl's error codes, translated.
enum TransferFailure {
    /// - Parameters:
    ///   - place: The host, as messages name it.
    ///   - explanation: curl's own text; may be empty.
    static func error(_ code: CURLcode, place: String, explanation: String) -> ImageError {
        let why = explanation.isEmpty ? Curl.text(code) : explanation
        return ImageError(meaning(of: code), "\(place): \(why)")
    }

    private static func meaning(of code: CURLcode) -> ImageError.Code {
        switch code {
        case CURLE_URL_MALFORMAT: .invalidURL
        case CURLE_LOGIN_DENIED: .userinfo
        case CURLE_COULDNT_RESOLVE_HOST: .nameServerFailure
        case CURLE_COULDNT_CONNECT: .connectFailed
        case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM:
            .connectionLost
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS: .badCertificate
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_SHUTDOWN_FAILED: .tls
        case CURLE_OUT_OF_MEMORY: .outOfMemory
        case CURLE_FAILED_INIT, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_CERTPROBLEM: .localFailure
        default: .badResponse
        }
    }
}
