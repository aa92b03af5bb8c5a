import Annotation
import Queue

/// Jobs for tests.
enum Specs {
    static func caption(_ url: String = "https://a.org/1.jpg") -> JobSpec { JobSpec(task: .caption, imageURLs: [url]) }

    /// Views × 4 questions × 5 samples.
    static func object(views: Int = 8, _ origin: String = "https://a.org") -> JobSpec {
        JobSpec(task: .multiview, imageURLs: (0..<views).map { "\(origin)/\($0).png" })
    }
}
