import Foundation

/// Models in forms that Gloss does not read: what each is, and what to do.
enum ForeignFormat {
    /// A sentence about a folder with these files; nil where it looks like a Hugging Face model with safetensors.
    static func ofFolder(_ url: URL, _ names: Set<String>) -> String? {
        let path = url.path
        func has(_ ending: String) -> String? { names.sorted().first { $0.hasSuffix(ending) } }
        if names.contains("model.safetensors") || names.contains("model.safetensors.index.json") { return nil }
        if names.contains("adapter_config.json") { return adapter(url) }
        if let file = has(".npz") {
            return names.contains("config.json")
                ? "\(path): \(file) holds the weights in MLX's form; \(anew)"
                : "\(path): \(file) is a checkpoint of big_vision; use the same model in Hugging Face's form, or convert it"
                    + " with transformers' convert_paligemma_weights_to_hf.py"
        }
        if let file = has(".gguf") { return gguf("\(path)/\(file)") }
        if let file = has(".bin") ?? has(".bin.index.json") ?? has(".pt") ?? has(".pth") ?? has(".ckpt") {
            return "\(path): \(file) is a pickle of PyTorch, which Gloss does not read; \(anew)"
        }
        if let file = has(".msgpack") ?? has(".h5") {
            return "\(path): \(file) is a checkpoint of Flax or TensorFlow; \(anew)"
        }
        if let file = has(".safetensors") {
            return
                "\(path): no model.safetensors and no model.safetensors.index.json, but \(file): rename it, or download"
                + " the rest of the model"
        }
        return nil
    }

    /// A sentence about a file that is no packed model, by its first bytes; nil where they say nothing.
    static func ofFile(_ start: some Collection<UInt8>, path: String) -> String? {
        if isPointer(start) { return pointer(path) }
        if start.starts(with: "GGUF".utf8) { return gguf(path) }
        if start.starts(with: "PK".utf8) {
            return path.hasSuffix(".npz")
                ? "\(path) is a checkpoint of big_vision; use the same model in Hugging Face's form, or convert it with"
                    + " transformers' convert_paligemma_weights_to_hf.py"
                : "\(path) is a pickle of PyTorch, which Gloss does not read; \(anew)"
        }
        if path.hasSuffix(".safetensors") || path.hasSuffix(".json") {
            return "\(path) is one file of a model; give the folder that it is in"
        }
        return nil
    }

    /// Throws where a file is what Git LFS leaves in the place of a file that was not downloaded.
    static func refusePointer(_ data: Data, path: String) throws(InferenceError) {
        guard isPointer(data.prefix(64)) else { return }
        throw InferenceError(.invalidModel, pointer(path))
    }

    private static func isPointer(_ start: some Collection<UInt8>) -> Bool {
        start.starts(with: "version https://git-lfs.github.com/spec/".utf8)
    }

    private static func pointer(_ path: String) -> String {
        "\(path) is a pointer of Git LFS, not the file itself: run git lfs pull in the model's folder"
    }

    private static func gguf(_ path: String) -> String {
        "\(path) is a GGUF file, of llama.cpp; give the Hugging Face folder that it was made from"
    }

    private static func adapter(_ url: URL) -> String {
        struct Adapter: Decodable { var base_model_name_or_path: String? }
        let file = url.appending(path: "adapter_config.json")
        let base = (try? JSONDecoder().decode(Adapter.self, from: Data(contentsOf: file)))?.base_model_name_or_path
        return
            "\(url.path) is an adapter of PEFT\(base.map { " for \($0)" } ?? ""), not a model: give its base model, and this"
            + " folder as its adapter (--adapter, or adapters in glossd.yaml)"
    }

    private static let anew =
        "load it with transformers and save it anew with save_pretrained, which writes safetensors"
}

extension ForeignFormat {
    /// A sentence about tensors whose names are a wrapper's; nil where they are not.
    static func ofNames(_ names: some Collection<String>) -> String? {
        let wrappers = [
            ("base_model.model.", "of PEFT: merge it with merge_and_unload, then save_pretrained"),
            ("module.", "of DistributedDataParallel or DeepSpeed: save the model inside of it (model.module)"),
            ("_orig_mod.", "of torch.compile: save the model inside of it (model._orig_mod)"),
            ("_fsdp_wrapped_module.", "of FSDP: gather the full state dict, and save that"),
        ]
        for (prefix, what) in wrappers where names.contains(where: { $0.hasPrefix(prefix) }) {
            return "the names of its tensors begin with \(prefix), the wrapper \(what)"
        }
        let parts = ["language_model.", "vision_tower.", "multi_modal_projector."]
        let inner = names.first { name in parts.contains { name.contains(".\($0)") } && !name.hasPrefix("model.") }
        guard let inner,
            let range = parts.compactMap({ inner.range(of: ".\($0)") }).min(by: { $0.lowerBound < $1.lowerBound }),
            !names.contains(where: { name in parts.contains { name.hasPrefix($0) || name.hasPrefix("model.\($0)") } })
        else { return nil }
        return
            "the names of its tensors begin with \(inner[..<range.lowerBound]).: save the PaliGemma inside of that model"
    }
}
