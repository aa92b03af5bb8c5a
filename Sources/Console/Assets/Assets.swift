import Foundation

/// A file that the pages load from the console itself.
struct Assets: Sendable {
    let address: String
    let reply: Reply

    /// The address changes with the content, so that browsers may keep it.
    private init(_ name: String, type: String, _ text: String) {
        let hash = text.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        address = "/\(name)?v=\(String(hash, radix: 36))"
        reply = Reply(type: type, body: Data(text.utf8), cache: Reply.immutable)
    }

    static let icon = Assets(
        "icon.svg", type: "image/svg+xml; charset=utf-8",
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#3451c6"/>\
        <path d="M4 4h8v8H4z" fill="none" stroke="#fff" stroke-width="1.6" stroke-dasharray="3 1.4"/></svg>
        """)
    static let style = Assets(
        "style.css", type: "text/css; charset=utf-8", CardStyle.sheet + ConsoleStyle.sheet + ReviewStyle.sheet)
    static let script = Assets(
        "script.js", type: "text/javascript; charset=utf-8", ConsoleScript.text + BoxScript.text + ReviewScript.text)
}
