/// How many jobs of one task and model are in which state.
public struct QueueDepth: Hashable, Sendable {
    /// The task.
    public var task: String
    /// The model that the jobs ask for; empty: any.
    public var model: String
    /// Due, due later or paused.
    public var waiting: Int
    /// Held by a worker.
    public var running: Int
    /// Finished with a result.
    public var done: Int
    /// Given up or cancelled.
    public var dead: Int
    /// How long the first job that is due has waited since it was enqueued; nil: none is due.
    public var oldestSeconds: Double?

    public init(
        task: String, model: String = "", waiting: Int = 0, running: Int = 0, done: Int = 0, dead: Int = 0,
        oldestSeconds: Double? = nil
    ) {
        self.task = task
        self.model = model
        self.waiting = waiting
        self.running = running
        self.done = done
        self.dead = dead
        self.oldestSeconds = oldestSeconds
    }
}
