/// What makes masks of codes.
public protocol MaskDecoder: Sendable {
    /// The mask of 16 codes 0...127 in a box of an image of `height` × `width` pixels, as it is shown upright; nil if the
    /// box has no pixel.
    func mask(codes: [Int], box: Box, height: Int, width: Int) -> RunLengthMask?
}

extension [Finding] {
    /// The findings with masks where they have codes, or with notes why not.
    ///
    /// - Parameter size: the height and the width of an image by its index, in pixels, as it is shown upright.
    public func masked(by decoder: (any MaskDecoder)?, size: (Int) -> (height: Int, width: Int)?) -> [Finding] {
        map { finding in
            guard let codes = finding.codes, let box = finding.box else { return finding }
            var finding = finding
            if let decoder, let size = size(finding.imageIndex) {
                finding.mask = decoder.mask(codes: codes, box: box, height: size.height, width: size.width)
                if finding.mask == nil { finding.add(note: .noPixels) }
            } else {
                finding.add(note: .noMaskDecoder)
            }
            return finding
        }
    }
}
