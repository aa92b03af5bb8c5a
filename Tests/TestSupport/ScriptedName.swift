import CNames

/// A host name of a test's own, which resolves as the test says.
public struct ScriptedName: Sendable {
    /// The name; no other test has it.
    public let name: String

    /// - Parameters:
    ///   - label: a label for this test, in lower case.
    ///   - answers: the addresses that each lookup gives in turn; the last for ever. An empty list: no such name.
    public init(_ label: String, _ answers: [String]...) {
        name = label + ".scripted.test"
        names_script(name, answers.map { $0.joined(separator: " ") }.joined(separator: ";"))
    }

    /// The answer of a name server that does not answer.
    public static let silence = ["!"]

    /// While it is held, lookups of it do not end.
    public func hold(_ isHeld: Bool) { names_hold(name, isHeld ? 1 : 0) }

    /// How often it was looked up.
    public var lookupCount: Int { Int(names_lookup_count(name)) }
}
