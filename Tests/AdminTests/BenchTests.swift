import Testing

@Suite struct BenchTests {
    /// What is measured depends on the machine; that all that it has is there does not.
    @Test func peaks() async throws {
        let run = try await Tool()("bench", "peaks", "--json", "--threads", "1", "--seconds", "0")
        #expect(run.status == 0, "\(run.errors)")
        let peaks = try #require(try run.json().first)
        #expect(peaks["threads"] as? Int == 1)
        for key in ["f32", "f32_generic", "memory_bytes"] {
            #expect((peaks[key] as? Double ?? 0) > 1e8, "\(key)")
        }
        #expect((peaks["f32"] as? Double ?? 0) >= (peaks["f32_generic"] as? Double ?? .infinity) * 0.5)
    }

    @Test func refusesNonsense() async throws {
        #expect(try await Tool()("bench", "peaks", "--threads", "0").status == 64)
        #expect(try await Tool()("bench", "peaks", "--seconds", "-1").status == 64)
    }
}
