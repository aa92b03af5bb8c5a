import Storage

/// What forms do: each is one call of a function of the schema, with the rights of `gloss_admin`.
enum Actions {
    /// Puts a dead job back with fresh attempts.
    static func retry(_ readers: ReaderPool, _ job: Int64) async throws -> Reply {
        _ = try await readers.act("select gloss.retry(job => \(job)::bigint)")
        return .redirect(to: "/job/\(job)")
    }

    /// Runs a job again that is done or dead; its result goes to `gloss.superseded`.
    static func rerun(_ readers: ReaderPool, _ job: Int64) async throws -> Reply {
        _ = try await readers.act("select gloss.rerun(job => \(job)::bigint)")
        return .redirect(to: "/job/\(job)")
    }

    /// Puts back all dead jobs of a batch, a code and a host, as far as they are given, that died before a time.
    static func retry(_ readers: ReaderPool, _ form: URLQuery) async throws -> Reply {
        let (batch, code, host) = (form["batch"], form["code"], form["host"])
        guard batch != nil || code != nil || host != nil, let before = form["before"] else {
            throw BadField(message: "The form names no batch, code or host, or no time.")
        }
        let count = try await readers.act(
            """
            select gloss.retry(batch => \(batch), code => \(code), host => \(host), died_before => \(before)::timestamptz)
            """)
        return .redirect(
            to: URLQuery().setting("batch", batch).setting("code", code).setting("host", host).setting("put", count)
                .address("/failures"))
    }

    /// A form with one button.
    static func button(_ words: String, _ path: String, _ fields: [(String, String)] = []) -> HTML {
        let hidden = fields.map { name, value -> HTML in
            "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">"
        }
        return """
            <form class="action" method="post" action="\(path)">\(hidden)<button type="submit">\(words)</button></form>
            """
    }
}
