/// What is fuzzed, by name: each takes bytes as they may come from outside, and traps where something is wrong.
let targets: [String: @Sendable ([UInt8]) -> Void] = [
    "answers": Answers.run,
    "config": Models.configuration,
    "data-url": Network.dataURL,
    "enqueue": JobFiles.run,
    "exif": Pictures.exif,
    "http": Network.answer,
    "jpeg": Pictures.jpeg,
    "npz": Models.npz,
    "packed": Models.packed,
    "png": Pictures.png,
    "prompt": Texts.prompt,
    "safetensors": Models.safetensors,
    "tokenizer": Texts.tokenizer,
    "tokenizer-json": Texts.tokenizerJSON,
    "url": Network.url,
    "webp": Pictures.webp,
]
