@testable import Images

/// What sites wish: robots.txt and headers.
enum Wishes {
    /// Up to the first NUL a path, behind it a robots.txt, whose first line is a pattern, too.
    @Sendable static func robots(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        let (path, file) = (parts[0], parts.count > 1 ? parts[1] : [])
        let canonical = RobotsPattern.canonical(path)
        precondition(RobotsPattern.canonical(canonical) == canonical)
        precondition(canonical.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "*") })
        let text = String(decoding: path, as: UTF8.self)
        let named = RobotsRules(file, agent: "gloss", obeysOthers: false).refusal(of: text)
        let strict = RobotsRules(file, agent: "gloss", obeysOthers: true).refusal(of: text)
        precondition(named == nil || named == strict)
        precondition(strict.map { $0.utf8.allSatisfy { $0 >= 0x20 } } ?? true)
        let pattern = Array(file.prefix { $0 != 0x0A }.prefix(200))
        guard canonical.count <= 600 else { return }
        precondition(RobotsPattern(pattern).matches(canonical) == matchesSlowly(pattern, canonical))
    }

    /// The places up to which a pattern may have matched, octet by octet.
    private static func matchesSlowly(_ pattern: [UInt8], _ path: [UInt8]) -> Bool {
        let isAnchored = pattern.last == UInt8(ascii: "$")
        var reached: Set<Int> = [0]
        for octet in RobotsPattern.canonical(pattern, isPattern: true) {
            if octet == UInt8(ascii: "*") {
                reached = reached.min().map { Set($0...path.count) } ?? []
            } else {
                reached = Set(reached.filter { $0 < path.count && path[$0] == octet }.map { $0 + 1 })
            }
        }
        return isAnchored ? reached.contains(path.count) : !reached.isEmpty
    }

    @Sendable static func headers(_ bytes: [UInt8]) {
        var head = AnswerHead()
        for line in bytes.split(separator: 0x0A) { line.withUnsafeBytes { _ = head.read($0) } }
        let headers = OptOutHeaders(head)
        let (named, strict) = (headers.refusal(agent: "gloss", .named), headers.refusal(agent: "gloss", .strict))
        precondition(named == nil || strict != nil)
        precondition(headers.refusal(agent: "gloss", .off) == nil)
    }
}
