import Inference
import Queue

// The stable words by which failures are counted: gloss.error_frequency, metrics and logs.

extension Failure {
    /// A request that the model could not serve.
    init(_ error: InferenceError) {
        self.init(code: snakeCase("\(error.code)"), reason: error.message, disposition: .permanent)
    }
}

private func snakeCase(_ name: String) -> String {
    name.reduce(into: "") { word, letter in
        if letter.isUppercase { word += "_" }
        word += letter.lowercased()
    }
}
