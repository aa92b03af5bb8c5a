import Images
import Testing
import Work

@testable import Daemon

/// Each of the fetcher's and the decoders' errors, and whose fault the work takes it to be.
@Suite struct BlameTests {
    @Test func everyCodeHasItsBlame() {
        func blame(_ error: ImageError) -> ImageFailure.Blame { ImageFailure(error).blame }
        let image: [ImageError.Code] = [
            .invalidURL, .schemeNotAllowed, .portNotAllowed, .userinfo, .addressNotAllowed, .pathNotAllowed,
            .tooManyRedirects, .fileNotFound, .httpStatus(404), .tooLarge, .emptyBody, .credentials, .notAnImage,
            .unsupportedFormat, .truncated, .corrupt, .tooManyPixels, .tooSmall, .aspectRatio, .placeholder,
            .decoderCPULimit, .optedOut,
        ]
        for code in image { #expect(blame(ImageError(code, "")) == .image, "\(code)") }
        for code: ImageError.Code in [.connectionLost, .badResponse, .httpStatus(500)] {
            #expect(blame(ImageError(code, "")) == .chance(retryAfter: nil), "\(code)")
        }
        for code: ImageError.Code in [.connectFailed, .tls, .timeout, .tooSlow, .httpStatus(502), .httpStatus(503)] {
            #expect(blame(ImageError(code, "")) == .origin, "\(code)")
        }
        #expect(blame(ImageError(.connectionLost, "", blame: .origin)) == .origin)
        let cut = ImageError(.truncated, "", disposition: .retry(after: nil))
        #expect(blame(cut) == .chance(retryAfter: nil))
        let challenge = ImageError(.httpStatus(200), "", disposition: .retry(after: nil), blame: .origin)
        #expect(blame(challenge) == .origin)
        #expect(blame(ImageError(.httpStatus(404), "", retryAfter: .seconds(7))) == .chance(retryAfter: .seconds(7)))
        #expect(blame(ImageError(.httpStatus(429), "")) == .busyOrigin(retryAfter: nil))
        let later = ImageError(.httpStatus(503), "", retryAfter: .seconds(7))
        #expect(blame(later) == .busyOrigin(retryAfter: .seconds(7)))
        let unknown = ImageError(.robotsUnreachable, "", retryAfter: .seconds(60))
        #expect(blame(unknown) == .busyOrigin(retryAfter: .seconds(60)))
        #expect(blame(ImageError(.originParked, "")) == .parkedOrigin)
        #expect(blame(ImageError(.hostNotFound, "")) == .network(.name, isPermanent: true))
        let uncertain = ImageError(.hostNotFound, "", disposition: .retry(after: nil))
        #expect(blame(uncertain) == .network(.name, isPermanent: true))
        #expect(blame(ImageError(.nameServerFailure, "")) == .network(.name, isPermanent: false))
        #expect(blame(ImageError(.badCertificate, "")) == .network(.certificate, isPermanent: true))
        #expect(blame(ImageError(.outage, "")) == .ownNetwork && blame(ImageError(.stoodStill, "")) == .standstill)
        #expect(blame(ImageError(.cancelled, "")) == .cancelled)
        for code: ImageError.Code in [.outOfMemory, .localFailure] {
            #expect(blame(ImageError(code, "")) == .machine(wantedBytes: nil), "\(code)")
        }
    }

    @Test func decodersThatFail() {
        func blame(_ code: ImageError.Code, _ disposition: ImageError.Disposition?) -> ImageFailure.Blame {
            ImageFailure(ImageError(code, "", disposition: disposition)).blame
        }
        #expect(blame(.decoderFailed, nil) == .killedDecoder && blame(.decoderFailed, .permanent) == .image)
        #expect(
            blame(.decoderFailed, .release(after: .seconds(30))) == .lateDecoder, "by the kernel, for want of memory")
        #expect(blame(.decoderLate, nil) == .lateDecoder && blame(.decoderLate, .permanent) == .image)
    }

    @Test func theOriginIsTold() {
        let error = ImageError(.connectFailed, "refused", origin: "http://a.org:8080")
        let failure = ImageFailure(error)
        #expect(
            failure.origin == "http://a.org:8080" && failure.code == "connect_failed" && failure.message == "refused")
    }
}
