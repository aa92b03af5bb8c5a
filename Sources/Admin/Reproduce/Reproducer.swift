import Annotation
import Dispatch
import Foundation
import Inference
import Queue
import Storage

/// Runs stored results again, and says what came of each. It reads the database and changes nothing in it.
struct Reproducer: Sendable {
    /// Images of the results that are computed together.
    private static let mostImages = 64
    private static let mostResults = 64

    let administration: Administration
    let shelf: ModelShelf
    let supply: ImageSupply

    /// A result for which all is here, or what became of it without computing.
    private enum Prepared: Sendable {
        case ready(StoredResult, JobEngine.Job)
        case settled(Reproduction)
    }

    /// A model that is loaded, and the adapters that its results asked for so far.
    private struct Loaded: Sendable {
        let model: PaliGemma
        var adapters: [String: Adapter] = [:]
    }

    /// Runs results again, one model after the other. A result that is gone, or was replaced meanwhile, is left out.
    ///
    /// - Parameter onEach: gets what came of each, as it ends.
    func run(_ results: [ListedResult], onEach: (Reproduction) async throws -> Void) async throws {
        for digest in results.map(\.modelDigest).inOrderOnce {
            let parts = Self.parts(results.filter { $0.modelDigest == digest })
            let loading = shelf.loading(digest)
            guard let model = try await Self.blocking({ () throws(InferenceError) in try shelf.load(loading) }) else {
                for part in parts {
                    for stored in try await administration.storedResults(part.map(\.lease)) {
                        try await onEach(Reproduction(stored, .modelNotHere, Self.notHere(loading, digest)))
                    }
                }
                continue
            }
            try await run(parts, Loaded(model: model), onEach)
        }
    }

    /// While results are computed, the images of the next ones are fetched.
    private func run(
        _ parts: [[ListedResult]], _ loaded: Loaded, _ onEach: (Reproduction) async throws -> Void
    ) async throws {
        var loaded = loaded
        var next = try await prepare(parts[0], &loaded)
        for index in parts.indices {
            let (ended, end) = AsyncStream.makeStream(of: Reproduction.self)
            let (present, model) = (next, loaded.model)
            DispatchQueue.global().async {
                Self.compute(present, model) { end.yield($0) }
                end.finish()
            }
            if index + 1 < parts.count { next = try await prepare(parts[index + 1], &loaded) }
            for await reproduction in ended { try await onEach(reproduction) }
        }
    }

    private static func parts(_ results: [ListedResult]) -> [[ListedResult]] {
        var parts: [[ListedResult]] = []
        var imageCount = 0
        for result in results {
            let fits = imageCount + result.imageCount <= mostImages && (parts.last?.count ?? 0) < mostResults
            if fits, !parts.isEmpty {
                parts[parts.count - 1].append(result)
                imageCount += result.imageCount
            } else {
                parts.append([result])
                imageCount = result.imageCount
            }
        }
        return parts
    }

