import Foundation

@testable import Inference

/// The tokenizer: its model, and what it is asked to read.
enum Texts {
    @Sendable static func tokenizer(_ bytes: [UInt8]) {
        guard let tokenizer = try? Tokenizer(Data(bytes), path: "tokenizer.model") else { return }
        check(tokenizer, "caption en a Cat;\u{0}\t<loc0001> é ﬁ １ 猫 \u{FFFD}")
        _ = tokenizer.decode(Array(-1...min(tokenizer.pieceCount, 600)))
    }

    @Sendable static func tokenizerJSON(_ bytes: [UInt8]) {
        guard let tokenizer = try? Tokenizer(Data(bytes), path: "tokenizer.json") else { return }
        check(tokenizer, "caption en a Cat;\u{0}\t<loc0001> é ﬁ １ 猫 \u{FFFD}")
        _ = tokenizer.decode(Array(-1...min(tokenizer.pieceCount, 600)))
    }

    static let shapes: Tokenizer = {
        guard let tokenizer = try? Tokenizer(contentsOf: URL(filePath: "models/gloss-shapes/tokenizer.model")) else {
            fatalError("run it from the repository's folder")
        }
        return tokenizer
    }()

    @Sendable static func prompt(_ bytes: [UInt8]) { check(shapes, String(decoding: bytes, as: UTF8.self)) }

    private static func check(_ tokenizer: Tokenizer, _ text: String) {
        guard let ids = try? tokenizer.encode(text) else { return }
        precondition(ids.allSatisfy { (0..<tokenizer.pieceCount).contains($0) })
        _ = tokenizer.decode(ids)
    }
}
