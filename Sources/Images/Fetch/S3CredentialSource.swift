import Foundation

/// Where the key for S3 comes from: see ``S3Policy/Credentials-swift.enum``. It is looked for again when it may have changed.
actor S3CredentialSource {
    private let policy: S3Policy
    private let environment: [String: String]
    private var known: (credentials: S3Credentials, end: ContinuousClock.Instant)?
    private var search: Task<Result<(S3Credentials, Duration), ImageError>, Never>?

    /// Files are read again so often.
    private static let filePatience = Duration.seconds(60)

    init(_ policy: S3Policy, environment: [String: String]) {
        self.policy = policy
        self.environment = environment
    }

    /// What signs the next request; nil: nothing does. Throws ``ImageError`` (`credentials`), which may pass.
    func signature() async throws(ImageError) -> S3Signature? {
        guard policy.credentials != .none else { return nil }
        if let known, known.end > .now {
            return S3Signature(credentials: known.credentials, region: policy.signingRegion)
        }
        let search = search ?? Task { [policy, environment] in await Self.find(policy, environment) }
        self.search = search
        let result = await search.value
        self.search = nil
        let (credentials, patience) = try result.get()
        known = (credentials, .now + patience)
        return S3Signature(credentials: credentials, region: policy.signingRegion)
    }

    /// The store refused the key: look for another one.
    func forget() { known = nil }

    /// A key, and how long it may be used without another look.
    private static func find(
        _ policy: S3Policy, _ environment: [String: String]
    ) async -> Result<(S3Credentials, Duration), ImageError> {
        do throws(ImageError) {
            let files = AWSFiles(environment: environment, profile: policy.profile)
            if let local = try files.credentials() { return .success((local, filePatience)) }
            guard policy.credentials == .instance else { throw files.missing }
            return .success(try await InstanceMetadata(endpoint: policy.metadataEndpoint).credentials())
        } catch {
            return .failure(ImageError(error.code, error.message, disposition: .retry(after: nil)))
        }
    }
}

/// The environment and the files that AWS tools read.
struct AWSFiles {
    let environment: [String: String]
    /// Nil: that of the environment. One that is given goes before keys in the environment.
    let profile: String?

    private var profileName: String { profile ?? value("AWS_PROFILE") ?? "default" }

    /// Nil where a variable is empty, too.
    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// Where the file of keys is.
    var place: String {
        if let folder = value("CREDENTIALS_DIRECTORY") {
            let file = folder + "/aws-credentials"
            if FileManager.default.fileExists(atPath: file) { return file }
        }
        return value("AWS_SHARED_CREDENTIALS_FILE") ?? "\(environment["HOME"] ?? "")/.aws/credentials"
    }

    /// That there are none.
    var missing: ImageError {
        ImageError(.credentials, "there is no key for s3:, neither in the environment nor in \(place)")
    }

    /// Nil: there are none. Throws ``ImageError`` (`credentials`).
    func credentials() throws(ImageError) -> S3Credentials? {
        if profile == nil, let key = value("AWS_ACCESS_KEY_ID"), let secret = value("AWS_SECRET_ACCESS_KEY") {
            return try S3Credentials(accessKey: key, secretKey: secret, sessionToken: value("AWS_SESSION_TOKEN"))
        }
        for (file, section) in [(place, profileName), configuration] {
            let values = Self.section(section, of: file)
            guard let key = values["aws_access_key_id"], let secret = values["aws_secret_access_key"] else { continue }
            return try S3Credentials(accessKey: key, secretKey: secret, sessionToken: values["aws_session_token"])
        }
        return nil
    }

    /// The region that is set; nil: none.
    var region: String? {
        value("AWS_REGION") ?? value("AWS_DEFAULT_REGION")
            ?? Self.section(configuration.section, of: configuration.file)["region"]
    }

    /// The endpoint that is set; nil: none.
    var endpoint: String? { value("AWS_ENDPOINT_URL_S3") ?? value("AWS_ENDPOINT_URL") }

    private var configuration: (file: String, section: String) {
        (
            value("AWS_CONFIG_FILE") ?? "\(environment["HOME"] ?? "")/.aws/config",
            profileName == "default" ? "default" : "profile \(profileName)"
        )
    }

    /// Keys and values of a section; empty where there is no such file or section.
    private static func section(_ name: String, of file: String) -> [String: String] {
        guard let bytes = FileManager.default.contents(atPath: file) else { return [:] }
        var isWanted = false
        var values: [String: String] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let text = line.trimmingCharacters(in: .whitespaces)
            if text.hasPrefix("#") || text.hasPrefix(";") { continue }
            if text.hasPrefix("[") {
                isWanted = text.dropFirst().prefix { $0 != "]" }.trimmingCharacters(in: .whitespaces) == name
            } else if isWanted, let equals = text.firstIndex(of: "=") {
                let key = text[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
                values[key] = text[text.index(after: equals)...].trimmingCharacters(in: .whitespaces)
            }
        }
        return values
    }
}
