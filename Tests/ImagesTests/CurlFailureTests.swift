import TestSupport
import Testing

@testable import Images

/// libcurl without memory: an error, never the end of the process. Each allocation of a fetch fails in turn; then a fetch succeeds.
@Suite(.timeLimit(.minutes(5))) struct CurlFailureTests {
    @Test func anyAllocationMayFail() async {
        await #expect(processExitsWith: .success) { try await failEachAllocation(andThoseBehind: false) }
    }

    @Test func memoryMayRunOutAtAnyTime() async {
        await #expect(processExitsWith: .success) { try await failEachAllocation(andThoseBehind: true) }
    }
}

private func failEachAllocation(andThoseBehind: Bool) async throws {
    CurlMemory.begin()
    let server = try LoopbackServer(["/1": { $0.redirect(to: "/2") }, "/2": { $0.answer(200, "bytes") }])
    CurlMemory.fail(at: 0)
    _ = try await ImageFetcher(policy: loopbackPolicy()).fetch(server.url("/1"))
    let count = CurlMemory.count
    precondition(count > 50, "\(count)")
    var failureCount = 0
    for number in 1...count + 20 {
        CurlMemory.fail(at: number, lasts: andThoseBehind)
        do throws(ImageError) {
            _ = try await ImageFetcher(policy: loopbackPolicy()).fetch(server.url("/1"))
        } catch {
            precondition(error.disposition != .permanent, "allocation \(number): \(error.code), \(error)")
            failureCount += 1
        }
        CurlMemory.fail(at: 0)
        _ = try await ImageFetcher(policy: loopbackPolicy()).fetch(server.url("/1"))
    }
    precondition(failureCount > count / 2, "\(failureCount) of \(count)")
}
