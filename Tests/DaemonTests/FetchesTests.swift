import Testing

@testable import Daemon

@Suite struct FetchesTests {
    /// A fetch is known before it does anything: whatever it sets off can end it, however soon.
    @Test func whatHasBegunCanBeCancelled() async {
        let fetches = Fetches<Int>()
        for key in 0..<2000 {
            let isCancelled = await fetches.run(key) {
                fetches.cancel(key)
                return Task.isCancelled
            }
            #expect(isCancelled)
        }
    }
}
