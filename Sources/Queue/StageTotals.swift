/// What a stage of a daemon's pipeline has done since the daemon started.
public struct StageTotals: Hashable, Sendable, Codable {
    /// Seconds spent.
    public var seconds: Double
    /// What they were spent on: images, prefixes, steps, statements.
    public var units: Int
    /// Tokens computed, where the stage computes tokens.
    public var rows: Int

    public init(seconds: Double = 0, units: Int = 0, rows: Int = 0) {
        self.seconds = seconds
        self.units = units
        self.rows = rows
    }
}
