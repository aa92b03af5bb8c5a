import CKernels

/// f32 planes: [channels, height, width].
struct Planes {
    var values: [Float]
    let channels: Int
    let height: Int
    let width: Int

    /// Each value, or 0 if it is negative.
    func rectified() -> Planes {
        var result = self
        for index in result.values.indices { result.values[index] = max(values[index], 0) }
        return result
    }

    /// The sum of two of the same shape.
    static func + (left: Planes, right: Planes) -> Planes {
        precondition(left.values.count == right.values.count)
        var result = left
        for index in result.values.indices { result.values[index] += right.values[index] }
        return result
    }
}

/// A convolution with a bias, in PyTorch's layouts.
struct Convolution: Sendable {
    /// How it moves over the planes.
    enum Kind: Sendable {
        /// An odd square kernel with zeros around; weights [outputs, inputs, size, size].
        case same(size: Int)
        /// The transposed convolution of kernel 4, stride 2, padding 1, which doubles both sides; weights
        /// [inputs, outputs, 4, 4].
        case doubling
    }

    let kind: Kind
    let inputs: Int
    let outputs: Int
    let weights: [Float]
    let bias: [Float]

    func callAsFunction(_ x: Planes) -> Planes {
        precondition(x.channels == inputs)
        let (height, width) = (x.height, x.width)
        var scratch = [Float](repeating: 0, count: height * width)
        switch kind {
        case .same(let size):
            var y = [Float](repeating: 0, count: outputs * height * width)
            gloss_convolve(
                x.values, Int64(inputs), Int64(height), Int64(width), weights, bias, Int64(outputs), Int64(size), &y,
                &scratch)
            return Planes(values: y, channels: outputs, height: height, width: width)
        case .doubling:
            var y = [Float](repeating: 0, count: outputs * height * width * 4)
            gloss_convolve_transposed(
                x.values, Int64(inputs), Int64(height), Int64(width), weights, bias, Int64(outputs), &y, &scratch)
            return Planes(values: y, channels: outputs, height: 2 * height, width: 2 * width)
        }
    }
}
