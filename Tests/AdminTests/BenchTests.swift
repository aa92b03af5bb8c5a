import Foundation
import Storage
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
    }

    /// Each part of both designs, small, in a database that is there.
    @Test func queue() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase(migrated: false)
        let migrations = Tree.root.appendingPathComponent("migrations").path
        let line = [
            "bench", "queue", "--json", "--empty-database", database.conninfo(), "--directory", migrations, "--rows",
            "300",
            "--jobs", "64", "--batch", "8", "--claimers", "2", "--waiting", "0", "100", "--pinned", "1", "--rate",
            "100",
        ]
        let run = try await Tool.run(Tool.path, line)
        #expect(run.status == 0, "\(run.errors)")
        let (settings, rows) = (try run.json().first, try run.json().dropFirst())
        #expect(settings?["fsync"] as? String == "off", "the tests' server does not wait for the disk")
        let parts = ["INSERT … SELECT", "INSERT … SELECT", "COPY", "one by one", "claim", "claim"]
        let pinned = ["steady", "pinned", "pinned, end"]
        #expect(rows.map { $0["part"] as? String } == (parts + pinned) + (parts + pinned))
        for row in rows where row["part"] as? String == "claim" {
            #expect((row["jobs_per_second"] as? Double ?? 0) > 0 && (row["claim_p99_ms"] as? Double ?? 0) > 0)
        }
        #expect(try await database.query("select to_regnamespace('gloss')").scalar == nil, "it leaves nothing")
        let other = try await PrivatePostgres.shared.makeDatabase()
        let refused = try await Tool.run(Tool.path, ["bench", "queue", "--empty-database", other.conninfo()])
        #expect(refused.status == 1 && refused.errors.contains("the database is not empty"), "\(refused.errors)")
    }

    @Test func refusesNonsense() async throws {
        for line in [
            ["peaks", "--threads", "0"], ["peaks", "--threads", "1025"], ["peaks", "--seconds", "-1"],
            ["peaks", "--seconds", "nan"], ["object", "--dtype", "f64"], ["object", "--config", "paligemma-3b-225"],
            ["object", "--threads", "0"], ["object", "--no-random-weights"], ["object", "--prompt-tokens", "0"],
            ["object", "--prompt-tokens", "4096"], ["table5", "--batch", "0"], ["table5", "--threads", "-2"],
            ["table5", "--seconds", "inf"], ["gemm", "--rows", "0"], ["gemm", "--dtype", ""],
            ["queue", "--batch", "0"], ["queue", "--waiting", "5", "1"],
            ["queue", "--claimers", "33"], ["queue", "--pinned", "-1"],
        ] {
            let run = try await Tool.run(Tool.path, ["bench"] + line)
            #expect(run.status == 64, "\(line): \(run.errors)")
            #expect(run.errors.contains(line[1]) || run.errors.contains("random weights"), "\(run.errors)")
        }
    }
}
