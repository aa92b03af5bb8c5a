import Annotation

/// A response as `--json` gives it.
struct ScoredResponse: Encodable {
    let text: String
    let tokens: [Int]
    let logprobs: [Double]
    let sumLogprob: Double
    let finishReason: FinishReason
    let prefixTokenCount: Int
    let boxes: [BoxObject]
    /// What it was chosen from; nil: it was not chosen.
    let choices: [Choices.Row]?

    init(_ response: Generation, _ findings: [Finding], choices: [Choices.Row]? = nil) {
        self.choices = choices
        (text, tokens, logprobs) = (response.text, response.tokens, response.logProbabilities)
        (sumLogprob, finishReason) = (response.sumLogprob, response.finishReason)
        prefixTokenCount = response.prefixTokenCount
        boxes = findings.map(BoxObject.init)
    }

    enum CodingKeys: String, CodingKey {
        case text, tokens, logprobs, boxes, choices
        case sumLogprob = "sum_logprob"
        case finishReason = "finish_reason"
        case prefixTokenCount = "prefix_tokens"
    }
}

/// A box as `--json` gives it; what it has not is null.
struct BoxObject: Encodable {
    /// Run lengths as pycocotools takes them.
    struct Mask: Encodable {
        /// Height and width in pixels.
        let size: [Int]
        let counts: String
    }

    let label: String
    let score: Float
    /// Upper, left, lower and right edge, as fractions of the height and the width.
    let box: [Float]?
    let codes: [Int]?
    let mask: Mask?
    let note: String?

    init(_ finding: Finding) {
        (label, score, codes, note) = (finding.label, finding.score, finding.codes, finding.note)
        box = finding.box.map { [$0.y1, $0.x1, $0.y2, $0.x2] }
        mask = finding.mask.map { Mask(size: [$0.height, $0.width], counts: $0.counts) }
    }

    enum CodingKeys: CodingKey {
        case label, score, box, codes, mask, note
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(label, forKey: .label)
        try container.encode(score, forKey: .score)
        try container.encode(box, forKey: .box)
        try container.encode(codes, forKey: .codes)
        try container.encode(mask, forKey: .mask)
        try container.encode(note, forKey: .note)
    }
}
