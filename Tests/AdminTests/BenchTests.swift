import Foundation
import TestSupport
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
        #expect(peaks["instruction_set"] as? String != nil)
    }

    /// With no time for more it measures the products alone.
    @Test func quick() async throws {
        let run = try await Tool()("bench", "quick", "--json", "--seconds", "0", "--images", "1000")
        #expect(run.status == 0, "\(run.errors)")
        let answer = try #require(try run.json().first)
        let machine = try #require(answer["machine"] as? [String: Any])
        #expect(machine["instruction_set"] as? String != nil && (machine["memory_bytes"] as? Int ?? 0) > 1 << 28)
        let precisions = try #require(answer["precisions"] as? [[String: Any]])
        let names = precisions.compactMap { $0["precision"] as? String }
        #expect(names.first == "f32" && names.last == "int8")
        for speed in precisions {
            #expect(speed["estimated"] as? Bool == true)
            let image = try #require(speed["image_seconds"] as? Double)
            #expect(image > 0 && (speed["object_seconds"] as? Double ?? 0) > 8 * image)
        }
        if let choice = answer["choice"] as? String { #expect(names.contains(choice)) }
    }

    @Test func refusesNonsense() async throws {
        for line in [
            ["peaks", "--threads", "0"], ["peaks", "--threads", "1025"], ["peaks", "--seconds", "-1"],
            ["peaks", "--seconds", "nan"], ["object", "--dtype", "f64"], ["object", "--config", "paligemma-3b-225"],
            ["object", "--threads", "0"], ["object", "--no-random-weights"], ["object", "--prompt-tokens", "0"],
            ["object", "--prompt-tokens", "4096"], ["table5", "--batch", "0"], ["table5", "--threads", "-2"],
            ["table5", "--seconds", "inf"], ["gemm", "--rows", "0"], ["gemm", "--dtype", ""],
            ["gemm", "--isa", "sse9"], ["quick", "--images", "0"], ["quick", "--objects", "-1"],
            ["quick", "--seconds", "nan"], ["quick", "--threads", "0"],
        ] {
            let run = try await Tool.run(Tool.path, ["bench"] + line)
            #expect(run.status == 64, "\(line): \(run.errors)")
            #expect(run.errors.contains(line[1]) || run.errors.contains("random weights"), "\(run.errors)")
        }
    }
}
