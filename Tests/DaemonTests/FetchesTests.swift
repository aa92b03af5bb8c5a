import Testing

@testable import Daemon

@Suite struct FetchesTests {
    /// Whoever has seen that a fetch began can end it, however soon: it is known before it runs.
    @Test(.timeLimit(.minutes(2))) func whatHasBegunCanBeCancelled() async {
        let fetches = Fetches<Int>()
        for key in 0..<2000 where !Task.isCancelled {
            let (started, start) = AsyncStream.makeStream(of: Void.self)
            let fetch = Task {
                await fetches.run(key) {
                    start.yield()
                    // Ends when its task is cancelled, and not before.
                    for await _ in AsyncStream<Void>.makeStream().stream {}
                    return key
                }
            }
            for await _ in started.prefix(1) {}
            if Task.isCancelled { fetch.cancel() }
            fetches.cancel(key)
            #expect(await fetch.value == key)
        }
    }
}
