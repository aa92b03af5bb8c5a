import Annotation
import Queue
import Storage
import TestSupport
import Testing

/// Who may do what, asked of PostgreSQL's own catalogue: what is new and not listed here, nobody may use.
@Suite struct RightsTests {
    typealias User = TestDatabase.User

    private static let users: [User] = [.producer, .worker, .reader, .reviewer, .admin, .console, .stranger]

    /// Those who read all.
    private static let readers: Set<User> = [.reader, .reviewer, .admin]

    /// Functions that somebody may execute.
    static let functions: [String: Set<User>] = [
        "schema_version": readers.union([.producer, .worker]),
        "enqueue": [.producer, .admin], "enqueue_caption": [.producer, .admin], "enqueue_vqa": [.producer, .admin],
        "enqueue_detect": [.producer, .admin], "enqueue_segment": [.producer, .admin],
        "enqueue_ocr": [.producer, .admin], "enqueue_question": [.producer, .admin],
        "enqueue_caption_box": [.producer, .admin], "enqueue_choice": [.producer, .admin],
        "enqueue_multiview": [.producer, .admin],
        "enqueue_json": [.producer, .admin], "enqueue_json_rows": [.producer, .admin],
        "bad_json_rows": [.producer, .admin],
        "register_worker": [.worker], "claim": [.worker], "begin_jobs": [.worker], "heartbeat": [.worker],
        "checkpoint": [.worker], "record": [.worker], "announce": [.worker], "rescue": [.worker],
        "deregister_worker": [.worker], "release_unheld": [.worker], "queue_metrics": [.worker],
        "park_origin": [.worker, .admin], "maintain": [.worker, .admin],
        "unpark_origin": [.admin], "cancel": [.admin], "retry": [.admin], "rerun": [.admin], "pause": [.admin],
        "resume": [.admin], "forget": [.admin], "prune": [.admin], "change_setting": [.admin],
        "keep_reproduction": [.admin],
        "keep_evaluation": [.admin],
        "jobs": readers, "explain": readers, "finish_reason": readers,
        "shown_urls": readers, "schema_objects": readers, "answer_form": readers,
        "failures_of": readers, "failing_host": readers, "would_retry": readers,
        "review_next": [.reviewer, .admin], "record_review": [.reviewer, .admin], "undo_review": [.reviewer, .admin],
        "forget_reviews": [.admin],
        "review_accuracy": readers, "review_agreement": readers, "review_progress": readers, "wilson": readers,
        "review_policies": readers, "margin": readers, "entropy": readers, "dissent": readers,
        "draw_place": readers, "draw_start": readers,
        // An origin's spelling, and of what it is made.
        "origin_of": readers, "host_spelling": readers, "ipv4_of": readers,
        "percent_decoded": readers, "punycode": readers,
    ]

    private func rows(_ sql: String) async throws -> [[String?]] {
        try await PrivatePostgres.shared.makeDatabase().query(sql).rows
    }

    private static let names = users.map { "('\($0.rawValue)')" }.joined(separator: ", ")

    @Test func functionsAreForThoseWhoNeedThem() async throws {
        let granted = try await rows(
            """
            select p.proname, u from pg_proc p, (values \(Self.names)) x (u)
            where p.pronamespace = 'gloss'::regnamespace and has_function_privilege(u, p.oid, 'execute')
              and has_schema_privilege(u, 'gloss', 'usage') group by 1, 2
            """)
        var found: [String: Set<User>] = [:]
        for row in granted {
            if let name = row[0], let user = row[1].flatMap({ User(rawValue: $0) }) {
                found[name, default: []].insert(user)
            }
        }
        for name in Set(found.keys).union(Self.functions.keys) {
            #expect(found[name] ?? [] == Self.functions[name] ?? [], "\(name)")
        }
    }

    /// All overloads of a function are for the same people.
    @Test func overloadsDoNotDiffer() async throws {
        let different = try await rows(
            """
            select proname from pg_proc where pronamespace = 'gloss'::regnamespace
            group by 1 having count(distinct coalesce(proacl::text, '')) > 1
            """)
        #expect(different == [])
    }

    /// Readers, reviewers and administrators read everything, producers write into the inbox and into gloss.submission, which is always
    /// empty, and nobody else has a right to any table.
    @Test func tablesAreForReaders() async throws {
        let granted = try await rows(
            """
            select c.relkind::text, c.relname, u, p
            from pg_class c, (values \(Self.names)) x (u),
                unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p
            where c.relnamespace = 'gloss'::regnamespace and c.relkind in ('r', 'v', 'm', 'p', 'f')
              and has_table_privilege(u, c.oid, p)
            """)
        for row in granted {
            let (name, user, right) = (row[1] ?? "", row[2].flatMap { User(rawValue: $0) }, row[3] ?? "")
            let isAllowed =
                right == "select"
                ? user.map(Self.readers.contains) == true || name == "submission" && user == .producer
                : right == "insert" && ["inbox", "submission"].contains(name) && (user == .producer || user == .admin)
            #expect(isAllowed, "\(user?.rawValue ?? "") may \(right) \(name)")
        }
        let readable = Set(granted.filter { $0[2] == User.reader.rawValue }.compactMap { $0[1] })
        #expect(readable.isSuperset(of: ["job", "annotation", "result", "detection", "worker", "job_state"]))
        let columns = try await rows(
            """
            select attrelid::regclass, attname from pg_attribute
            where attacl is not null and attrelid in (select oid from pg_class where relnamespace = 'gloss'::regnamespace)
            """)
        #expect(columns == [])
        let sequences = try await rows(
            """
            select c.relname, u from pg_class c, (values \(Self.names)) x (u)
            where c.relnamespace = 'gloss'::regnamespace and c.relkind = 'S' and has_sequence_privilege(u, c.oid, 'usage,select,update')
            """)
        #expect(sequences == [])
    }

