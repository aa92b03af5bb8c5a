import Foundation
import TestSupport
import Testing

@testable import Images

/// What the store is, as Tests/Stores/store.py says.
private let givenStore = ProcessInfo.processInfo.environment["GLOSS_TEST_STORE"]

/// An S3 store of others (scripts/check-stores): objects with every kind of byte in their keys, lasting keys and those of a role, and
/// keys that may not.
@Suite(.enabled(if: givenStore != nil, "scripts/check-stores runs this")) struct StoreServerTests {
    private struct Store: Decodable {
        let endpoint, region: String
        let keys, wrong: [[String: String]]
        let objects: [String: String]
    }

    private func store() throws -> Store { try JSONDecoder().decode(Store.self, from: Data((givenStore ?? "").utf8)) }

    private func policy(_ store: Store) -> FetchPolicy {
        loopbackPolicy {
            $0.s3.buckets = ["*"]
            $0.s3.endpoint = store.endpoint
            $0.s3.region = store.region
        }
    }

    @Test func readsEachObject() async throws {
        let store = try store()
        for key in store.keys {
            let fetcher = try ImageFetcher(policy: policy(store), environment: key)
            for (url, sha256) in store.objects.sorted(by: { $0.key < $1.key }) {
                let file = try await fetcher.fetch(url)
                #expect(file.sha256 == sha256 && file.finalURL == url, "\(url)")
            }
        }
        print("check-stores: \(store.objects.count) objects read with \(store.keys.count) kinds of key")
    }

    @Test func isRefused() async throws {
        let store = try store()
        let objects = store.objects.keys.sorted()
        for key in store.wrong {
            let fetcher = try ImageFetcher(policy: policy(store), environment: key)
            let error = await #expect(throws: ImageError.self) { try await fetcher.fetch(objects[0]) }
            #expect(error?.code == .credentials && error?.disposition == .permanent, "\(String(describing: error))")
        }
        var openly = policy(store)
        openly.s3.credentials = .none
        let unsigned = try ImageFetcher(policy: openly, environment: [:])
        let anonymous = await #expect(throws: ImageError.self) { try await unsigned.fetch(objects[0]) }
        #expect(anonymous?.code == .credentials)
        let fetcher = try ImageFetcher(policy: policy(store), environment: store.keys[0])
        for url in ["s3://images/none", "s3://no-such-bucket/a"] {
            let error = await #expect(throws: ImageError.self) { try await fetcher.fetch(url) }
            #expect(error?.code == .httpStatus(404) && error?.disposition == .permanent, "\(url)")
        }
        print("check-stores: \(store.wrong.count + 3) refusals")
    }
}
