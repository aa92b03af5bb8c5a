import Foundation

/// An official tool in Java, which reads lines and writes lines.
struct JavaProgram {
    /// The path of its jar.
    let jar: String
    /// What the jar is, for an error.
    let what: String

    /// Runs it to its end.
    /// - Parameters:
    ///   - arguments: of java.
    ///   - input: the lines that it reads.
    ///   - isNamed: whether it is given them as a file, by its last argument; else as its standard input.
    ///   - count: how many lines must come of it.
    /// - Throws: `CommandError` if there is no Java or no such jar, or if lines are lost.
    func lines(_ arguments: [String], input: String, isNamed: Bool = false, count: Int) throws -> [String] {
        guard FileManager.default.isReadableFile(atPath: jar) else {
            throw CommandError(.failed, "\(jar) cannot be read: it is \(what)")
        }
        // A file, and not a pipe: a program that ends early ends nothing here.
        let file = FileManager.default.temporaryDirectory.appending(path: "gloss-java-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(input.utf8).write(to: file)
        let output = try run(
            arguments + (isNamed ? [file.path] : []), isNamed ? .nullDevice : try FileHandle(forReadingFrom: file))
        var lines = output.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        if lines.count > count, lines.last == "" { lines.removeLast() }
        guard lines.count == count else {
            throw CommandError(.failed, "\(jar) wrote \(lines.count) lines in place of \(count)")
        }
        return lines
    }

    private func run(_ arguments: [String], _ input: FileHandle) throws -> Data {
        let java = Process()
        java.executableURL = URL(filePath: "/usr/bin/env")
        java.arguments = ["java"] + arguments
        let output = Pipe()
        java.standardInput = input
        java.standardOutput = output
        java.standardError = FileHandle.nullDevice
        try java.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        java.waitUntilExit()
        guard java.terminationStatus == 0 else {
            let reason =
                java.terminationStatus == 127 ? "there is no java" : "java failed with \(java.terminationStatus)"
            throw CommandError(.failed, "\(jar) cannot be run: \(reason)")
        }
        return data
    }
}
