import Annotation
import Foundation
import Queue
import TestSupport
import Testing

@testable import Storage

@Suite struct SQLStateTests {
    /// The states in a list of PostgreSQL's, errcodes.txt.
    private static func states(in file: String) throws -> [String] {
        try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count >= 3, words[0].count == 5, words[2].hasPrefix("ERRCODE_") else { return nil }
            return String(words[0])
        }
    }

    @Test func everyClassOfPostgreSQLIsDecided() throws {
        let versions = try FileManager.default.contentsOfDirectory(atPath: "/usr/share/postgresql")
        var files = versions.map { "/usr/share/postgresql/\($0)/errcodes.txt" }
        // Beside the server of scripts/test --postgres, wherever that really lies.
        if let named = ProcessInfo.processInfo.environment["GLOSS_TEST_POSTGRES"] {
            let folder = URL(fileURLWithPath: named + "/bin").resolvingSymlinksInPath().deletingLastPathComponent().path
            files += ["share", "share/postgresql"].map { "\(folder)/\($0)/errcodes.txt" }
        }
        files = files.filter { FileManager.default.fileExists(atPath: $0) }
        try #require(!files.isEmpty)
        let decided = Set(SQLStateRule.all.map(\.prefix))
        for file in files {
            let states = try Self.states(in: file)
            #expect(states.count > 200)
            let undecided = Set(states.map { String($0.prefix(2)) }).subtracting(decided)
            #expect(undecided == [], "\(file)")
            let known = Set(states + states.map { String($0.prefix(2)) })
            // Class 10 is new in version 18, and 72 went with 17.
            #expect(decided.subtracting(known).subtracting(["10", "72"]) == [], "rules that hold for nothing")
        }
    }

    @Test(
        arguments: [
            // The database is away, busy or full, and the same connection may be used again.
            (["40001", "40P01", "53000", "53100", "53200", "53300", "54000", "55000", "55006", "55P03"], "retry"),
            (["57000", "57014", "58000", "58030", "72000", "XX000"], "retry"),
            // This server, or this session, is of no use.
            (["08000", "08006", "08P01", "25006", "25P01", "25P02", "25P03", "25P04", "26000"], "reconnect"),
            (["57P01", "57P02", "57P03", "57P04", "57P05", "ZZ999"], "reconnect"),
            (["21000", "22021", "22023", "22P02", "23502", "23505", "44000", "P0001", "P0002"], "permanent"),
            (["0A000", "28000", "28P01", "3D000", "3F000", "42501", "42601", "42703", "42883", "42P01"], "fatal"),
            (["55P02", "55P04", "XX001", "XX002"], "fatal"),
        ])
    func statesThatMatterAreDecided(states: [String], decision: String) {
        for state in states {
            let error = StorageError(code: .refused(sqlState: state), context: "claim", message: "no")
            let expected: StorageError.Disposition =
                switch decision {
                case "permanent": .permanent
                case "fatal": .fatal
                default: .retry
                }
            #expect(error.disposition == expected, "\(state)")
            #expect(error.endsConnection == (decision == "reconnect"), "\(state)")
        }
    }

    @Test func whatIsTooLargeIsTriedWithLess() {
        let states = ["53200", "54000", "54001", "53100", "22023"]
        let large = states.filter {
            StorageError(code: .refused(sqlState: $0), context: "claim", message: "no").isTooLarge
        }
        #expect(large == ["53200", "54000", "54001"])
    }

    /// A server to which more than two jobs at once are too much.
    @Test func tooMuchIsHalvedAndWrittenOneByOne() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        try await database.session().script(
            """
            create schema real authorization gloss_owner;
            alter function gloss.claim set schema real;
            create function gloss.claim(
                worker bigint, identity uuid, max_jobs int, max_bytes int, max_seconds float8, weights jsonb)
            returns setof gloss.claimed_job language plpgsql security definer as $$
            begin
                if max_jobs > 2 then raise exception using errcode = '54000', message = 'too much'; end if;
                return query select * from real.claim(worker, identity, max_jobs, max_bytes, max_seconds, weights);
            end $$;
            alter function gloss.record set schema real;
            create function gloss.record(
                worker bigint, identity uuid, reports jsonb, out receipts text[], out ended bigint[])
            language plpgsql security definer as $$
            begin
                if jsonb_array_length(reports) > 1 or reports #>> '{0,result,texts,0}' = 'huge' then
                    raise exception using errcode = '54000', message = 'too much';
                end if;
                select r.receipts, r.ended into receipts, ended from real.record(worker, identity, reports) r;
            end $$;
            grant execute on all functions in schema gloss to gloss_worker
            """)
        let producer = database.administration(as: .producer)
        for n in 1...3 { _ = try await producer.enqueue(Samples.caption("https://example.org/\(n).jpg")) }
        let store = database.store()
        let worker = try await store.register(Samples.worker())
        let two = try await store.claim(limit: 9, by: worker)
        #expect(two.count == 2, "9, 4, 2")
        let receipts = try await store.record(
            [JobReport(two[0], Samples.completed()), JobReport(two[1], Samples.completed("huge"))], by: worker)
        #expect(receipts == [.recorded, .unrecordable])
        #expect(try await store.claim(limit: 1, by: worker).count == 1)
    }
}
