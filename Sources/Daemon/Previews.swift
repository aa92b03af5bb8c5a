import Decoding
import Dispatch
import Foundation
import Images
import Synchronization

/// Copies of the images that are annotated, for people to look at when the images are gone. No job waits for one, nor fails by one.
final class Previews: Sendable {
    /// So many wait to be written; more are left out, until their images come again.
    private static let mostWaiting = 16

    private struct State {
        var waiting = 0
        var isFailing = false
    }

    private let cache: PictureCache
    private let complain: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let thread = DispatchQueue(label: "previews", qos: .utility)

    /// - Parameter complain: gets why a file cannot be written: once, until one can be.
    init(_ cache: PictureCache, complain: @escaping @Sendable (String) -> Void) {
        (self.cache, self.complain) = (cache, complain)
    }

    /// The longest side that is wanted of an image, pixels; nil: it is there.
    func side(sha256: String, background: UInt32?) -> Int? {
        cache.has(Self.name(sha256, background)) ? nil : PictureCache.previewSide
    }

    /// Writes a preview as soon as there is time.
    /// - Parameter pixels: [height, width, 3], from a decoder. The file is written here: so no byte of a stranger's is in it.
    func keep(_ pixels: [UInt8], _ size: DecodedSize, sha256: String, background: UInt32?) {
        let isRoom = state.withLock { state in
            guard state.waiting < Self.mostWaiting else { return false }
            state.waiting += 1
            return true
        }
        guard isRoom else { return }
        thread.async { [self] in
            defer { state.withLock { $0.waiting -= 1 } }
            guard let file = JPEGFile.encode(RGBImage(width: size.width, height: size.height, pixels: pixels)) else {
                return
            }
            write(Data(file), Self.name(sha256, background))
        }
    }

    /// Calls when all that waits now is written or left out.
    func whenIdle(_ body: @escaping @Sendable () -> Void) { thread.async(execute: body) }

    private func write(_ file: Data, _ name: PictureCache.Name) {
        let failure: String?
        do {
            try cache.write(file, name)
            failure = nil
        } catch {
            failure = error.localizedDescription
        }
        let isNew = state.withLock { state in
            defer { state.isFailing = failure != nil }
            return failure != nil && !state.isFailing
        }
        if let failure, isNew { complain(failure) }
    }

    private static func name(_ sha256: String, _ background: UInt32?) -> PictureCache.Name {
        PictureCache.Name(sha256: sha256, size: PictureCache.previewSide, background: background)
    }
}
