/// The texts of the tokens that PaliGemma adds to Gemma's.
enum Marks {
    /// `<loc0000>` … `<loc1023>`.
    static let locations = (0..<1024).map { "<loc\(padded($0, 4))>" }
    /// `<seg000>` … `<seg127>`.
    static let segments = (0..<128).map { "<seg\(padded($0, 3))>" }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: width - digits.count) + digits
    }
}
