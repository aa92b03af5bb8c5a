import Foundation
import Storage
import TestSupport
import Testing

@testable import Admin

/// How a status is cut to a terminal.
@Suite struct StatusTests {
    private func status(_ counts: [Int]) throws -> QueueStatus {
        func rows<Row: Decodable>(_ count: Int, _ json: String) throws -> [Row] {
            try (0..<count).map {
                try JSONDecoder().decode(Row.self, from: Data(json.replacing("#", with: "\($0)").utf8))
            }
        }
        var status = QueueStatus()
        status.depth = try rows(
            counts[0], #"{"task":"caption","model":"m#","waiting":1,"running":1,"done":1,"dead":0,"paused":false}"#)
        status.hosts = try rows(
            counts[1], #"{"host":"h#","parked_until":"","seconds_left":9,"reason":"three failures"}"#)
        status.workers = try rows(
            counts[2],
            """
            {"worker":#,"host":"w#","pid":1,"version":"0.1.0","models":["m"],"started_at":"","silent_seconds":1,"running":1,
            "alive":true}
            """)
        status.batches = try rows(
            counts[3],
            #"{"batch":"b#","total":9,"done":1,"dead":0,"left":8,"percent":1,"paused":false,"created_at":""}"#)
        return status
    }

    @Test(
        arguments: [[1, 0, 1, 1], [3, 2, 2, 100], [50, 50, 50, 50], [0, 0, 0, 0], [1, 1, 1, 1]], [6, 10, 23, 24, 60])
    func itFitsTheTerminal(counts: [Int], height: Int) throws {
        let status = try status(counts)
        let lines = status.lines(width: 80, height: height, palette: Palette(isEnabled: false))
        #expect(lines.count <= height, "\(lines.joined(separator: "\n"))")
        let titles = ["QUEUE", "PARKED", "WORKERS", "BATCHES"]
        let all = status.lines(width: 80, palette: Palette(isEnabled: false))
        for (title, count) in zip(titles, counts) where count > 0 {
            #expect(all.contains(title.hasPrefix("P") ? "PARKED HOSTS" : title))
            // What is not shown is named.
            #expect(
                lines.contains { $0.hasPrefix(title) || $0.contains(" \(title.lowercased()) (\(count))") }, "\(lines)")
        }
        if counts[0] > 0 { #expect(lines[0].hasPrefix("QUEUE"), "the most important first") }
    }

    @Test func whatIsCutSaysSo() throws {
        let lines = try status([3, 2, 2, 100]).lines(width: 80, height: 23, palette: Palette(isEnabled: false))
        #expect(lines.contains { $0.hasPrefix("BATCHES (") && $0.hasSuffix(" of 100)") })
        #expect(lines.contains("QUEUE") && lines.contains("WORKERS"))
    }

    @Test func theScreenIsWrittenOver() throws {
        let screen = Status.screen(try status([3, 2, 2, 100]), (80, 24), Palette(isEnabled: true))
        #expect(screen.count { $0 == "\n" } <= 23)
        #expect(screen.hasPrefix("\u{1B}[?7l\u{1B}[H") && screen.hasSuffix("\u{1B}[J\u{1B}[?7h"))
        #expect(!screen.contains("\u{1B}[3J"), "what was in the terminal before stays")
    }
}
