import CCurl
import Foundation
import TestSupport
import Testing

@testable import Images

/// Every outcome of a fetch, and what becomes of it: the tables of docs/fetching.md.
@Suite(.timeLimit(.minutes(5))) struct OutcomeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// A new code needs a row.
    @Test func eachCodeHasARow() {
        func word(_ code: ImageError.Code) -> String { if case .httpStatus = code { "http_" } else { code.word } }
        #expect(Set(Outcome.all.map { word($0.code) }) == Set(ImageError.Code.known.map(word)))
    }

    @Test(arguments: Outcome.all.indices)
    func becomesWhatTheTableSays(_ index: Int) async throws {
        let outcome = Outcome.all[index]
        if case .elsewhere = outcome.cause {
            let error = ImageError(outcome.code, "")
            #expect(error.disposition == outcome.disposition && error.blame == outcome.blame, "\(outcome.what)")
            return
        }
        let error = try #require(try await error(of: outcome.cause), "\(outcome.what)")
        #expect(error.code == outcome.code, "\(outcome.what): \(error)")
        #expect(error.disposition == outcome.disposition && error.blame == outcome.blame, "\(outcome.what)")
    }

    private func error(of cause: Outcome.Cause) async throws -> ImageError? {
        switch cause {
        case .elsewhere: return nil
        case .url(let url, let policy): return try await fetchError(url, policy)
        case .answer(let script):
            let server = try LoopbackServer(["/a": script])
            let file: FetchedImage
            do { file = try await ImageFetcher(policy: loopbackPolicy()).fetch(server.url("/a")) } catch {
                return error
            }
            do throws(ImageError) { _ = try ImageDecoder.decode(file.bytes) } catch { return file.judged(error) }
            return nil
        case .object(let script):
            let server = try LoopbackServer(["/images/a": script])
            let policy = loopbackPolicy {
                $0.s3.buckets = ["images"]
                $0.s3.endpoint = "http://127.0.0.1:\(server.port)"
            }
            let key = ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"]
            let fetcher = try ImageFetcher(policy: policy, environment: key)
            do { _ = try await fetcher.fetch("s3://images/a") } catch { return error }
            return nil
        }
    }

    @Test func tlsThatIsNone() async throws {
        let authority = try await PrivateCA()
        let server = try await ScriptedTLSServer(
            authority, name: "127.0.0.1", options: ["-no_tls1_2", "-no_tls1_3", "-cipher", "DEFAULT@SECLEVEL=0"])
        let policy = loopbackPolicy { $0.certificateAuthorities = authority.certificate }
        let error = try await fetchError("https://127.0.0.1:\(server.port)/a", policy)
        #expect(error?.code == .tls && error?.blame == .origin, "\(String(describing: error))")
        #expect(error?.disposition == .retry(after: nil))
    }

    /// Each status of HTTP, from a server, alone and with a time at which to ask again.
    @Test func eachStatus() async throws {
        let rows = StatusOutcome.all
        let statuses = rows.flatMap(\.statuses)
        #expect(statuses.sorted() == Array(300...599) + [999])
        var scripts: [String: LoopbackServer.Script] = [:]
        for status in statuses {
            scripts["/\(status)"] = { $0.answer(status, "") }
            scripts["/\(status)/7"] = { $0.answer(status, "", headers: ["Retry-After: 7"]) }
        }
        let server = try LoopbackServer(scripts)
        let fetcher = try ImageFetcher(policy: loopbackPolicy())
        for row in rows {
            for status in row.statuses {
                for (path, wanted) in [("/\(status)", row.plain), ("/\(status)/7", row.patient)] {
                    let error = await #expect(throws: ImageError.self) { try await fetcher.fetch(server.url(path)) }
                    #expect(error?.code == .httpStatus(status))
                    #expect(error?.disposition == wanted.0 && error?.blame == wanted.1, "\(path)")
                }
            }
        }
        #expect(server.requests.count == statuses.count * 2)
    }

    /// Each of curl's codes is a code of ours that is worth a row; and what only a bug or a lack of ours explains, is not the host's.
    @Test func eachCodeOfCurl() {
        for number in 1..<CURL_LAST.rawValue {
            let code = TransferFailure.meaning(of: CURLcode(number))
            #expect(ImageError.Code.known.contains(code))
            let disposition = ImageError(code, "").disposition
            let isFinal = [CURLE_URL_MALFORMAT, CURLE_LOGIN_DENIED, CURLE_FILESIZE_EXCEEDED].contains(CURLcode(number))
            #expect((disposition == .permanent) == (isFinal || code == .badCertificate), "\(number)")
        }
    }

    @Test func isDocumented() throws {
        let document = try String(contentsOf: Self.root.appending(path: "docs/fetching.md"), encoding: .utf8)
        for rows in [Outcome.all.map(\.row), StatusOutcome.all.map(\.row), OriginOutcome.all.map(\.row)] {
            #expect(document.contains(rows.joined(separator: "\n")), "it should be:\n\(rows.joined(separator: "\n"))")
        }
    }

    /// The tests that the table names are there.
    @Test func namesTestsThatThereAre() throws {
        let files = FileManager.default.enumerator(atPath: Self.root.appending(path: "Tests").path)?.allObjects ?? []
        let names = files.compactMap { $0 as? String }.filter { $0.hasSuffix("Tests.swift") }
        let texts = try Dictionary(
            names.map {
                let file = Self.root.appending(path: "Tests/\($0)")
                return (file.deletingPathExtension().lastPathComponent, try String(contentsOf: file, encoding: .utf8))
            }
        ) { $0 + $1 }
        let named = Outcome.all.compactMap { if case .elsewhere(let name) = $0.cause { name } else { nil } }
        for name in named + OriginOutcome.all.map(\.test) {
            let parts = name.split(separator: ".").map(String.init)
            let text = try #require(texts[parts[0]], "\(name)")
            if parts.count > 1 { #expect(text.contains("func \(parts[1])("), "\(name)") }
        }
    }
}
