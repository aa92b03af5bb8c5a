import Annotation
import ArgumentParser

/// `glossctl enqueue`
struct Enqueue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Puts jobs into the queue.",
        discussion: """
            EXAMPLES
              glossctl enqueue caption https://example.org/cat.jpg --key row-17
              glossctl enqueue vqa https://example.org/cat.jpg --question 'what colour?'
              glossctl enqueue detect https://example.org/cat.jpg --things cat,dog
              glossctl enqueue multiview https://example.org/{1,2,3}.jpg --key objaverse:abc
              glossctl enqueue from jobs.csv --batch photos

            A key names one job of its task and model. The same job again is a duplicate and changes nothing; another \
            job under the same key is a conflict, and exit code 1.

            \(ExitStatus.help)
            """,
        subcommands: TaskName.all.map { command(for: $0) } + [EnqueueFrom.self])

    /// The command of a task: tasks have no files of their own here.
    private static func command<Task: AnnotationTask>(for _: Task) -> any ParsableCommand.Type {
        EnqueueTask<Task>.self
    }
}
