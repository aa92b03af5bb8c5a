/// What is right, by the user's keys, in the order of the file.
struct LabelSet {
    /// A label as it is read.
    struct Label {
        var key: String
        var answers: [String]
        var answerType: String?
        var questionType: String?
        /// What belongs together: pairs.
        var pair: String?
        var choices: [String] = []
        /// Items of one image are drawn together by a bootstrap.
        var image: String?
        /// The value of the column of `--group`.
        var group: String?
        /// Where it stands: a line of the file, or a row of the query.
        var line: Int
    }

    /// The keys, and what else names a label.
    private(set) var keys = TextIndex()
    /// Where the key of each label is among the texts of `keys`.
    private var keyPlaces: [Int32] = []
    private var answers = TextArena()
    private var answerEnds: [Int32] = []
    private var choices = TextArena()
    /// Empty as long as no label has choices.
    private var choiceEnds: [Int32] = []
    private var lines: [Int32] = []
    private(set) var answerTypes = NameColumn()
    private(set) var questionTypes = NameColumn()
    private(set) var pairs = NameColumn()
    private(set) var images = NameColumn()
    private(set) var groups = NameColumn()

    var count: Int { lines.count }

    /// - Returns: the label with this key that is there already; nil: there was none, and it is added.
    mutating func add(_ label: Label) -> Int? {
        guard keys.add(label.key, for: count) else { return keys.value(of: label.key) }
        for answer in label.answers { answers.append(answer) }
        addDetails(label)
        return nil
    }

    /// Adds a label whose key and answers lie in a file.
    /// - Parameters:
    ///   - key: where the key lies in the bytes.
    ///   - answers: where each answer lies.
    ///   - label: the rest, without key and answers.
    /// - Returns: as ``add(_:)``.
    mutating func add(
        key: Range<Int>, answers ranges: ArraySlice<Range<Int>>, of bytes: Span<UInt8>, _ label: Label
    ) -> Int? {
        guard keys.add(bytes.extracting(key), for: count) else { return keys.value(of: bytes.extracting(key)) }
        for range in ranges { answers.append(bytes.extracting(range)) }
        addDetails(label)
        return nil
    }

    private mutating func addDetails(_ label: Label) {
        keyPlaces.append(Int32(keys.count - 1))
        answerEnds.append(Int32(answers.count))
        if !label.choices.isEmpty || !choiceEnds.isEmpty {
            if choiceEnds.isEmpty { choiceEnds = Array(repeating: 0, count: count) }
            for choice in label.choices { choices.append(choice) }
            choiceEnds.append(Int32(choices.count))
        }
        lines.append(Int32(clamping: label.line))
        answerTypes.append(label.answerType)
        questionTypes.append(label.questionType)
        pairs.append(label.pair)
        images.append(label.image)
        groups.append(label.group)
    }

    /// Adds answers that are wrong, of keys that have no label.
    /// - Returns: the labels that they became.
    mutating func add(wrong: LabelSet) -> Set<Int> {
        var places: Set<Int> = []
        for label in 0..<wrong.count {
            let added = Label(key: wrong.key(label), answers: wrong.answers(label), line: wrong.line(label))
            if add(added) == nil { places.insert(count - 1) }
        }
        return places
    }

    /// Another name of a label; ignored if it names another one already.
    mutating func add(name: String, of label: Int) { keys.add(name, for: label) }

    func key(_ label: Int) -> String { keys.texts[Int(keyPlaces[label])] }

    func line(_ label: Int) -> Int { Int(lines[label]) }

    func answers(_ label: Int) -> [String] { Self.texts(answers, answerEnds, label) }

    func choices(_ label: Int) -> [String] { choiceEnds.isEmpty ? [] : Self.texts(choices, choiceEnds, label) }

    private static func texts(_ arena: TextArena, _ ends: [Int32], _ label: Int) -> [String] {
        let start = label == 0 ? 0 : Int(ends[label - 1])
        return (start..<Int(ends[label])).map { arena[$0] }
    }
}
