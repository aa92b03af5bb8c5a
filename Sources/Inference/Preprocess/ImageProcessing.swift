import Foundation

/// What a folder says of its image processor. Gloss computes one: a resize to a square, then (x / 255 − 0.5) / 0.5. A
/// file that asks for another is refused by the field's name.
struct ImageProcessing {
    /// Where it is read from, in transformers' order.
    static let names = ["processor_config.json", "preprocessor_config.json"]

    /// Why the file's resize is not computed, unless another is asked for.
    let unsupportedResize: String?

    /// - Parameters:
    ///   - imageSize: the model's, pixels a side.
    ///   - read: the name of the file that was read is added.
    init(_ files: some ModelFiles, imageSize: Int, read: inout [String]) throws(InferenceError) {
        var found: (name: String, fields: Fields)?
        for name in Self.names where found == nil {
            guard let data = try files.contents(name) else { continue }
            let path = "\(files.path)/\(name)"
            do {
                // Older files of the first name have no image processor: it stands in the second one.
                let fields =
                    name == Self.names[0]
                    ? try JSONDecoder().decode(Whole.self, from: data).image_processor
                    : try JSONDecoder().decode(Fields.self, from: data)
                found = fields.map { (path, $0) }
            } catch {
                throw InferenceError(.invalidModel, "\(path): not valid: \(describe(error))")
            }
            if found != nil { read.append(name) }
        }
        if let what = found?.fields.unsupported(imageSize: imageSize) {
            throw InferenceError(.unsupportedModel, "\(found!.name): \(what)")
        }
        let resample = found?.fields.resample ?? 3
        unsupportedResize =
            resample == 3
            ? nil
            : "\(found!.name): resample is \(resample), and only 3 (bicubic) is computed as Hugging Face does; the option"
                + " resize overrides it"
    }

    private struct Whole: Decodable { var image_processor: Fields? }

    private struct Fields: Decodable {
        var image_processor_type, feature_extractor_type: String?
        var do_resize, do_rescale, do_normalize, do_center_crop, do_pad, default_to_square: Bool?
        var resample: Int?
        var rescale_factor: Double?
        var image_mean, image_std: OneOrThree?
        var size: Size?

        func unsupported(imageSize: Int) -> String? {
            let type = image_processor_type ?? feature_extractor_type ?? "SiglipImageProcessor"
            guard type.hasPrefix("SiglipImageProcessor") || type.hasPrefix("SiglipFeatureExtractor") else {
                return "image_processor_type \(type) is not supported: only SiglipImageProcessor"
            }
            for (name, value) in [
                ("do_resize", do_resize), ("do_rescale", do_rescale), ("do_normalize", do_normalize),
            ] where value == false { return "\(name) is false, which is not computed" }
            for (name, value) in [("do_center_crop", do_center_crop), ("do_pad", do_pad)] where value == true {
                return "\(name) is true, which is not computed"
            }
            if let rescale_factor, abs(rescale_factor * 255 - 1) > 1e-9 {
                return "rescale_factor is \(rescale_factor), expected 1/255"
            }
            for (name, value) in [("image_mean", image_mean), ("image_std", image_std)] {
                if let value, value.values.contains(where: { $0 != 0.5 }) {
                    return "\(name) is \(value.values), expected 0.5"
                }
            }
            return size.flatMap { $0.problem(imageSize: imageSize) }
        }
    }

    private struct OneOrThree: Decodable {
        let values: [Double]
        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            values = try (try? value.decode(Double.self)).map { [$0] } ?? value.decode([Double].self)
        }
    }

    private struct Size: Decodable {
        let height, width: Int?

        init(from decoder: any Decoder) throws {
            if let both = try? decoder.singleValueContainer().decode([String: Int?].self) {
                (height, width) = (both["height"] ?? nil, both["width"] ?? nil)
            } else {
                (height, width) = (nil, nil)
            }
        }

        func problem(imageSize: Int) -> String? {
            guard let height, let width else { return "size has no height and width, which is not computed" }
            guard height == imageSize, width == imageSize else {
                return "size is \(height) x \(width), config.json's image_size is \(imageSize)"
            }
            return nil
        }
    }
}
