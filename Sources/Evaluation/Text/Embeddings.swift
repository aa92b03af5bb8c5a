/// Vectors of texts, by any model.
public struct Embeddings: Sendable {
    private var vectors: [PythonText: [Float]] = [:]
    private var dimensionCount: Int?

    public init() {}

    /// Adds the vector of a text.
    /// - Throws: if it has another number of dimensions than those before it, no direction, a number that is not
    ///   finite, or if the text has a vector already.
    public mutating func add(_ text: String, _ vector: [Float]) throws(EvaluationError) {
        func fail(_ reason: String) -> EvaluationError {
            EvaluationError(reason: "the embedding of '\(text)' \(reason)")
        }
        if let dimensionCount, dimensionCount != vector.count {
            throw fail("has \(vector.count) dimensions; those before it have \(dimensionCount)")
        }
        guard vector.allSatisfy(\.isFinite) else { throw fail("has a number that is not finite") }
        guard vector.contains(where: { $0 != 0 }) else { throw fail("is zero, which has no cosine") }
        guard vectors.updateValue(vector, forKey: PythonText(text)) == nil else { throw fail("is there twice") }
        dimensionCount = vector.count
    }

    /// The cosine of the angle between the vectors of two texts, -1...1.
    /// - Throws: if a text has no vector.
    public func cosine(_ left: String, _ right: String) throws(EvaluationError) -> Double {
        let left = try vector(left)
        let right = try vector(right)
        func product(_ one: [Float], _ other: [Float]) -> Double {
            zip(one, other).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        return product(left, right) / (product(left, left) * product(right, right)).squareRoot()
    }

    private func vector(_ text: String) throws(EvaluationError) -> [Float] {
        guard let vector = vectors[PythonText(text)] else {
            throw EvaluationError(reason: "there is no embedding of '\(text)'")
        }
        return vector
    }
}
