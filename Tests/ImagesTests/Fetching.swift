@testable import Images

/// A policy for loopback servers on any port, with short deadlines.
func loopbackPolicy(_ change: (inout FetchPolicy) -> Void = { _ in }) -> FetchPolicy {
    var policy = FetchPolicy()
    policy.allowedNetworks = [CIDR("127.0.0.0/8")].compactMap(\.self)
    policy.allowedPorts = nil
    policy.totalTimeout = .seconds(10)
    policy.connectTimeout = .seconds(5)
    change(&policy)
    return policy
}

/// The error of one fetch; nil when it succeeds.
func fetchError(_ url: String, _ policy: FetchPolicy = loopbackPolicy()) async throws -> ImageError? {
    let fetcher = try ImageFetcher(policy: policy)
    defer { fetcher.shutdown() }
    do {
        _ = try await fetcher.fetch(url)
        return nil
    } catch {
        return error
    }
}
