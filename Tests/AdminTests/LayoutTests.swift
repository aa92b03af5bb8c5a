import Console
import Testing

@testable import Admin

@Suite struct LayoutTests {
    @Test func columnsAlign() {
        var table = Table([.number("JOB"), .text("TASK"), .text("")])
        table.add(["7", "caption", ""])
        table.add(["1234", "vqa", "x"])
        #expect(table.lines(width: nil) == [" JOB  TASK", "   7  caption", "1234  vqa      x"])
    }

    @Test(arguments: [20, 24, 30, 40, 60, 200])
    func noLineIsWiderThanTheTerminal(width: Int) {
        var table = Table([.number("N"), .flexible("KEY"), .flexible("REASON")])
        table.add(["1", Table.Cell(String(repeating: "k", count: 30)), Table.Cell(String(repeating: "猫", count: 40))])
        let lines = table.lines(width: width)
        #expect(lines.allSatisfy { $0.columns <= width })
        #expect(lines[1].contains("…") == (width < 115))
    }

    @Test func cellsCannotMoveTheCursor() {
        var table = Table([.text("A")])
        table.add([Table.Cell("x\u{1B}[2J\ny")])
        #expect(table.lines(width: nil)[1] == "x [2J y")
    }

    @Test func messagesCannotMoveTheCursor() {
        let text = "a\u{1B}[2Jb\u{1B}[31mc\u{9B}2Jd\u{07}\te\nf"
        #expect(text.harmless == "a [2Jb\u{1B}[31mc 2Jd \te\nf")
    }

    @Test func colourDoesNotChangeTheWidths() {
        var table = Table([.text("A"), .text("B")])
        table.add([Table.Cell("x", .red), "y"])
        let painted = table.lines(width: nil, palette: Palette(isEnabled: true))[1]
        #expect(painted == "\u{1B}[31mx\u{1B}[0m  y")
    }

    @Test(arguments: [
        ("short", 10, "short"), ("exactly", 7, "exactly"), ("too long", 5, "too …"), ("猫猫猫", 4, "猫…"), ("ab", 0, ""),
    ])
    func cuts(text: String, width: Int, expected: String) { #expect(text.cut(to: width) == expected) }

    @Test(arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567")])
    func counts(number: Int, expected: String) { #expect(Formats.count(number) == expected) }

    @Test(arguments: [
        (0.4, "0s"), (59.4, "59s"), (60, "1m 00s"), (3725, "1h 02m"), (100_000, "1d 03h"), (.infinity, "?"),
    ])
    func durations(seconds: Double, expected: String) { #expect(Formats.duration(seconds: seconds) == expected) }

    @Test(arguments: [
        (0, 2, "0.00"), (-0.001, 2, "0.00"), (-1.005, 1, "-1.0"), (12.3456, 3, "12.346"), (99.96, 1, "100.0"),
        (7.5, 0, "8"),
    ])
    func fixedNumbers(number: Double, digits: Int, expected: String) {
        #expect(Formats.fixed(number, digits) == expected)
    }

    @Test(arguments: [(0.0, "░░░░"), (0.5, "██░░"), (0.99, "███░"), (1.0, "████"), (7, "████"), (-1, "░░░░")])
    func bars(fraction: Double, expected: String) { #expect(Formats.bar(fraction, width: 4) == expected) }

    @Test func progressSaysWhereItIs() {
        let line = ProgressBar.line("enqueue", 0.5, count: 5000, seconds: 10, width: 100)
        #expect(line == "enqueue  ████████████░░░░░░░░░░░░ 50%  5,000  500.0/s  10s left")
        #expect(ProgressBar.line("rows", nil, count: 12, seconds: 0, width: 100) == "rows  12")
        #expect(ProgressBar.line("enqueue", 0.5, count: 5000, seconds: 10, width: 20).columns <= 19)
    }

    @Test(arguments: [("90", 90.0), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172_800)])
    func delays(text: String, seconds: Double) { #expect(Delay(argument: text)?.seconds == seconds) }

    @Test(arguments: ["", "x", "-1", "1w", "s", "nan", "1e99"])
    func badDelays(text: String) { #expect(Delay(argument: text) == nil) }

    @Test func colours() {
        #expect(Colour(argument: "#00ff7F")?.value == 0x00FF7F)
        #expect(Colour(argument: "ffffff")?.value == 0xFFFFFF)
        for bad in ["", "#fff", "#gggggg", "#+12345"] { #expect(Colour(argument: bad) == nil) }
    }
}
