import Annotation
import Testing

@Suite struct PromptTextTests {
    @Test(arguments: [
        ("caption en", nil), ("detect jack  of clubs", nil), ("Question: x\nContext: y\nAnswer:", nil),
        ("choose from: a \t b", nil), ("what is <image>?", nil), ("", "is empty"),
        ("a\u{7}b", "contains a control character other than TAB and line feed"),
        ("a\r\nb", "contains a control character other than TAB and line feed"),
        ("\ta", "begins or ends with a TAB or a line feed"), ("a\n", "begins or ends with a TAB or a line feed"),
        ("<image>caption en", "must not have <image>, <bos> or the line break at the end: gloss itself adds them"),
        ("<bos>caption en", "must not have <image>, <bos> or the line break at the end: gloss itself adds them"),
        ("caption en\\n", "must not have <image>, <bos> or the line break at the end: gloss itself adds them"),
    ]) func whatSpoilsAnAnswerIsRefused(text: String, problem: String?) {
        #expect(PromptText.problem(text) == problem)
    }

    @Test func outerBlanksGoAndInnerOnesStay() { #expect(PromptText.trimmed("  a  b ") == "a  b") }

    /// loc = clip(round(v · 1023), 0, 1023).
    @Test(arguments: [
        ("0.1,0.2,0.9,0.8", "<loc0102><loc0205><loc0921><loc0818>"),
        (" 0 , .5, 1,1.5", "<loc0000><loc0512><loc1023><loc1023>"),
        ("1e-05,0,1,1", "<loc0000><loc0000><loc1023><loc1023>"),
    ]) func aBoxIsGivenInFractions(box: String, locations: String) {
        let spec = JobSpec(task: .caption, imageURLs: ["u"], style: "box", texts: [box])
        #expect(spec.prompts == ["caption " + locations])
    }
}
