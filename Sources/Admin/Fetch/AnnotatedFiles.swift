import Images

/// Fetches again the files of images that were annotated.
///
/// The URLs are the producers', so it fetches under the daemon's policy: what a producer writes into a job must not make an
/// operator's machine ask private networks or read local files. A file counts only if its bytes are those that were
/// annotated, by their SHA-256.
struct AnnotatedFiles: Sendable {
    /// What became of a URL.
    enum Outcome: Sendable {
        /// The file that was annotated.
        case file(FetchedImage)
        /// Another file, of this SHA-256.
        case changed(String)
        /// It cannot be fetched, or may not be.
        case missing(String)
    }

    private let fetcher: ImageFetcher

    init(_ policy: FetchPolicy) throws(CommandError) {
        do {
            fetcher = try ImageFetcher(policy: policy)
        } catch {
            throw CommandError(.failed, error.message)
        }
    }

    /// Looks where the file was found before, and else at the URL that was enqueued: a redirect may have led to an address
    /// that has expired, and the digest tells whether it is the same file.
    func fetch(_ url: String, finalURLs: [String], digests: Set<String>) async -> Outcome {
        var (changed, problem) = (String?.none, String?.none)
        // A result has but a digest of a `data:` URL.
        for place in finalURLs.filter({ $0 != url && !$0.lowercased().hasPrefix("data:") }) + [url] {
            do throws(ImageError) {
                let file = try await fetcher.fetch(place)
                if digests.contains(file.sha256) { return .file(file) }
                changed = file.sha256
            } catch {
                problem = problem ?? error.message
            }
        }
        return changed.map(Outcome.changed) ?? .missing(problem ?? "there is no such file")
    }
}
