import Annotation
import Foundation

/// The decoder of PaliGemma's VQ-VAE: 16 codes to a mask. It is the same for every checkpoint of PaliGemma.
///
///     codebook [128, e] at 4 × 4 → 1×1, ReLU → 2 residual blocks → 4 × (transposed 4×4, ReLU) → 1×1 → 64 × 64
///
/// Source: big_vision, evaluators/proj/paligemma/transfers/segmentation.py. All sizes are read from the shapes.
public final class VAEMaskDecoder: MaskDecoder {
    /// x + conv1×1(ReLU conv3×3(ReLU conv3×3 x)), without a ReLU after the sum.
    private struct Residual {
        let layers: [Convolution]

        func callAsFunction(_ x: Planes) -> Planes {
            x + layers[2](layers[1](layers[0](x).rectified()).rectified())
        }
    }

    /// SHA-256 of its file, 64 hexadecimal digits.
    public let digest: String
    /// [128][channels]
    private let codebook: [[Float]]
    private let first: Convolution
    private let residuals: [Residual]
    private let doublings: [Convolution]
    private let last: Convolution

    /// Loads a .npz or .safetensors file with the names of vae-oid.npz; other tensors in it are left alone.
    ///
    /// - Throws: ``InferenceError``, `invalidModel`: what is missing, damaged or does not fit.
    public init(contentsOf url: URL) throws(InferenceError) {
        let file = try MaskWeights(contentsOf: url)
        digest = file.digest
        let table = try file.tensor("_vq_vae._embedding", dimensions: 2)
        guard table.shape[0] == 128 else { throw file.error("the codebook has \(table.shape[0]) codes, expected 128") }
        let width = table.shape[1]
        codebook = (0..<128).map { Array(table.values[$0 * width..<($0 + 1) * width]) }
        first = try file.convolution("decoder.0", size: 1, inputs: width)
        let inner = first.outputs
        var residuals: [Residual] = []
        for block in [2, 3] {
            let name = "decoder.\(block).net"
            let widen = try file.convolution("\(name).0", size: 3, inputs: inner)
            let middle = try file.convolution("\(name).2", size: 3, inputs: widen.outputs)
            residuals.append(
                Residual(layers: [
                    widen, middle, try file.convolution("\(name).4", size: 1, inputs: middle.outputs, outputs: inner),
                ]))
        }
        self.residuals = residuals
        var doublings: [Convolution] = []
        for layer in [4, 6, 8, 10] {
            doublings.append(try file.doubling("decoder.\(layer)", inputs: doublings.last?.outputs ?? inner))
        }
        self.doublings = doublings
        last = try file.convolution("decoder.12", size: 1, inputs: doublings[3].outputs, outputs: 1)
    }

    /// The mask of 16 codes 0...127, those of a row side by side: [64, 64], nominally −1...1; above 0 is inside.
    public func decode(_ codes: [Int]) -> [Float] {
        precondition(codes.count == 16)
        let channels = codebook[0].count
        var values = [Float](repeating: 0, count: channels * 16)
        for (place, code) in codes.enumerated() {
            for channel in 0..<channels { values[channel * 16 + place] = codebook[code][channel] }
        }
        var x = first(Planes(values: values, channels: channels, height: 4, width: 4)).rectified()
        for block in residuals { x = block(x) }
        for layer in doublings { x = layer(x).rectified() }
        return last(x).values
    }

    public func mask(codes: [Int], box: Box, height: Int, width: Int) -> RunLengthMask? {
        paste(decode(codes), side: 64, box: box, height: height, width: width)
    }
}

extension MaskWeights {
    /// An odd square convolution of these inputs, and of these outputs if they are known.
    fileprivate func convolution(
        _ name: String, size: Int, inputs: Int, outputs: Int? = nil
    ) throws(InferenceError) -> Convolution {
        let weights = try tensor("\(name).weight", dimensions: 4)
        let expected = [outputs ?? weights.shape[0], inputs, size, size]
        return try layer(name, .same(size: size), weights, expected, inputs: inputs, outputs: expected[0])
    }

    fileprivate func doubling(_ name: String, inputs: Int) throws(InferenceError) -> Convolution {
        let weights = try tensor("\(name).weight", dimensions: 4)
        let expected = [inputs, weights.shape[1], 4, 4]
        return try layer(name, .doubling, weights, expected, inputs: inputs, outputs: expected[1])
    }

    private func layer(
        _ name: String, _ kind: Convolution.Kind, _ weights: Tensor, _ expected: [Int], inputs: Int, outputs: Int
    ) throws(InferenceError) -> Convolution {
        guard weights.shape == expected else {
            throw error("\(name).weight has the shape \(weights.shape), expected \(expected)")
        }
        let bias = try tensor("\(name).bias", dimensions: 1)
        guard bias.shape == [outputs] else {
            throw error("\(name).bias has the shape \(bias.shape), expected \([outputs])")
        }
        return Convolution(kind: kind, inputs: inputs, outputs: outputs, weights: weights.values, bias: bias.values)
    }
}
