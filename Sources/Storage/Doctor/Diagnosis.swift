/// What doctor found out about one thing.
public struct Diagnosis: Sendable, Codable, Equatable {
    /// How it stands, from good to bad.
    public enum Level: String, Sendable, Codable, Comparable, CaseIterable {
        /// As it should be.
        case ok
        /// It could not be seen.
        case unseen
        /// It works, but somebody should look.
        case warning
        /// It does not work, or will soon not.
        case error

        /// Worse is more.
        public static func < (left: Level, right: Level) -> Bool {
            allCases.firstIndex(of: left)! < allCases.firstIndex(of: right)!
        }
    }

    /// What was looked at, one word.
    public var check: String
    /// How it stands.
    public var level: Level
    /// What was found.
    public var message: String
    /// What to do about it; nil if nothing.
    public var advice: String?

    public init(_ check: String, _ level: Level, _ message: String, advice: String? = nil) {
        self.check = check
        self.level = level
        self.message = message
        self.advice = advice
    }
}
