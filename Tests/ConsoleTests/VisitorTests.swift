import Foundation
import Storage
import TestSupport
import Testing

@testable import Console

/// Who may do what: by who asks, and by what PostgreSQL lets the login do.
@Suite struct VisitorTests {
    private static let tokens = ["r", "v", "a"].map { String(repeating: $0, count: 32) }
    private static let people = zip(["rita", "vera", "ada"], Visitor.Role.allCases).map { Visitor(name: $0, role: $1) }
    private static let access = Access(zip(tokens, people).map { TokenFile.Line(token: $0, visitor: $1) })

    private static func dead(_ database: TestDatabase) async throws -> Int64 {
        let answer = try await database.query("select id from gloss.job where key = 'gone'")
        return try #require(answer.scalar.flatMap { Int64($0) })
    }

    private static func isDead(_ job: Int64, _ database: TestDatabase) async throws -> Bool {
        let answer = try await database.query("select state from gloss.job_state where job_id = $1", [SQLValue(job)])
        return answer.scalar == "dead"
    }

    /// The login itself may nothing: each page and each form takes on the role that it needs, for its own time.
    @Test func eachRequestTakesOnItsRole() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let settings = database.settings(as: .console)
        let pool = ReaderPool(settings, count: 1)
        #expect(try await pool.check() == .admin)
        for person in Self.people {
            let mine = pool.of(person)
            let role: Statement = "select current_user || ' of ' || session_user"
            #expect(try await mine.read { try await $0.scalar(role) } == "gloss_reader of test_console")
            if person.role >= .reviewer {
                #expect(try await mine.review { try await $0.scalar(role) } == "gloss_reviewer of test_console")
            }
            if person.role == .admin {
                #expect(try await mine.act(role) == "gloss_admin of test_console")
            }
            #expect(try await mine.read { try await $0.may(.review) } == (person.role >= .reviewer))
            #expect(try await mine.read { try await $0.may(.act) } == (person.role == .admin))
        }
        let session = Session(settings)
        await #expect(throws: StorageError.self) { try await session.query("select count(*) from gloss.job") }
        // A page of a reader's cannot take the role back that its login has.
        await #expect(throws: PageError.self) {
            _ = try await pool.read { try await $0.scalar("select gloss.pause(everything => true)") }
        }
    }

    /// Buttons are for those who may press them, and a form that somebody else sends himself is refused.
    @Test func aReaderWhoSendsAnAdminsFormIsRefused() async throws {
        let database = try await ConsoleWorld.hostileQueue()
        try await ConsoleWorld.finish(database, sha256: String(repeating: "b", count: 64))
        let world = try await ConsoleWorld(database, as: .console, access: Self.access)
        let job = try await Self.dead(database)
        for (token, person) in zip(Self.tokens, Self.people) {
            let cookie = ["Cookie": world.cookie(token)]
            let page = try await world.ask("GET", "/job/\(job)", cookie)
            #expect(page.text.contains("Try it again") == (person.role == .admin), "\(person.name)")
            guard person.role < .admin else { continue }
            for (target, form) in [
                ("/job/\(job)/retry", URLQuery()), ("/job/\(job)/rerun", URLQuery()),
                ("/failures/retry", URLQuery("batch=b&before=infinity")),
            ] {
                let answer = try await world.post(target, form, ["Cookie": cookie["Cookie"]])
                #expect(answer.status == 403 && Markup.problem(in: answer.text) == nil)
                let words = "\(person.name) is a \(person.role.word) here, and this is for admins."
                #expect(answer.text.contains(words), "\(answer.text)")
            }
            #expect(try await Self.isDead(job, database))
        }
        let done = try await world.post("/job/\(job)/retry", URLQuery(), ["Cookie": world.cookie(Self.tokens[2])])
        #expect(done.status == 303)
        #expect(try await !Self.isDead(job, database))
    }

    /// Who may not is told so even where no database is: it was not asked.
    @Test func theDatabaseIsNotAskedForWhatARoleMayNot() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        var nowhere = database.settings(as: .reader)
        nowhere.conninfo = "host=/nothing/there"
        let world = try await ConsoleWorld(database, login: nowhere, access: Self.access)
        for (token, status) in zip(Self.tokens, [403, 403, 503]) {
            let answer = try await world.post("/job/1/retry", URLQuery(), ["Cookie": world.cookie(token)])
            #expect(answer.status == status, "\(answer.text)")
        }
        let pool = ReaderPool(nowhere)
        await #expect(throws: NotAllowed(visitor: Self.people[0], needed: .reviewer)) {
            _ = try await pool.of(Self.people[0]).review { try await $0.scalar("select 1") }
        }
    }

    /// What only PostgreSQL knows: the console's login is no member.
    @Test func theRefusalOfPostgreSQLIsShown() async throws {
        let database = try await ConsoleWorld.hostileQueue()
        let world = try await ConsoleWorld(database, as: .reader, access: Self.access)
        let cookie = ["Cookie": world.cookie(Self.tokens[2])]
        #expect(try await !world.ask("GET", "/failures?batch=b", cookie).text.contains("class=\"action\""))
        let answer = try await world.post("/job/1/retry", URLQuery(), ["Cookie": cookie["Cookie"]])
        #expect(answer.status == 403)
        #expect(answer.text.contains("permission denied to set role &quot;gloss_admin&quot;"), "\(answer.text)")
    }

    /// Over TCP anybody writes the proxy's header; behind a proxy's socket it says who asks.
    @Test func forgedHeadersAreIgnored() async throws {
        let database = try await ConsoleWorld.hostileQueue()
        try await ConsoleWorld.finish(database, sha256: String(repeating: "b", count: 64))
        let job = try await Self.dead(database)
        let proxy = Access.Proxy(header: "X-Forwarded-User", users: ["ada": .admin], defaultRole: .reader)
        let lines = zip(Self.tokens, Self.people).map { TokenFile.Line(token: $0, visitor: $1) }
        let access = Access(lines, proxy: proxy)
        let names = ["X-Forwarded-User", "x-forwarded-user", "Remote-User", "X-Forwarded-For", "X-Real-IP"]
        let tcp = try await ConsoleWorld(database, as: .console, access: access)
        for name in names {
            #expect(try await tcp.ask("GET", "/", ["Cookie": nil, name: "ada"]).status == 401, "\(name)")
            let reader = try await tcp.post(
                "/job/\(job)/retry", URLQuery(), ["Cookie": tcp.cookie(Self.tokens[0]), name: "ada"])
            #expect(reader.status == 403 && reader.text.contains("rita is a reader here"), "\(name)")
        }
        let socket = try await ConsoleWorld(database, as: .console, access: access, isSocket: true)
        #expect(try await socket.ask("GET", "/", ["Cookie": nil, "Remote-User": "ada"]).status == 401)
        let stranger = try await socket.post("/job/\(job)/retry", URLQuery(), ["Cookie": nil, names[0]: "bob"])
        #expect(stranger.status == 403 && stranger.text.contains("bob is a reader here"), "\(stranger.text)")
        #expect(
            try await socket.ask("POST", "/job/\(job)/retry", ["Sec-Fetch-Site": "cross-site", names[0]: "ada"]).status
                == 403)
        #expect(try await Self.isDead(job, database))
        #expect(try await socket.post("/job/\(job)/retry", URLQuery(), ["Cookie": nil, names[1]: "ada"]).status == 303)
        #expect(try await !Self.isDead(job, database))
    }
}
