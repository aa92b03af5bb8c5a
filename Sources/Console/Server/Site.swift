import Foundation
import Storage

/// Which page an address is, and what a form does. No page changes anything: forms do.
struct Site: Sendable {
    let readers: ReaderPool
    let pictures: PictureMaker
    var images = ImageSource.copies

    /// - Parameter path: as it was asked for, with its percent signs: no segment of ours has one.
    func reply(path: String, query: URLQuery, _ visitor: Visitor) async -> Reply {
        let readers = self.readers.of(visitor)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        do {
            switch (parts.count, parts.first) {
            case (1, ""): return try await OverviewPage.reply(readers, query)
            case (1, "results"): return try await ResultsPage.reply(readers, query)
            case (1, "objects"): return try await ObjectsPage.reply(readers, query)
            case (1, "compare"): return try await ComparePage.reply(readers, query)
            case (1, "review"): return try await ReviewPage.reply(readers, query)
            case (1, "failures"): return try await FailuresPage.reply(readers, query)
            case (1, "evaluations"): return try await EvaluationsPage.reply(readers, query)
            case (1, "find"): return try await FindPage.reply(readers, query)
            case (1, "style.css"): return Assets.style.reply
            case (1, "script.js"): return Assets.script.reply
            case (1, "icon.svg"): return Assets.icon.reply
            case (2, "job"):
                if let job = Self.number(parts[1]) { return try await ItemPage.reply(readers, job) }
            case (2, "evaluations"):
                if let number = Self.number(parts[1]) { return try await EvaluationPage.reply(readers, number) }
            case (2, "review"):
                if let job = Self.number(parts[1]) { return try await ReviewItemPage.reply(readers, job, query) }
            case (3, "picture"):
                if let job = Self.number(parts[1]), let index = Self.number(parts[2]) {
                    return try await picture(readers, job, index, query)
                }
            default: break
            }
            return Layout.problem("There is no such page.", status: 404)
        } catch {
            return Self.failure(error)
        }
    }

    /// Does what a form asks for, and leads to the page that shows it.
    func act(path: String, form: URLQuery, _ visitor: Visitor) async -> Reply {
        let readers = self.readers.of(visitor)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        do {
            switch (parts.count, parts.first, parts.last) {
            case (3, "job", "retry"):
                if let job = Self.number(parts[1]) { return try await Actions.retry(readers, job) }
            case (3, "job", "rerun"):
                if let job = Self.number(parts[1]) { return try await Actions.rerun(readers, job) }
            case (2, "review", "next"): return try await ReviewForms.begin(readers, form)
            case (2, "review", "undo"): return try await ReviewForms.undo(readers, form)
            case (2, "review", _):
                if let job = Self.number(parts[1]) { return try await ReviewForms.judge(readers, job, form) }
            case (2, "failures", "retry"): return try await Actions.retry(readers, form)
            default: break
            }
            return Layout.problem("Nothing can be changed there.", status: 405)
        } catch {
            return Self.failure(error)
        }
    }

    /// A number from 1 on, written as we write it.
    static func number(_ text: String) -> Int64? {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), text.first != "0" else {
            return nil
        }
        return Int64(text)
    }

    private func picture(_ readers: ReaderPool, _ job: Int64, _ index: Int64, _ query: URLQuery) async throws -> Reply {
        guard let size = query["w"].flatMap({ Int($0) }).flatMap(PictureSize.init), index <= 32_767 else {
            return PictureMaker.placard("No such picture", status: 404)
        }
        guard let wanted = try await WantedPicture.find(readers, job: job, index: Int(index)) else {
            return PictureMaker.placard("No such picture", status: 404)
        }
        if images == .direct, wanted.isOnTheWeb { return .redirect(to: wanted.url) }
        return await pictures.reply(wanted, size, version: query["v"])
    }

    private static func failure(_ error: any Error) -> Reply {
        let page = error as? PageError
        let statement: HTML = page?.statement.map { "<pre class=\"sql\">\($0.text)</pre>" } ?? ""
        if page?.isTooSlow == true {
            return Layout.problem(
                "The database had no answer in time. Narrow it down: by a batch, a task, or without the text.",
                status: 503, detail: statement)
        }
        let cause = page?.cause ?? error
        switch cause {
        case let problem as BadField: return Layout.problem(problem.message, status: 400)
        case let refusal as NotAllowed:
            return Layout.problem(
                "\(refusal.visitor.name) is a \(refusal.visitor.role.word) here, and this is for "
                    + "\(refusal.needed == .admin ? "admins" : "reviewers and admins"). Who runs this console gives the roles.",
                status: 403)
        // A text that no text of the database can be: U+0000.
        case let error as StorageError where error.sqlState == "22021":
            return Layout.problem(error.message, status: 400)
        case let error as StorageError where error.sqlState == "42501" && error.message.contains("gloss_reader"):
            return Layout.problem(
                "The console's login may not become gloss_reader. As a superuser: grant gloss_reader to it.",
                status: 503)
        case let error as StorageError where error.sqlState == "42501":
            return Layout.problem(
                "PostgreSQL does not let the console's login do that: \(error.message). docs/console.md says which roles it needs.",
                status: 403)
        // What was judged is not there any more, or is another one.
        case let error as StorageError where error.sqlState == "55000":
            return Layout.problem("\(error.message).", status: 409)
        case let error as StorageError where ["22023", "22007", "22008"].contains(error.sqlState ?? ""):
            return Layout.problem(error.message, status: 400)
        case let error as StorageError where error.disposition == .retry:
            return Layout.problem("The database cannot be reached: \(error.message)", status: 503)
        case let error as StorageError: return Layout.problem(error.description, status: 500, detail: statement)
        default: return Layout.problem("\(cause)", status: 500, detail: statement)
        }
    }
}

/// A field of an address that makes no sense.
struct BadField: Error {
    let message: String

    /// A number of a field; nil: it is not there.
    static func number(_ query: URLQuery, _ name: String) throws -> Double? {
        guard let text = query[name] else { return nil }
        guard let number = Double(text), number.isFinite else {
            throw BadField(message: "\(name) is a number such as 0.5, not \"\(text.shortened(to: 60))\".")
        }
        return number
    }

    /// A whole number from 1 on.
    static func whole(_ query: URLQuery, _ name: String) throws -> Int64? {
        guard let text = query[name] else { return nil }
        guard let number = Site.number(text) else {
            throw BadField(message: "\(name) is a whole number, not \"\(text.shortened(to: 60))\".")
        }
        return number
    }

    /// One of some words.
    static func word(_ query: URLQuery, _ name: String, of words: [String]) throws -> String? {
        guard let text = query[name] else { return nil }
        guard words.contains(text) else {
            throw BadField(
                message: "\(name) is \(words.joined(separator: ", ")), not \"\(text.shortened(to: 60))\".")
        }
        return text
    }
}