    /// Runs what blocks away from the threads that wait.
    private static func blocking<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await withCheckedContinuation {
            (continuation: CheckedContinuation<Result<Value, Failure>, Never>) in
            DispatchQueue.global().async {
                continuation.resume(returning: Result { () throws(Failure) in try body() })
            }
        }
        return try result.get()
    }

    private static func notHere(_ loading: ModelShelf.Loading, _ digest: String) -> String {
        guard let identity = loading.identity else {
            return "this version of gloss makes no model of the digest \(digest)"
        }
        return "no model that is given has the files \(identity.fileDigest)"
    }

    // MARK: What it takes

    private func prepare(_ part: [ListedResult], _ loaded: inout Loaded) async throws -> [Prepared] {
        let results = try await administration.storedResults(part.map(\.lease))
        let digests = Set(results.compactMap(\.engine.adapterDigest)).subtracting(loaded.adapters.keys)
        if !digests.isEmpty {
            let model = loaded.model
            let new = try await Self.blocking { () throws(InferenceError) in try shelf.adapters(digests, for: model) }
            loaded.adapters.merge(new) { old, _ in old }
        }
        try checkGiven(results)
        let images = await supply.get(Set(results.flatMap(wanted)), for: loaded.model)
        return results.map { prepare($0, images, loaded) }
    }

    /// Files that are given are of one job, and of all its images.
    private func checkGiven(_ results: [StoredResult]) throws(CommandError) {
        guard let result = results.first, !supply.given.isEmpty else { return }
        let (images, files) = (result.imageSHA256.count, supply.given.count)
        guard images == files else {
            throw CommandError(
                .failed, "job \(result.lease.job) has images: \(images); --image gives files: \(files)")
        }
    }

    private func wanted(_ stored: StoredResult) -> [WantedImage] {
        guard let spec = try? stored.spec.get() else { return [] }
        return stored.imageSHA256.indices.map { index in
            let (urls, given) = (spec.imageURLs, supply.given)
            return WantedImage(
                url: !given.isEmpty ? given[index] : urls.indices.contains(index) ? urls[index] : "",
                finalURL: stored.finalURLs.indices.contains(index) ? stored.finalURLs[index] : nil,
                sha256: stored.imageSHA256[index], background: spec.background)
        }
    }

    private func prepare(
        _ stored: StoredResult, _ images: [WantedImage: Result<FoundImage, MissingImage>], _ loaded: Loaded
    ) -> Prepared {
        let spec: JobSpec
        do throws(UnreadableSpec) { spec = try stored.spec.get() } catch {
            return .settled(Reproduction(stored, .otherVersion, error.reason))
        }
        let engine = stored.engine
        if let digest = engine.adapterDigest, loaded.adapters[digest] == nil {
            return .settled(Reproduction(stored, .modelNotHere, "no adapter that is given has the files \(digest)"))
        }
        let hasDecoder = engine.maskDecoderDigest != nil && engine.maskDecoderDigest == shelf.maskDecoder?.digest
        if let digest = engine.maskDecoderDigest, !hasDecoder,
            stored.result.findings.contains(where: { $0.codes != nil })
        {
            return .settled(Reproduction(stored, .modelNotHere, "the mask decoder \(digest) is not given"))
        }
        let wanted = wanted(stored)
        let found = wanted.map { images[$0]! }
        if let problem = Self.problem(stored, wanted, found) { return .settled(problem) }
        return .ready(
            stored,
            JobEngine.Job(
                spec: spec, images: found.compactMap { try? $0.get() },
                adapter: engine.adapterDigest.flatMap { loaded.adapters[$0] },
                maskDecoder: hasDecoder ? shelf.maskDecoder : nil))
    }

    /// What is wrong with a result's images; nil: nothing.
    private static func problem(
        _ stored: StoredResult, _ wanted: [WantedImage], _ found: [Result<FoundImage, MissingImage>]
    ) -> Reproduction? {
        var changed: [Reproduction.ChangedImage] = []
        var (missing, broken) = ([String](), [String]())
        for (index, (image, result)) in zip(wanted, found).enumerated() {
            guard case .failure(let why) = result else { continue }
            let url = image.url.count > 200 ? image.url.prefix(200) + "…" : image.url[...]
            switch why {
            case .changed(let digest):
                changed.append(
                    Reproduction.ChangedImage(image: index + 1, url: String(url), recorded: image.sha256, here: digest))
            case .notFetched(let reason): missing.append("image \(index + 1), \(url): \(reason)")
            case .notDecoded(let reason): broken.append("image \(index + 1), \(url): \(reason)")
            }
        }
        if !changed.isEmpty {
            let words = changed.map {
                "image \($0.image), \($0.url), has the SHA-256 \($0.here), and \($0.recorded) was annotated"
            }
            var reproduction = Reproduction(stored, .imageChanged, words.joined(separator: "; "))
            reproduction.changedImages = changed
            return reproduction
        }
        if !missing.isEmpty { return Reproduction(stored, .imageNotFetched, missing.joined(separator: "; ")) }
        return broken.isEmpty ? nil : Reproduction(stored, .failed, broken.joined(separator: "; "))
    }

    // MARK: Computing

    private static func compute(_ prepared: [Prepared], _ model: PaliGemma, onEach: (Reproduction) -> Void) {
        var ready: [(stored: StoredResult, job: JobEngine.Job)] = []
        for one in prepared {
            switch one {
            case .settled(let reproduction): onEach(reproduction)
            case .ready(let stored, let job): ready.append((stored, job))
            }
        }
        JobEngine(model: model).run(ready.map(\.job)) { index, result in
            switch result {
            case .failure(let failure): onEach(Reproduction(ready[index].stored, .failed, failure.reason))
            case .success(let answer): onEach(judge(ready[index].stored, answer, model))
            }
        }
    }

    private static func judge(_ stored: StoredResult, _ answer: JobEngine.Answer, _ model: PaliGemma) -> Reproduction {
        let comparison = ResultComparison(
            recorded: stored.result, here: RecordedResult(answer.result), run: answer.run,
            vocabulary: model.vocabulary)
        guard let detail = comparison.detail else { return Reproduction(stored, .same) }
        let engine = stored.engine
        var (outcome, words) = (Reproduction.Outcome.differs, [String]())
        if model.digest != engine.digest {
            outcome = .otherPrecision
            words.append("\(model.precision.rawValue) here, \(engine.precision) is recorded")
        } else if engine.version != glossVersion {
            outcome = .otherVersion
            words.append("gloss \(glossVersion) here, \(engine.version) is recorded")
        }
        if let largest = comparison.largestDifference {
            words.append("log-probabilities differ by \(String(format: "%.3g", largest)) at most")
        }
        if let first = comparison.firstToken {
            words.append("the first token that differs is number \(first.token), \"\(first.text)\" here")
        }
        var reproduction = Reproduction(stored, outcome, (words + [detail]).joined(separator: "; "))
        reproduction.largestDifference = comparison.largestDifference
        reproduction.firstToken = comparison.firstToken
        reproduction.differences = comparison.differences
        return reproduction
    }
}

extension [String] {
    /// Each once, in order.
    fileprivate var inOrderOnce: [String] {
        var seen: Set<String> = []
        return filter { seen.insert($0).inserted }
    }
}