    @Test func nobodyMakesAnythingInTheSchema() async throws {
        let schema = try await rows(
            """
            select u, has_schema_privilege(u, 'gloss', 'usage'), has_schema_privilege(u, 'gloss', 'create')
            from (values \(Self.names)) x (u)
            """)
        for row in schema { #expect(row == [row[0], row[0] == User.stranger.rawValue ? "f" : "t", "f"]) }
        let members = try await rows(
            """
            select u, r from (values \(Self.names)) x (u), pg_roles p, lateral (select p.rolname::text) y (r)
            where p.rolname <> u and pg_has_role(u, p.oid, 'member') order by 1
            """)
        let roles = members.reduce(into: [String: Set<String>]()) { $0[$1[0] ?? "", default: []].insert($1[1] ?? "") }
        #expect(
            roles == [
                "test_producer": ["gloss_producer"], "test_worker": ["gloss_worker"], "test_reader": ["gloss_reader"],
                "test_reviewer": ["gloss_reviewer", "gloss_reader"], "test_admin": ["gloss_admin"],
                "test_console": ["gloss_console", "gloss_reader", "gloss_reviewer", "gloss_admin"],
            ])
        let owned = try await rows(
            "select rolname, rolinherit from pg_roles where rolcanlogin is false and rolname = 'gloss_console'")
        #expect(owned == [["gloss_console", "f"]])
    }

    @Test(arguments: [
        "select gloss.schema_version()", "select * from gloss.job", "insert into gloss.inbox (task) values ('caption')",
        "select gloss.enqueue_caption('https://e.org/a')", "select gloss.rescue()", "create table gloss.x ()",
        "select null::gloss.move", "listen gloss_ready; select * from gloss.depth",
    ])
    func aStrangerIsStrange(sql: String) async throws {
        let session = try await PrivatePostgres.shared.makeDatabase().session(as: .stranger)
        let error = await #expect(throws: StorageError.self) { try await session.script(sql) }
        #expect(error?.sqlState == "42501" && error?.message == "permission denied for schema gloss")
        await session.close()
    }

    // MARK: Search paths

    /// Each function that others may call either runs with a fixed search path, or was bound when it was made; the rest is called by
    /// those alone.
    @Test func noFunctionFollowsItsCallersSearchPath() async throws {
        let loose = try await rows(
            """
            select p.oid::regprocedure::text from pg_proc p
            where p.pronamespace = 'gloss'::regnamespace and p.prosqlbody is null
              and not 'search_path=pg_catalog, gloss, pg_temp' = any (coalesce(p.proconfig, '{}'))
              and (p.prosecdef or exists (select from aclexplode(p.proacl) a where a.grantee <> p.proowner))
            """)
        #expect(loose == [])
    }

    /// Traps of a hostile producer: tables, functions and operators of the names that gloss uses, first in the search path. Who
    /// steps into one writes down under whose rights.
    private static let traps = """
        create schema evil authorization test_producer;
        set role test_producer;
        create table evil.loot (who text, trap text);
        grant all on schema evil to public;
        grant all on evil.loot to public;
        create function evil.spring(trap text) returns void language plpgsql as
            $$ begin insert into evil.loot values (current_user, trap); end $$;
        create function evil.lower(text) returns text language plpgsql as
            $$ begin perform evil.spring('lower'); return pg_catalog.lower($1); end $$;
        create function evil.now() returns timestamptz language plpgsql as
            $$ begin perform evil.spring('now'); return pg_catalog.now(); end $$;
        create function evil.format(text, variadic text[]) returns text language plpgsql as
            $$ begin perform evil.spring('format'); return 'true'; end $$;
        create function evil.pg_notify(text, text) returns void language plpgsql as
            $$ begin perform evil.spring('notify'); end $$;
        create function evil.eq(text, text) returns bool language plpgsql as
            $$ begin perform evil.spring('='); return true; end $$;
        create operator evil.= (leftarg = text, rightarg = text, function = evil.eq);
        create function evil.eq(bigint, smallint) returns bool language plpgsql as
            $$ begin perform evil.spring('= any'); return true; end $$;
        create operator evil.= (leftarg = bigint, rightarg = smallint, function = evil.eq);
        create function evil.cat(text, text) returns text language plpgsql as
            $$ begin perform evil.spring('||'); return $1; end $$;
        create operator evil.|| (leftarg = text, rightarg = text, function = evil.cat);
        create function evil.selection(bigint, text, text, text, bool) returns text language plpgsql as
            $$ begin perform evil.spring('selection'); return 'true'; end $$;
        create function evil.origin_of(text) returns text language plpgsql as
            $$ begin perform evil.spring('origin_of'); return ''; end $$;
        create table evil.job (like gloss.job);
        create table evil.batch (like gloss.batch);
        create table evil.ready (like gloss.ready);
        create table evil.paused_task (like gloss.paused_task);
        create table evil.kind (like gloss.kind);
        create table evil.setting (like gloss.setting);
        create table evil.leased (like gloss.leased);
        grant all on all tables in schema evil to public;
        reset role;
        """

