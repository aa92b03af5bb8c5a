import Annotation
import Foundation
import Testing

@testable import Inference

/// Those who ask again about the same images: each image goes through the vision tower once for them, however little room
/// there is.
@Suite struct HolderTests {
    private let model: PaliGemma
    private let images: [Scheduler.Image]

    init() throws {
        let model = try Golden(Golden.fixtures.appending(path: "tiny2")).model()
        images = (0..<24).map { number in
            let rgb = (0..<16 * 16 * 3).map { UInt8(truncatingIfNeeded: ($0 + 7) * (number + 3) * 31) }
            return Scheduler.Image(model.pixelValues(rgb: rgb, width: 16, height: 16), key: "image \(number)")
        }
        self.model = model
    }

    private var imageBytes: Int {
        model.configuration.imageTokenCount * model.configuration.text.width * MemoryLayout<Float>.stride
    }

    /// Someone with a first question about each of some images, and a second one when all are answered.
    private struct Holder {
        let number: Int
        let images: [Int]
        let priority: Int
        /// As an object's follow-up questions, or none.
        var asksOn = true
        var left = 0
        var isFirst = true

        func queries(_ all: [Scheduler.Image], second: Bool) -> [Scheduler.Query] {
            images.enumerated().map { index, image in
                Scheduler.Query(
                    id: 1000 * number + (second ? 500 : 0) + index, images: [all[image]],
                    prompt: second ? "answer en why?" : "answer en what?",
                    settings: DecodeSettings(maxTokens: 1 + (number + index) % 4, temperature: 1),
                    priority: 2 * priority - (second ? 1 : 0), holder: asksOn && !second ? Int64(number) : nil)
            }
        }
    }

    /// What everybody is answered, how many images were seen, and the most bytes that were kept of them.
    private func run(
        _ all: [Holder], room: Int, patience: Int = 0, random: inout SplitMix64
    ) throws -> (texts: [Int: String], imageCount: Int, mostBytes: Int) {
        var scheduler = Scheduler(model: model, limits: Scheduler.Limits(imageBytes: room * imageBytes, rows: 40))
        var (holders, coming) = ([Int: Holder](), all)
        var (texts, mostBytes, delayed) = ([Int: String](), 0, [(step: Int, holder: Int)]())
        var step = 0
        while !coming.isEmpty || !scheduler.isIdle || !delayed.isEmpty {
            if !coming.isEmpty, scheduler.isIdle || scheduler.isHeldUp || Bool.random(using: &random) {
                var holder = coming.removeFirst()
                holder.left = holder.images.count
                holders[holder.number] = holder
                holder.queries(images, second: false).forEach { scheduler.submit($0) }
            }
            for (due, number) in delayed where due <= step {
                holders[number]!.queries(images, second: true).forEach { scheduler.submit($0) }
                scheduler.letGo(Int64(number))
            }
            delayed.removeAll { $0.step <= step }
            try #require(!scheduler.isHeldUp || !delayed.isEmpty || !coming.isEmpty, "it waits for nobody")
            for completion in scheduler.step() {
                texts[completion.id] = try completion.result.get()[0].text
                let number = completion.id / 1000
                holders[number]!.left -= 1
                if holders[number]!.left == 0, holders[number]!.isFirst, holders[number]!.asksOn {
                    holders[number]!.isFirst = false
                    holders[number]!.left = holders[number]!.images.count
                    delayed.append((step + 1 + Int.random(in: 0...patience, using: &random), number))
                }
            }
            mostBytes = max(mostBytes, scheduler.images.byteCount)
            step += 1
            try #require(step < 20_000)
        }
        return (texts, scheduler.statistics.imageCount, mostBytes)
    }

    @Test(arguments: [0, 1, 3, 8]) func imagesOfAHolderAreSeenOnce(room: Int) throws {
        var random = SplitMix64(UInt64(room))
        let holders = (0..<6).map { Holder(number: $0 + 1, images: Array(4 * $0..<4 * $0 + 4), priority: 0) }
        let (texts, count, mostBytes) = try run(holders, room: room, patience: 3, random: &random)
        #expect(texts.count == 48 && count == 24)
        #expect(mostBytes <= max(room, 4) * imageBytes, "with little room one after the other")
    }

    /// Holders, others, priorities and shared images by chance: all come to their end, with the answers of unlimited room.
    @Test(arguments: 0..<30) func nobodyWaitsForEver(seed: UInt64) throws {
        var random = SplitMix64(seed)
        let holders = (1...Int.random(in: 2...12, using: &random)).map { number in
            let chosen = images.indices.shuffled(using: &random).prefix(.random(in: 1...5, using: &random))
            return Holder(
                number: number, images: Array(chosen), priority: .random(in: 0...2, using: &random),
                asksOn: .random(using: &random))
        }
        let free = try run(holders, room: 1000, random: &random)
        let room = Int.random(in: 0...6, using: &random)
        let tight = try run(holders, room: room, patience: 6, random: &random)
        #expect(tight.texts == free.texts)
        let mostSeen = holders.reduce(0) { $0 + ($1.asksOn ? $1.images.count : 2 * $1.images.count) }
        #expect(tight.imageCount <= mostSeen)
    }
}
