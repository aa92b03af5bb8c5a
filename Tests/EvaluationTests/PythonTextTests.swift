import Testing

@testable import Evaluation

/// Where Swift's String differs from Python's str.
@Suite struct PythonTextTests {
    @Test func comparesAndCountsCodePoints() {
        #expect(!PythonText.areEqual("\u{E9}", "e\u{301}") && "\u{E9}" == "e\u{301}")
        #expect(PythonText("\u{E9}") != PythonText("e\u{301}"))
        #expect(PythonText("e\u{301}").count == 2 && PythonText("👨‍👩‍👧").count == 5)
        #expect(PythonText("Straße").uppercasedCount == 7)
    }

    @Test(arguments: [
        ("ΑΣ", "ας"), ("ΑΣΒ", "ασβ"), ("Σ", "σ"), ("ΑΣ.", "ας."), ("Α\u{AD}Σ", "α\u{AD}ς"), ("İ", "i\u{307}"),
        ("ABC é", "abc é"),
    ])
    func lowersWithTheFinalSigma(text: String, lowered: String) {
        #expect(PythonText(text).lowercased() == PythonText(lowered))
    }

    @Test func splitsAndStripsAtPythonsWhiteSpace() {
        let text = PythonText("\u{1C}a\u{1F}b\u{85}c\u{A0}d\u{200B}e\u{3000}")
        #expect(text.split().map(\.string) == ["a", "b", "c", "d\u{200B}e"])
        #expect(text.stripped().count == 9)
        #expect(PythonText("a  b ").split(separator: " ").map(\.string) == ["a", "", "b", ""])
    }

    @Test(arguments: [
        ("1_000", 1000), (" 5 ", 5), ("１２", 12), ("\u{660}.5", 0.5), ("-.5", -0.5), ("5.", 5), ("1e1_0", 1e10),
        ("inf", .infinity), ("-Infinity", -.infinity), ("1e999", .infinity), ("\u{2003}7", 7), ("-0", 0),
    ])
    func readsPythonsFloats(text: String, value: Double) { #expect(PythonText(text).float == value) }

    @Test(arguments: [
        "0x10", "1,000", "1__0", "_1", "1_", "1_.5", "", " ", ".", "e5", "1e", "\u{1C}5", "½", "²", "1 5", "infin",
        "+-5",
        "--inf", "５．５",
    ])
    func refusesWhatPythonRefuses(text: String) { #expect(PythonText(text).float == nil) }

    @Test func refusesANullByte() { #expect(PythonText("5\u{0}").float == nil) }

    @Test func readsNotANumber() { #expect(PythonText("-NaN").float?.isNaN == true) }
}
