/// A value whose copies are one reference until one of them changes. Decisions copy each job held many times.
struct Shared<Value: Sendable>: Sendable {
    /// Changed only where there is no other reference.
    private final class Box: @unchecked Sendable {
        var value: Value

        init(_ value: Value) { self.value = value }
    }

    private var box: Box

    init(_ value: Value) { box = Box(value) }

    var value: Value {
        _read { yield box.value }
        _modify {
            if !isKnownUniquelyReferenced(&box) { box = Box(box.value) }
            yield &box.value
        }
    }
}
