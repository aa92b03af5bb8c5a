import Storage
import Submissions

/// What glossctl exits with, besides 0 and ArgumentParser's 64.
enum ExitStatus: Int32 {
    /// The request failed or was refused.
    case failed = 1
    /// The input is no good: a line of a file, an image.
    case badData = 65
    /// The database cannot be reached, or went away.
    case unavailable = 69

    /// For the help of each command.
    static let help = """
        EXIT CODES
          0   done
          1   failed or refused; standard error says why
          64  the command line is wrong
          65  the input is no good: a line of a file, an image
          69  the database cannot be reached
        """
}

/// An error as a person sees it: one message and one exit code.
struct CommandError: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// What an error of our own libraries means here; nil for ArgumentParser's.
    init?(_ error: any Error) {
        switch error {
        case let error as CommandError: self = error
        case let problem as FileProblem: self.init(.badData, problem.message)
        case let error as StorageError: self.init(error)
        default: return nil
        }
    }

    private init(_ error: StorageError) {
        let status: ExitStatus =
            switch error.code {
            case .cannotConnect, .connectionLost, .timedOut, .badConnectionString: .unavailable
            // The server starts up or shuts down.
            case .refused(let state) where state.hasPrefix("57P") || state.hasPrefix("08"): .unavailable
            default: .failed
            }
        self.init(status, error.description + Self.advice(error))
    }

    private static func advice(_ error: StorageError) -> String {
        switch error.sqlState {
        // No such schema, table or function.
        case "3F000", "42P01", "42883": "; does the database have gloss's schema? Run: glossctl migrate"
        case "42501": "; your role has no right to this (see the roles in docs/glossctl.md)"
        default: ""
        }
    }
}
