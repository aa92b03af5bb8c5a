import CCurl
import Foundation

/// The policy as it holds for one URL: its rule of ``FetchPolicy/hosts`` applied, and headers read from where they stand.
struct HostRules: Sendable {
    /// What holds for one URL.
    struct Terms: Sendable {
        /// The most requests at a time to a line of requests, all daemons together.
        let concurrency: Int
        let delay: Duration
        let userAgent: String
        let certificates: HostRule.Certificates
        let optOuts: OptOuts
        /// Whether opt-outs are obeyed in allowed networks, too.
        let obeysEverywhere: Bool
        /// Whole lines.
        fileprivate var headers: [String]
        /// Set where limits of its own keep it apart from hosts that share its line otherwise.
        let lineMark: String

        /// Our name in robots.txt.
        let agent: String

        /// The lines of a request's head that curl does not write itself.
        func headers(for purpose: Request.Purpose) -> [String] {
            if headers.contains(where: { $0.lowercased().hasPrefix("accept:") }) { return headers }
            return [purpose == .robots ? "Accept: text/plain, */*;q=0.1" : Self.accept] + headers
        }

        private static let accept = "Accept: image/jpeg, image/png, image/webp, */*;q=0.1"

        /// Says who asks and which certificates are trusted. Throws ``ImageError`` (`outOfMemory`, `localFailure`).
        func apply(to easy: borrowing EasyHandle, _ policy: FetchPolicy) throws(ImageError) {
            try easy.set(CURLOPT_USERAGENT, userAgent)
            switch certificates {
            case .asElsewhere: try trust(policy.certificateAuthorities ?? Curl.systemAuthorities, easy)
            case .authorities(let file): try trust(file, easy)
            case .any:
                try easy.set(CURLOPT_SSL_VERIFYPEER, 0)
                try easy.set(CURLOPT_SSL_VERIFYHOST, 0)
            }
        }

        /// Trusts the authorities in a file and no others; nil: libcurl's own. It would also trust those in the system's folder, and with
        /// a folder it reads the file again for each connection: 25 ms for Debian's. Without one it keeps what it read.
        private func trust(_ file: String?, _ easy: borrowing EasyHandle) throws(ImageError) {
            guard let file else { return }
            try easy.set(CURLOPT_CAINFO, file)
            try easy.set(CURLOPT_CAPATH, nil)
        }
    }

    private let general: Terms
    private let rules: [(pattern: HostPattern, terms: Terms)]

    /// Reads the headers. Throws ``ImageError`` (`localFailure`) where one cannot be read, and never shows one.
    init(_ policy: FetchPolicy, environment: [String: String] = ProcessInfo.processInfo.environment) throws(ImageError)
    {
        general = Terms(policy, HostRule(match: "*"), [])
        var rules: [(HostPattern, Terms)] = []
        for rule in policy.hosts {
            guard let pattern = HostPattern(rule.match) else { continue }  // refused by the policy's check
            var lines: [String] = []
            for (name, source) in rule.headers.sorted(by: { $0.key < $1.key }) {
                lines.append("\(name): \(try source.value(name, environment: environment))")
            }
            rules.append((pattern, Terms(policy, rule, lines)))
        }
        self.rules = rules
    }

    /// What holds for a URL.
    func terms(for url: FetchURL) -> Terms {
        guard let rule = rules.first(where: { $0.pattern.matches(url) }) else { return general }
        guard url.scheme != "https", rule.pattern.scheme != "http" else { return rule.terms }
        var terms = rule.terms
        terms.headers = []
        return terms
    }
}

extension HostRules.Terms {
    fileprivate init(_ policy: FetchPolicy, _ rule: HostRule, _ headers: [String]) {
        concurrency = rule.concurrency ?? policy.perHostConcurrency
        delay = rule.delay ?? policy.perHostDelay
        userAgent = rule.userAgent ?? policy.userAgent
        agent = OptOuts.productToken(of: userAgent)
        certificates = rule.certificates
        optOuts = rule.optOuts ?? policy.optOuts
        obeysEverywhere = rule.optOuts != nil
        self.headers = headers
        lineMark = rule.concurrency == nil && rule.delay == nil ? "" : "\(rule.match) "
    }
}
