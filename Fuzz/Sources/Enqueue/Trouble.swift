/// glossctl's error, without the database that the real one also speaks for.
struct Trouble: Error {
    enum Status { case badData }
    let status: Status
    let message: String

    init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }
}
