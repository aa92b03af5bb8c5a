import COpenSSL
import Foundation

/// A model's identity: what `sha256sum config.json model*.safetensors tokenizer.model | sha256sum` prints, with the
/// files that are read and change what is computed, in byte order of their names.
func modelDigest(folder: URL, names: [String]) throws(InferenceError) -> String {
    var lines = ""
    for name in names.sorted() {
        lines += "\(sha256(try mapFile(folder.appending(path: name))))  \(name)\n"
    }
    return sha256(Data(lines.utf8))
}

/// SHA-256 of values as they lie in memory.
func sha256(_ values: [some BitwiseCopyable]) -> String { values.withUnsafeBytes { sha256($0) } }

private func sha256(_ data: Data) -> String { data.withUnsafeBytes { sha256($0) } }

/// SHA-256 in lower-case hexadecimal.
private func sha256(_ bytes: UnsafeRawBufferPointer) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    let done = gloss_sha256(bytes.baseAddress, bytes.count, &digest)
    precondition(done == 1, "libcrypto has no SHA-256")
    return digest.map { String(format: "%02x", $0) }.joined()
}
