import Foundation
import Storage
import TestSupport
import Testing

@Suite struct EnqueueTests {
    @Test func insertedDuplicateConflict() async throws {
        let enqueue = Tool(try await PrivatePostgres.shared.makeDatabase(), as: .producer)
        let first = try await enqueue("enqueue", "caption", "https://a.example/1.jpg", "--key", "k")
        #expect(first.status == 0, "\(first.errors)")
        #expect(first.output == "inserted  job 1  https://a.example/1.jpg\n")
        let again = try await enqueue("enqueue", "caption", "https://a.example/1.jpg", "--key", "k", "--json")
        #expect(again.status == 0)
        #expect(again.output == "{\"job\":1,\"key\":\"k\",\"outcome\":\"duplicate\"}\n")
        let other = try await enqueue("enqueue", "caption", "https://a.example/2.jpg", "--key", "k")
        #expect(other.status == 1)
        #expect(
            other.errors == "glossctl: the key \"k\" already names another caption job; nothing was changed\n")
    }

    /// The command and the SQL function make the same job: the second is a duplicate of the first.
    @Test(arguments: [
        (["caption", "https://a.example/1.jpg"], "gloss.enqueue_caption('https://a.example/1.jpg', key => 'k')"),
        (
            ["caption", "https://a.example/1.jpg", "--language", "de", "--samples", "3", "--background", "#00FF00"],
            "gloss.enqueue_caption('https://a.example/1.jpg', 'k', 'de', samples => 3, background => '#00ff00')"
        ),
        (
            ["caption", "https://a.example/1.jpg", "--style", "raw", "--prompt", "hello"],
            "gloss.enqueue_caption('https://a.example/1.jpg', 'k', style => 'raw', prompt => 'hello')"
        ),
        (
            [
                "vqa", "https://a.example/1.jpg", "--question", "what's \"this\"?", "--temperature", "0.7", "--seed",
                "9",
            ],
            """
            gloss.enqueue_vqa('https://a.example/1.jpg', 'what''s "this"?', key => 'k', temperature => 0.7, seed => 9)
            """
        ),
        (
            [
                "detect", "https://a.example/1.jpg", "--things", "cat, big dog", "--thing", "mouse", "--max-tokens",
                "99",
            ],
            """
            gloss.enqueue_detect('https://a.example/1.jpg', array['cat', 'big dog', 'mouse'], key => 'k',
                max_tokens => 99)
            """
        ),
        (
            [
                "caption", "https://a.example/1.jpg", "--samples", "3", "--pick", "likeliest", "--continue-from",
                "a cat",
                "--max-repeats", "4", "--token-scores",
            ],
            """
            gloss.enqueue_caption('https://a.example/1.jpg', 'k', samples => 3, pick => 'likeliest',
                continue_from => 'a cat', max_repeats => 4, token_scores => true)
            """
        ),
        (
            ["ocr", "https://a.example/1.jpg", "--beams", "3"],
            "gloss.enqueue_ocr('https://a.example/1.jpg', 'k', beams => 3)"
        ),
        (
            [
                "choice", "https://a.example/1.jpg", "--question", "is it red?", "--option", "yes", "--option",
                "not  really",
                "--style", "listed", "--score", "normalised",
            ],
            """
            gloss.enqueue_choice('https://a.example/1.jpg', 'is it red?', array['yes', 'not  really'], 'k',
                style => 'listed', score => 'normalised')
            """
        ),
        (
            ["caption", "https://a.example/1.jpg", "https://a.example/2.jpg", "--frames", "5"],
            "gloss.enqueue_caption(urls => array['https://a.example/1.jpg', 'https://a.example/2.jpg'], key => 'k', frames => 5)"
        ),
        (
            ["caption", "https://a.example/1.jpg", "--draw-box", "0.1, 0.2,0.87654321,1"],
            "gloss.enqueue_caption('https://a.example/1.jpg', 'k', draw_box => array[0.1, 0.2, 0.87654321, 1])"
        ),
        (
            [
                "multiview", "https://a.example/1.jpg", "--follow-up", "what is the {answer} for?", "--ignore",
                "unanswerable",
                "--ignore", "no",
            ],
            """
            gloss.enqueue_multiview('k', array['https://a.example/1.jpg'], follow_ups => array['what is the {answer} for?'],
                ignore => array['unanswerable', 'no'])
            """
        ),
        (
            ["multiview", "https://a.example/1.jpg", "https://a.example/2.jpg"],
            "gloss.enqueue_multiview('k', array['https://a.example/1.jpg', 'https://a.example/2.jpg'])"
        ),
        (
            [
                "multiview", "https://a.example/1.jpg", "--question", "p?", "--question", "q?", "--samples", "2",
                "--score", "normalised", "--top-k", "40", "--top-p", "0.9", "--model", "m",
            ],
            """
            gloss.enqueue_multiview('obj', array['https://a.example/1.jpg'], array['p?', 'q?'], 2, key => 'k',
                score => 'normalised', top_k => 40, top_p => 0.9, model => 'm')
            """
        ),
    ])
    func theSameAsInSQL(arguments: [String], function: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let run = try await Tool.run(
            Tool.path, ["enqueue"] + arguments + ["--key", "k", "--database", database.conninfo(as: .producer)])
        #expect(run.status == 0, "\(run.errors)")
        let outcome = try await database.query("select outcome from \(function)", as: .producer)
        #expect(outcome.scalar == "duplicate")
    }

    @Test func optionsArrive() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let run = try await Tool(database, as: .producer)(
            "enqueue", "caption", "https://a.example/1.jpg", "--batch", "b", "--priority=-7", "--delay", "2h",
            "--max-attempts", "3")
        #expect(run.status == 0, "\(run.errors)")
        let job = try await database.query(
            """
            select b.name, j.priority, j.max_attempts,
                round(extract(epoch from j.run_at - j.created_at) / 60)::int, s.state
            from gloss.job j join gloss.batch b on b.id = j.batch_id join gloss.job_state s on s.job_id = j.id
            """)
        #expect(job.rows == [["b", "-7", "3", "120", "scheduled"]])
    }

    @Test func severalImagesAreSeveralJobsOrOne() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let enqueue = Tool(database, as: .producer)
        let urls = ("https://a.example/1.jpg", "https://a.example/2.jpg")
        let jobs = try await enqueue("enqueue", "caption", urls.0, urls.1, "--json").json()
        #expect(jobs.map { $0["job"] as? Int } == [1, 2])
        let one = try await enqueue("enqueue", "caption", urls.0, urls.1, "--together", "--key", "k", "--json").json()
        #expect(one.count == 1)
        let refused = try await enqueue("enqueue", "caption", urls.0, urls.1, "--key", "k2")
        #expect(refused.status == 64)
        let answers = try await enqueue("enqueue", "vqa", urls.0, urls.1, "--question", "q?", "--json").json()
        #expect(answers.count == 2)
        let object = try await enqueue("enqueue", "multiview", urls.0, urls.1, "--key", "o", "--json").json()
        #expect(object.count == 1)
    }

    @Test(arguments: [
        (["vqa"], "vqa in the style answer needs a --question."),
        (["detect"], "detect in the style detect needs a --thing."),
        (["caption", "--style", "raw"], "caption in the style raw needs a --prompt."),
        (["vqa", "--questions", "a?,b?"], "vqa takes no list: give --question once for each."),
        (["choice", "--question", "q?", "--option", "a"], "choice needs 2 to 64 times --option, not 1."),
        (["caption", "--frames", "17"], "--frames must be 1 to 16, not 17."),
        (["multiview", "--frames", "2"], "--frames is for images that are one input."),
        (["caption", "--draw-box", "0,0,1,1", "--frames", "2"], "--draw-box is for jobs of one image."),
        (["multiview", "--draw-box", "0,0,1,1"], "--draw-box is for jobs of one image."),
        (["caption", "--draw-box", "0,0,1"], "invalid for '--draw-box <y1,x1,y2,x2>'"),
        (["caption", "--draw-box", "0.5,0,0.4,1"], "invalid for '--draw-box <y1,x1,y2,x2>'"),
    ])
    func missingTextsAreToldBeforehand(arguments: [String], message: String) async throws {
        let run = try await Tool.run(Tool.path, ["enqueue"] + arguments + ["https://a.example/1.jpg"])
        #expect(run.status == 64)
        #expect(run.errors.contains(message), "\(run.errors)")
    }

    @Test(arguments: [
        (["caption", "ftp://a/b"], "must begin with https://"),
        (["caption", "https://a/b", "--samples", "2", "--temperature", "0"], "temperature 0 is greedy"),
        (["caption", "https://a/b", "--language", "english!"], "language must be a code such as en"),
        (["vqa", "https://a/b", "--question", " "], "a prompt is empty"),
        (["detect", "https://a/b", "--thing", "a;b"], "contains a semicolon"),
        (["multiview", "https://a/b", "--samples", "99"], "samples must be 1 to 64, not 99"),
        (["caption", "https://a/b", "--beams", "9"], "beams must be 1 to 8, not 9"),
        (["detect", "https://a/b", "--thing", "a", "--beams", "2"], "detect takes beams => 1 only"),
        (["vqa", "https://a/b", "--question", "q", "--option", "a"], "vqa takes no options"),
        (["caption", "https://a/b", "--follow-up", "why?"], "caption takes no follow_ups and no ignore"),
        (["caption", "https://a/b", "--priority", "101"], "priority must be -100 to 100"),
    ])
    func badInputIsRefusedWithAReason(arguments: [String], reason: String) async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let run = try await Tool.run(
            Tool.path, ["enqueue"] + arguments + ["--database", database.conninfo(as: .producer)])
        #expect(run.status == 1)
        #expect(run.errors.contains(reason), "\(run.errors)")
        #expect(run.output == "")
    }

    // MARK: Files

    @Test func aCSVFileWithBadLines() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let enqueue = Tool(database, as: .producer)
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "jobs.csv",
            """
            task,image_url,prompt,texts,key,seed\r
            vqa,https://a.example/1.jpg,"what ""is"" it, then?",,c1,\r
            detect,https://a.example/1.jpg,cat;dog,,c2,5\r
            captoin,https://a.example/1.jpg,,,c3,\r
            multiview,https://a.example/1.jpg,,"[""a?"",""b?""]",c4,\r
            caption,https://a.example/1.jpg,,,c5,many\r
            vqa,too,few\r
            caption,https://a.example/1.jpg,,,c6,18\r

            """)
        let first = try await enqueue("enqueue", "from", file, "--batch", "b")
        #expect(first.status == 65)
        #expect(first.output == "4 inserted, 0 duplicate, 0 conflict, 3 bad.\n")
        #expect(first.errors.contains("jobs.csv:4: task must be caption, choice, detect, multiview, ocr, "))
        #expect(first.errors.contains("jobs.csv:6: invalid input syntax for type bigint: \"many\"\n"))
        #expect(first.errors.contains("jobs.csv:7: 3 fields, but the header has 6\n"))
        #expect(first.errors.hasSuffix("glossctl: 3 of 7 lines are no good\n"))
        let jobs = try await database.query("select key, spec -> 'texts' from gloss.job order by key")
        #expect(
            jobs.rows == [
                ["c1", "[\"what \\\"is\\\" it, then?\"]"], ["c2", "[\"cat\", \"dog\"]"], ["c4", "[\"a?\", \"b?\"]"],
                ["c6", "[]"],
            ])
        let batches = try await database.query("select distinct batch from gloss.job_state")
        #expect(batches.rows == [["b"]])
    }

    @Test func filesHaveAllOptions() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let enqueue = Tool(database, as: .producer)
        let folder = try TemporaryFolder()
        let csv = try folder.write(
            "jobs.csv",
            """
            task,image_url,prompt,key,options,max_repeats,token_scores,pick,samples,continue_from,frames,beams,follow_ups,ignore,draw_box
            choice,https://a.example/1.jpg,which?,c1,"[""a b"",""c""]",,true,,,,,,,,
            vqa,https://a.example/1.jpg,why?,c2,,3,false,likeliest,2,because,2,,,,
            vqa,https://a.example/1.jpg,why?,c3,,,,,,,,2,,,"0, 0.1,1,0.5"
            multiview,https://a.example/1.jpg,why?,c4,,,,,,,,,and then?,no,
            choice,https://a.example/1.jpg,which?,c5,a b,,,,,,,,,,
            vqa,https://a.example/1.jpg,why?,c6,,,,,,,,,,,"[0,0,1,2]"

            """)
        let lines = try folder.write(
            "jobs.jsonl",
            """
            {"task":"choice","image_url":"https://a.example/1.jpg","prompt":"which?","key":"c1","options":["a b","c"],\
            "token_scores":true}
            {"task":"vqa","image_urls":["https://a.example/1.jpg"],"prompt":"why?","key":"c2","max_repeats":3,\
            "pick":"likeliest","samples":2,"continue_from":"because","frames":2}
            {"task":"vqa","image_url":"https://a.example/1.jpg","prompt":"why?","key":"c3","beams":2,\
            "draw_box":[0,0.1,1,0.5]}
            {"task":"multiview","image_url":"https://a.example/1.jpg","prompt":"why?","key":"c4",\
            "follow_ups":["and then?"],"ignore":["no"]}

            """)
        let first = try await enqueue("enqueue", "from", csv)
        #expect(first.output == "4 inserted, 0 duplicate, 0 conflict, 2 bad.\n", "\(first.errors)")
        #expect(first.errors.contains("jobs.csv:6: choice needs 2 to 64 options, not 1"))
        #expect(first.errors.contains("jobs.csv:7: draw_box is y1,x1,y2,x2, fractions"))
        let again = try await enqueue("enqueue", "from", lines)
        #expect(again.output == "0 inserted, 4 duplicate, 0 conflict, 0 bad.\n", "\(again.errors)")
    }

    @Test func aJSONLFileTwiceAndWithAConflict() async throws {
        let enqueue = Tool(try await PrivatePostgres.shared.makeDatabase(), as: .producer)
        let folder = try TemporaryFolder()
        func lines(seed: Int) -> String {
            (0..<1200).map { index in
                let own = index == 700 ? seed : 1
                return """
                    {"task":"caption","image_url":"https://a.example/\(index).jpg","key":"k\(index)","seed":\(own)}

                    """
            }.joined()
        }
        let file = try folder.write("jobs.jsonl", lines(seed: 1))
        #expect(
            try await enqueue("enqueue", "from", file).output == "1,200 inserted, 0 duplicate, 0 conflict, 0 bad.\n")
        let again = try await enqueue("enqueue", "from", file, "--json")
        #expect(again.status == 0)
        #expect(
            again.output == "{\"bad\":0,\"conflict\":0,\"duplicate\":1200,\"inserted\":0,\"problems\":[]}\n")
        try folder.write("jobs.jsonl", lines(seed: 2))
        let other = try await enqueue("enqueue", "from", file)
        #expect(other.status == 1)
        #expect(other.output == "0 inserted, 1,199 duplicate, 1 conflict, 0 bad.\n")
        #expect(other.errors.contains("jobs.jsonl:701: its key already names another job, "))
    }

    @Test func standardInputWithDefaults() async throws {
        let database = try await PrivatePostgres.shared.makeDatabase()
        let enqueue = Tool(database, as: .producer)
        let csv = "image_url,key,priority\nhttps://a.example/1.jpg,a,\nhttps://a.example/2.jpg,b,4\n"
        let run = try await enqueue(
            "enqueue", "from", "-", "--format", "csv", "--task", "caption", "--priority", "9", input: csv)
        #expect(run.status == 0, "\(run.errors)")
        let jobs = try await database.query("select key, priority from gloss.job order by key")
        #expect(jobs.rows == [["a", "9"], ["b", "4"]])
        #expect(try await enqueue("enqueue", "from", "-", input: csv).status == 64)
    }

    @Test func filesThatAreNoGood() async throws {
        let enqueue = Tool(try await PrivatePostgres.shared.makeDatabase(), as: .producer)
        let missing = try await enqueue("enqueue", "from", "/nonexistent.csv")
        #expect(missing.status == 65)
        #expect(missing.errors == "glossctl: /nonexistent.csv cannot be opened: No such file or directory\n")
        let header = try await enqueue("enqueue", "from", "-", "--format", "csv", input: "task,url\n")
        #expect(header.status == 65)
        #expect(header.errors.contains("glossctl: the header: unknown field \"url\"; there are: background"))
    }
}
