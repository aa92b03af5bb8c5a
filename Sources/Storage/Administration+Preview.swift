import Annotation
import Queue

extension Administration {
    /// The most that `wouldPrune` counts of a kind.
    public static let mostCounted = 1_000_000

    /// What `prune` would delete now; counting ends at `mostCounted`.
    public func wouldPrune(_ keeping: Retention) async throws -> Pruned {
        let answer = try await session.query(
            """
            select
                (select count(*) from (
                    select from gloss.attempt where at < now() - $1::interval limit $5) x),
                (select count(*) from (
                    select from gloss.annotation where finished_at < now() - $2::interval limit $5) x),
                (select count(*) from (select from gloss.dead_job where died_at < now() - $3::interval limit $5) x),
                (select count(*) from (
                    select from gloss.job where image_urls = '{}' and created_at < now() - $4::interval limit $5) x)
            """,
            [
                SQLValue(keeping.history), SQLValue(keeping.results), SQLValue(keeping.dead), SQLValue(keeping.keys),
                SQLValue(Self.mostCounted),
            ], context: "prune")
        let counts = answer.rows.first?.compactMap { $0.flatMap { Int($0) } } ?? []
        guard counts.count == 4 else { throw StorageError.unexpected("prune") }
        var pruned = Pruned()
        (pruned.attempts, pruned.results, pruned.dead, pruned.keys) = (counts[0], counts[1], counts[2], counts[3])
        return pruned
    }

    /// How many jobs `jobs` would list without a limit; counting ends at `most`.
    public func jobCount(_ filter: JobFilter, before: JobID? = nil, most: Int) async throws -> Int {
        let answer = try await session.query(
            "select count(*) from gloss.jobs($1, $2, $3, $4, $5::int, $6::bigint)",
            [
                SQLValue(filter.state), SQLValue(filter.batch), SQLValue(filter.task?.rawValue), SQLValue(filter.key),
                SQLValue(most), SQLValue(before?.rawValue),
            ], context: "jobs")
        guard let count = answer.scalar.flatMap({ Int($0) }) else { throw StorageError.unexpected("jobs") }
        return count
    }
}
