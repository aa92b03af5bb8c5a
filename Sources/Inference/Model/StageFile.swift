import Foundation

extension PaliGemma {
    /// Positions whose logits are in memory at a time.
    private static let positionsAtOnce = 64

    /// Writes the stages of one prefill as a safetensors file: `pixel_values` [images, 3, S, S], `image_features`
    /// [images, tokens, width] and `logits` [positions, vocabulary], which is as large as it is: 4 GB at 896 px.
    public func writeStages(images: [PixelValues], prompt: String, adapter: Adapter? = nil, to url: URL) throws {
        let features = try embedImages(images, adapter: adapter)
        let prefix = try prefixOf(features, prompt, adapter)
        let count = prefix.count
        let hidden = try language.forward(prefix, bidirectional: count, compute)
        let (side, width) = (configuration.vision.imageSize, configuration.text.width)
        var writer = try SafeTensorsWriter(
            [
                ("pixel_values", [images.count, 3, side, side]),
                ("image_features", [images.count, configuration.imageTokenCount, width]),
                ("logits", [count, configuration.text.vocabulary]),
            ], to: url)
        do {
            for image in images { try writer.append(image.values) }
            for image in features { try writer.append(image.values) }
            for start in stride(from: 0, to: count, by: Self.positionsAtOnce) {
                let rows = Array(start..<min(start + Self.positionsAtOnce, count))
                let logits = try language.logits(hidden, rows: rows, compute)
                try writer.append(logits.values(rows: 0..<rows.count))
            }
            try writer.finish()
        } catch {
            writer.cancel()
            throw error
        }
    }
}