    private static let identity = "'00000000-0000-0000-0000-000000000001'"

    private static let search = """
        set search_path = evil, pg_catalog, gloss;
        create temp table job (like evil.job);
        create temp table batch (like evil.batch);
        create temp table lane (id smallint, kind int);
        create temp table kind (like evil.kind);
        create temp table ready (like evil.ready);
        create temp table tally (batch_id int);
        grant all on table job, batch, lane, kind, ready, tally to public;
        """

    @Test func trapsOfAHostileProducerCatchNobody() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        // The producer needs to read the tables' definitions to set the traps: that is no secret.
        try await database.session().script("grant select on all tables in schema gloss to gloss_producer")
        try await database.session().script(Self.traps)
        let producer = database.session(as: .producer)
        try await producer.script(Self.search)
        for sql in [
            "select gloss.enqueue_caption('https://e.org/a', key => 'k', batch => 'b')",
            "select gloss.enqueue_detect('https://e.org/a', array['cat'], model => 'm')",
            "select gloss.enqueue_json('{\"task\": \"vqa\", \"image_urls\": [\"https://e.org/a\"], \"prompt\": \"why?\"}')",
            "insert into gloss.inbox (task, image_urls, key) values ('caption', '{https://e.org/b}', 'x')",
            "insert into gloss.submission (task, image_url) values ('caption', 'https://e.org/c') returning job_id",
        ] { _ = try await producer.query(sql) }
        let worker = database.session(as: .worker)
        try await worker.script(Self.search)
        for sql in [
            "select gloss.register_worker('h', 1, 'v', '{m}', '{caption,detect,vqa}', '15 seconds', \(Self.identity))",
            "select gloss.claim(1, \(Self.identity), 10)", "select gloss.begin_jobs(1, \(Self.identity), '{1}', '{1}')",
            "select gloss.heartbeat(1, \(Self.identity), '{1,2,3,4,5}', '{1,2,3,4,5}')",
            "select gloss.checkpoint(1, \(Self.identity), 1, 1, 1, 0, '{}')", "select gloss.rescue()",
            "select gloss.maintain()",
            """
            select gloss.record(1, \(Self.identity), '[{"job": 1, "fence": 1, "outcome": "failed", "permanent": true},
                {"job": 2, "fence": 2, "outcome": "released", "cause": "host", "delay": 1}]')
            """,
            "select gloss.announce('{1}')", "select gloss.queue_metrics()",
            "select gloss.park_origin('e.org', '1 hour', 'r')", "select gloss.claim(1, \(Self.identity), 10)",
            "select gloss.release_unheld(1, \(Self.identity), '{}')",
            "select gloss.deregister_worker(1, \(Self.identity))",
        ] { _ = try await worker.query(sql) }
        let admin = database.session(as: .admin)
        try await admin.script(Self.search)
        for sql in [
            "select gloss.explain(1)", "select gloss.explain(2)", "select * from gloss.jobs(null, 'b', null, null)",
            "select gloss.retry(key => 'k')", "select gloss.rerun(key => 'k')", "select gloss.pause(host => 'e.org')",
            "select gloss.pause(batch => 'b')", "select gloss.resume(batch => 'b')",
            "select gloss.cancel(batch => 'b')", "select gloss.forget(key => 'k')", "select gloss.prune()",
            "select gloss.unpark_origin('e.org')", "select gloss.maintain(true)",
            "select gloss.change_setting('give_up_after', null)", "select * from gloss.job_state",
            "select gloss.keep_reproduction(1, 1, 'h', 'v', 'amx', 2, 'same', null)",
            "select * from gloss.depth", "select * from gloss.failures",
            "select gloss.retry(code => 'unknown', host => 'e.org')",
            "select * from gloss.detection", "select * from gloss.multiview_response", "select * from gloss.caption",
            "select * from gloss.error_frequency", "select * from gloss.misplaced_job", "select * from gloss.worker",
            "select count(*) from gloss.schema_objects()",
        ] { _ = try await admin.query(sql) }
        #expect(try await database.query("select distinct who, trap from evil.loot").rows == [])
        #expect(try await database.query("select count(*) from evil.job").scalar == "0")
        #expect(try await database.query("select count(*) from gloss.job").scalar == "4", "and one was forgotten")
        _ = try await admin.query("select now()")
        #expect(
            try await database.query("select who, trap from evil.loot").rows == [["test_admin", "now"]], "traps work")
        for session in [producer, worker, admin] { await session.close() }
    }
}
