import Annotation
import CKernels
import Foundation
import Testing

@testable import Inference

/// A run whose every bit is known: another processor computes the same.
@Suite struct FixedRunTests {
    /// The SHA-256 of `bytes` below, by the set of fixtures and the precision.
    static let digests: [(set: String, precision: Precision, digest: String)] = [
        ("tiny2", .f32, "b81d30745c4edef90abc3b8a44f0744585c1a75060f6a5b8f322c35b800ed87f"),
        ("tiny2", .bf16, "3976a951849fa1ff26a668da293d1a604f33989cc84f7d987b2c1eb683e3905c"),
        ("tiny2", .bf16AMX, "921c7efb1eef23296fbeb090f1c3e76e01d1ae8961bff2ca809e4b10af72753e"),
        ("tiny2", .int8, "73c87ade73b3b3085461750aa45e6cd601e70eec154adda6951e8162a5db8f03"),
        ("tiny3", .f32, "bf171909dc660c19127fbb7069ddae5560d6a73d65d58c3d0d2580fed538cf97"),
        ("tiny3", .bf16, "c8fab9ed1c9a687702132939de11fcfc6b60a561c5357425f0daa3620196fa37"),
        ("tiny3", .bf16AMX, "0eaef8a9a31737c86c593dbdfb2011f2b33a20ad16bf6439e4cb97870c8b8c7f"),
        ("tiny3", .int8, "f2f497e06416a2c7f56ba1715128eb55966657751cefecb7a67f74a79b9ea9f9"),
    ]

    @Test(arguments: digests) func isTheSameOnEveryProcessor(set: String, precision: Precision, digest: String) throws {
        let golden = try Golden(Golden.fixtures.appending(path: set))
        for isa in instructionSets {
            let compute = Compute(instructionSet: isa, threadCount: 2)
            let model = try golden.model(precision: precision, compute: compute)
            let found = try sha256(bytes(of: golden, by: model))
            #expect(found == digest, "\(InstructionSet(isa))")
        }
    }

    /// Images, prefill, steps, samples and beams: each token, and its log-probability as f32. As a double its last bit is
    /// the C library's.
    private func bytes(of golden: Golden, by model: PaliGemma) throws -> [UInt32] {
        let requests = try golden.cases.prefix(3).enumerated().map { index, example in
            let images = try model.embedImages(golden.pixels(example.images, model))
            let settings = [
                DecodeSettings(maxTokens: 6), DecodeSettings(maxTokens: 5, samples: 3, temperature: 0.9, seed: 7),
                DecodeSettings(maxTokens: 4, beams: 2),
            ]
            return GenerationRequest(images: images, prompt: example.prompt, settings: settings[index])
        }
        return try model.generate(requests).flatMap { try $0.get() }.flatMap { generation in
            zip(generation.tokens, generation.logProbabilities).flatMap { [UInt32($0), Float($1).bitPattern] }
        }
    }
}
