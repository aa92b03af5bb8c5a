/// The name of a task that this version knows.
public struct TaskName: RawRepresentable, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// All tasks. A new one is a file of this folder and a line here.
    public static let all: [any AnnotationTask] = [
        CaptionTask(), TextReadingTask(), QuestionTask(), ChoiceTask(), QuestionWritingTask(), DetectionTask(),
        SegmentationTask(), MultiviewTask(),
    ]

    /// Their names, in the same order.
    public static var allCases: [TaskName] { all.map(\.name) }

    /// The name as SQL has it.
    public let rawValue: String

    /// A task by its name; nil if this version does not know it.
    public init?(rawValue: String) {
        guard Self.allCases.contains(where: { $0.rawValue == rawValue }) else { return nil }
        self.rawValue = rawValue
    }

    /// The name of a task of this folder.
    init(known name: String) { rawValue = name }

    /// What the task does.
    public var definition: any AnnotationTask { Self.all.first { $0.name == self }! }

    /// The bare name.
    public var description: String { rawValue }

    public init(from decoder: any Decoder) throws {
        let name = try decoder.singleValueContainer().decode(String.self)
        guard let task = TaskName(rawValue: name) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "this version knows no task \"\(name)\""))
        }
        self = task
    }

    /// Writes the bare name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}
