import Foundation
import Glibc
import Synchronization

/// Finds out why names do not resolve: curl does not tell a name that does not exist from a name server that does not answer.
///
/// A lookup blocks a thread for up to half a minute, and there are at most four of them, whatever waits. Nobody waits for a thread: what is
/// asked of it may be forgotten meanwhile.
final class NameLookup: Sendable {
    /// What the name server says.
    struct Finding: Sendable {
        let host: String
        let answer: Answer
        /// Whether it knows a name that led somewhere earlier. Nil where there was none to ask for.
        let knowsOthers: Bool?

        enum Answer: Equatable {
            /// Now it resolves.
            case addresses
            case unknownName
            case noAnswer
        }
    }

    private struct Question {
        let host: String
        let knownNames: [String]
        let deadline: ContinuousClock.Instant
        let reply: @Sendable (Finding) -> Void
    }

    private struct State {
        var questions: [Question] = []
        var threadCount = 0
    }

    private let state = Mutex(State())
    private static let threadLimit = 4

    /// Asks for a name, and where it has no address for names that were known before.
    ///
    /// - Parameters:
    ///   - deadline: after it nobody asks any more, and a question that still waits is dropped.
    ///   - reply: called on the lookup's thread.
    func ask(
        _ host: String, knownNames: [String], by deadline: ContinuousClock.Instant,
        reply: @escaping @Sendable (Finding) -> Void
    ) {
        let needsThread = state.withLock { state in
            state.questions.append(Question(host: host, knownNames: knownNames, deadline: deadline, reply: reply))
            guard state.threadCount < Self.threadLimit else { return false }
            state.threadCount += 1
            return true
        }
        guard needsThread else { return }
        Thread.detachNewThread { [self] in
            while let question = next() { question.reply(Self.find(question)) }
        }
    }

    /// The threads that look up names now.
    var threadCount: Int { state.withLock { $0.threadCount } }

    /// The oldest question; nil, and one thread less, when there is none.
    private func next() -> Question? {
        state.withLock { state in
            state.questions.removeAll { $0.deadline < .now }
            if state.questions.isEmpty {
                state.threadCount -= 1
                return nil
            }
            return state.questions.removeFirst()
        }
    }

    private static func find(_ question: Question) -> Finding {
        let answer = lookUp(question.host)
        var knowsOthers: Bool?
        if answer != .addresses, !question.knownNames.isEmpty {
            knowsOthers = question.knownNames.contains { lookUp($0) == .addresses }
        }
        return Finding(host: question.host, answer: answer, knowsOthers: knowsOthers)
    }

    /// glibc's EAI_NODATA (the name exists and has no address), which its headers hide.
    private static let noData: Int32 = -5

    private static func lookUp(_ host: String) -> Finding.Answer {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        if list != nil { freeaddrinfo(list) }
        return code == 0 ? .addresses : [EAI_NONAME, noData].contains(code) ? .unknownName : .noAnswer
    }
}
