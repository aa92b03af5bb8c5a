import Configuration
import Foundation
import Images
import Yams

extension DaemonConfiguration {
    /// The rules of `fetch.hosts`: of the file, or of the variable above it, which is YAML, too.
    static func hostRules(_ file: String?, _ variable: String?) throws -> [HostRule] {
        if let variable {
            if variable.allSatisfy(\.isWhitespace) { return [] }
            let reader = HostRuleReader(place: { _ in "GLOSS_FETCH_HOSTS" })
            let node: Node?
            do { node = try Yams.compose(yaml: variable) } catch {
                throw ConfigurationError("GLOSS_FETCH_HOSTS: not valid YAML: \(error)")
            }
            return try node.map { try reader.rules($0) } ?? []
        }
        guard let file,
            let node = try Yams.compose(yaml: String(contentsOfFile: file, encoding: .utf8))?["fetch"]?["hosts"]
        else { return [] }
        return try HostRuleReader(place: { "\(file):\($0.mark?.line ?? 0)" }).rules(node)
    }
}

/// Reads rules out of YAML; what is wrong names its line.
private struct HostRuleReader {
    /// Where a node stands.
    let place: (Node) -> String

    private func error(_ node: Node, _ what: String) -> ConfigurationError {
        ConfigurationError("\(place(node)): fetch.hosts: \(what)")
    }

    func rules(_ node: Node) throws -> [HostRule] {
        guard let sequence = node.sequence else { throw error(node, "expected a list of rules, each with match") }
        return try sequence.map(rule)
    }

    private func rule(_ node: Node) throws -> HostRule {
        guard let mapping = node.mapping else { throw error(node, "expected a rule: match and what differs") }
        guard let match = node["match"] else { throw error(node, "a rule has no match: the host that it is for") }
        var rule = HostRule(match: try text(match, "match"))
        var seen: Set<String> = []
        for (key, value) in mapping {
            let name = key.string ?? "?"
            guard seen.insert(name).inserted else { throw error(key, "the rule for \(rule.match) has \(name) twice") }
            try set(name, key, value, in: &rule)
            // The line of the key that is wrong, as soon as it is.
            if let fault = rule.fault { throw error(value, fault) }
        }
        return rule
    }

    private func set(_ name: String, _ key: Node, _ value: Node, in rule: inout HostRule) throws {
        switch name {
        case "match": break
        case "concurrency":
            guard let number = value.int else { throw error(value, "concurrency is not a whole number") }
            rule.concurrency = number
        case "delay_seconds":
            guard let seconds = value.float, seconds.isFinite else {
                throw error(value, "delay_seconds is not a number of seconds")
            }
            rule.delay = .seconds(seconds)
        case "user_agent": rule.userAgent = try text(value, name)
        case "opt_outs":
            let word = try text(value, name)
            guard let optOuts = OptOuts(rawValue: word) else {
                throw error(
                    value, "opt_outs is \(word), expected \(OptOuts.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            rule.optOuts = optOuts
        case "certificates":
            let word = try text(value, name)
            guard word == "any" || word.hasPrefix("/") else {
                throw error(
                    value, "certificates is \(word), expected any, or the absolute path of a file of authorities")
            }
            rule.certificates = word == "any" ? .any : .authorities(word)
        case "headers": rule.headers = try headers(value)
        default:
            throw error(
                key,
                "there is no key \(name); known are match, concurrency, delay_seconds, headers, user_agent, certificates, opt_outs"
            )
        }
    }

    private func headers(_ node: Node) throws -> [String: HostRule.HeaderSource] {
        guard let mapping = node.mapping else { throw error(node, "headers is not a mapping of names to values") }
        var headers: [String: HostRule.HeaderSource] = [:]
        for (key, value) in mapping {
            guard let name = key.string, headers[name] == nil else { throw error(key, "headers has a name twice") }
            headers[name] = try source(name, value)
        }
        return headers
    }

    private func source(_ name: String, _ node: Node) throws -> HostRule.HeaderSource {
        if node.mapping == nil { return .text(try text(node, "the header \(name)")) }
        guard let pair = node.mapping?.first, node.mapping?.count == 1 else {
            throw error(node, "the header \(name) is a text, {file: PATH} or {credential: NAME}")
        }
        switch pair.key.string {
        case "file": return .file(try text(pair.value, "file"))
        case "credential": return .credential(try text(pair.value, "credential"))
        default: throw error(node, "the header \(name) is a text, {file: PATH} or {credential: NAME}")
        }
    }

    private func text(_ node: Node, _ name: String) throws -> String {
        guard let text = node.scalar?.string else { throw error(node, "\(name) is not a text") }
        return text
    }
}

/// A YAML file without the lists of mappings, which swift-configuration does not read.
final class ScalarSettings: FileConfigSnapshot {
    typealias ParsingOptions = YAMLSnapshot.ParsingOptions

    private let snapshot: YAMLSnapshot

    init(data: RawSpan, providerName: String, parsingOptions: ParsingOptions) throws {
        var text = data.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        if var root = try Yams.compose(yaml: text), let fetch = root["fetch"]?.mapping {
            root["fetch"] = Node(fetch.filter { $0.key.string != "hosts" }.map { ($0.key, $0.value) })
            text = try Yams.serialize(node: root)
        }
        snapshot = try YAMLSnapshot(
            data: Array(text.utf8).span.bytes, providerName: providerName, parsingOptions: parsingOptions)
    }

    var providerName: String { snapshot.providerName }
    var description: String { snapshot.description }
    var debugDescription: String { snapshot.debugDescription }

    func value(forKey key: AbsoluteConfigKey, type: ConfigType) throws -> LookupResult {
        try snapshot.value(forKey: key, type: type)
    }
}
