/// The head of a server's answer: its status and its fields, read line by line as curl hands them over. Heads of 1xx are passed over, and
/// so is what comes behind the last chunk.
struct AnswerHead {
    /// 0 before any came.
    private(set) var status = 0
    /// The version of HTTP: 1 or 2.
    private(set) var version = 0
    /// Whether the empty line behind it has come.
    private(set) var isComplete = false
    /// Values by name in lower case.
    private var fields: [String: [String]] = [:]

    /// Takes a line. True when it was the last.
    mutating func read(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard !isComplete else { return false }
        let line = String(decoding: bytes, as: UTF8.self).trimmingSuffix { $0.isWhitespace }
        if line.isEmpty {
            isComplete = status >= 200
            return isComplete
        }
        if line.hasPrefix("HTTP/") {
            let words = line.dropFirst(5).split(separator: " ", maxSplits: 2)
            version = words.first?.first?.wholeNumberValue ?? 0
            status = words.count > 1 ? Int(words[1]) ?? 0 : 0
            fields = [:]
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].drop { $0.isWhitespace }
            fields[line[..<colon].lowercased(), default: []].append(String(value))
        }
        return false
    }

    /// A field's values, one for each line that had it.
    func values(_ name: String) -> [String] { fields[name] ?? [] }

    /// A field's first value.
    func value(_ name: String) -> String? { values(name).first }

    /// Whether the answer is a file, by its status.
    var isFile: Bool { (200...299).contains(status) }

    /// The length of the body as it is sent; nil: none is announced.
    var length: Int? { value("content-length").flatMap { Int($0) } }

    /// Whether the answer itself says where the body ends. In HTTP/2 the stream's end does, and 204 and 205 have none.
    var saysWhereItEnds: Bool {
        version >= 2 || [204, 205].contains(status) || length != nil
            || values("transfer-encoding").contains { $0.lowercased().contains("chunked") }
    }

    /// Whether it is but a part of the file, which nobody asked for; one that has all of it is whole.
    var isPart: Bool {
        guard status == 206, let range = value("content-range") else { return false }
        guard let match = range.lowercased().wholeMatch(of: #/bytes (\d+)-(\d+)/(\d+)/#) else {
            return !range.hasSuffix("/*")
        }
        return match.1 != "0" || Int(match.2).map { $0 + 1 } != Int(match.3)
    }

    /// Whether what answers is not the host but its guard, which wants to see a browser: Cloudflare, AWS WAF and Vercel say so. They ask
    /// for less of whoever asks seldom.
    var isChallenge: Bool {
        value("cf-mitigated") == "challenge" || value("x-vercel-mitigated") == "challenge"
            || value("x-amzn-waf-action") != nil
    }
}

extension StringProtocol {
    fileprivate func trimmingSuffix(while isOmitted: (Character) -> Bool) -> SubSequence {
        guard let last = lastIndex(where: { !isOmitted($0) }) else { return self[startIndex..<startIndex] }
        return self[...last]
    }
}
