import Configuration
import Inference

/// What is wrong with the configuration.
package struct ConfigurationError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Typed look-ups that say what was expected.
struct SettingsReader {
    let reader: ConfigReader
    let file: String?

    func error(_ key: String, _ what: String) -> ConfigurationError {
        let variable = "GLOSS_" + key.uppercased().replacing(".", with: "_")
        return ConfigurationError("configuration (\(file.map { "\($0), or " } ?? "")\(variable)): \(key) \(what)")
    }

    private func value<T>(_ key: String, _ kind: String, _ read: (ConfigKey) async throws -> T?) async throws -> T? {
        do { return try await read(ConfigKey(key)) } catch { throw self.error(key, "is not \(kind)") }
    }

    func string(_ key: String, _ fallback: String) async throws -> String {
        try await value(key, "a text") { try await reader.fetchString(forKey: $0, isSecret: key == "database") }
            ?? fallback
    }

    func word<Word: RawRepresentable<String> & CaseIterable>(_ key: String, _ fallback: Word) async throws -> Word {
        let text = try await string(key, fallback.rawValue)
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw error(key, "is \(text), expected one of \(known)")
        }
        return word
    }

    /// Nil where it is empty, or not there.
    func text(_ key: String) async throws -> String? {
        let found = try await string(key, "")
        return found.isEmpty ? nil : found
    }

    func boolean(_ key: String, _ fallback: Bool) async throws -> Bool {
        try await value(key, "true or false") { try await reader.fetchBool(forKey: $0) } ?? fallback
    }

    /// Nil: auto, or not there.
    func booleanOrAuto(_ key: String) async throws -> Bool? {
        if let text = try? await reader.fetchString(forKey: ConfigKey(key)), text == "auto" { return nil }
        return try await value(key, "auto, true or false") { try await reader.fetchBool(forKey: $0) }
    }

    func integer(_ key: String, _ fallback: Int, _ range: ClosedRange<Int>) async throws -> Int {
        let found = try await value(key, "a whole number") { try await reader.fetchInt(forKey: $0) } ?? fallback
        guard range.contains(found) else {
            throw error(key, "is \(found), expected \(range.lowerBound) to \(range.upperBound)")
        }
        return found
    }

    func seconds(_ key: String, _ fallback: Duration, _ range: ClosedRange<Double>) async throws -> Duration {
        let found = try await value(key, "a number of seconds") { try await reader.fetchDouble(forKey: $0) }
        guard let found else { return fallback }
        guard range.contains(found) else {
            throw error(key, "is \(found), expected \(range.lowerBound) to \(range.upperBound)")
        }
        return .seconds(found)
    }

    func number(_ key: String, _ fallback: Double, _ range: ClosedRange<Double>) async throws -> Double {
        let found = try await value(key, "a number") { try await reader.fetchDouble(forKey: $0) } ?? fallback
        guard range.contains(found) else {
            throw error(key, "is \(found), expected \(range.lowerBound) to \(range.upperBound)")
        }
        return found
    }

    func cpus(_ key: String) async throws -> [Int] {
        let text = try await string(key, "")
        if text.isEmpty { return [] }
        guard let cpus = Processors.list(text) else {
            throw error(key, "is \(text), expected a list of processors such as 0-3,8")
        }
        let missing = Set(cpus).subtracting(Processors.allowed()).sorted()
        guard missing.isEmpty else { throw error(key, "has \(missing): this process may not run there") }
        return cpus
    }

    func strings(_ key: String) async throws -> [String] {
        if await isEmpty(key) { return [] }
        return try await value(key, "a list of texts") { try await reader.fetchStringArray(forKey: $0) } ?? []
    }

    func integers(_ key: String) async throws -> [Int]? {
        if await isEmpty(key) { return [] }
        return try await value(key, "a list of whole numbers") { try await reader.fetchIntArray(forKey: $0) }
    }

    /// Whether a list is given as an empty text, as an environment variable says it.
    private func isEmpty(_ key: String) async -> Bool {
        let text = try? await reader.fetchString(forKey: ConfigKey(key))
        return text?.allSatisfy(\.isWhitespace) ?? false
    }
}
