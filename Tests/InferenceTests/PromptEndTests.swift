import Annotation
import Foundation
import Testing

@testable import Inference

/// The line feed that ends a prompt is a token of its own, as big_vision makes it, though it is encoded with the text, as
/// Hugging Face does: for every text that is a prompt.
@Suite struct PromptEndTests {
    @Test(arguments: [
        "caption en", "detect jack  of clubs", "a \t b", "Question: x\nContext: y\nAnswer:", "a.\n\nb", "ß☃",
        "caption <loc0001><loc0002><loc0003><loc0004>",
    ])
    func theLineFeedStandsAlone(text: String) throws {
        let tokenizer = try Tokenizer(contentsOf: Golden.fixtures.appending(path: "tiny/model/tokenizer.model"))
        #expect(PromptText.problem(text) == nil)
        #expect(try tokenizer.encode(text + "\n") == tokenizer.encode(text) + tokenizer.encode("\n"))
    }

    /// Why a text may not end so.
    @Test func aLineFeedBeforeItWouldJoinIt() throws {
        let tokenizer = try Tokenizer(contentsOf: Golden.fixtures.appending(path: "tiny/model/tokenizer.model"))
        #expect(try tokenizer.encode("a\n\n") != tokenizer.encode("a\n") + tokenizer.encode("\n"))
        #expect(PromptText.problem("a\n") != nil)
    }
}
