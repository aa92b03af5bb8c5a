import Annotation
import Queue

/// Jobs for tests.
enum Specs {
    static func caption(_ url: String = "https://a.org/1.jpg") -> JobSpec { JobSpec(task: .caption, imageURLs: [url]) }

    /// Views × 4 questions × 5 samples, and 5 samples of each view for each follow-up.
    static func object(
        views: Int = 8, _ origin: String = "https://a.org", followUps: [String] = [], ignored: [String] = []
    ) -> JobSpec {
        JobSpec(
            task: .multiview, imageURLs: (0..<views).map { "\(origin)/\($0).png" }, followUps: followUps,
            ignored: ignored)
    }
}
