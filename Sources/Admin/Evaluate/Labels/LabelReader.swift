/// Reads labels from rows: what is right, for metrics of texts.
struct LabelReader {
    /// The names that a field may have; the first one that a row has is taken.
    fileprivate enum Names {
        static let key = ["key", "question_id", "questionId"]
        static let answers = ["answers", "answer", "captions", "caption", "references", "reference", "labels", "label"]
        static let choices = ["choices", "options"]
        static let pair = ["group", "pair"]
        static let image = ["image", "image_id"]
    }

    private let file: RowFile
    /// The column of `--group`.
    private let group: String?
    private var labels = LabelSet()
    /// Where the fields of the row before lie: rows of a file are alike.
    private var columns: Columns

    /// Reads all labels.
    /// - Throws: `CommandError` that names the file, the line and the reason.
    static func read(_ file: RowFile, group: String? = nil) throws -> LabelSet {
        var reader = LabelReader(file: file, group: group)
        try reader.read()
        guard reader.labels.count > 0 else { throw CommandError(.badData, "\(file.name) is empty: it has no labels") }
        if let group, reader.labels.groups.isEmpty {
            throw CommandError(.badData, "\(file.name) has no field \"\(group)\" to group by")
        }
        return reader.labels
    }

    private init(file: RowFile, group: String?) {
        self.file = file
        self.group = group
        columns = Columns([], group: group)
    }

    private mutating func read() throws {
        guard let document = try file.document() else {
            try file.forEachRow {
                try add($0, $1, line: $2)
            } _: {
                try add($0)
            }
            return
        }
        let rows = try rows(document)
        if let first = rows.first?.object, first["caption"] != nil, Names.key.allSatisfy({ first[$0] == nil }) {
            try addCaptions(rows, images: document.object?["images"]?.array ?? [])
        } else {
            for row in rows { try add(try object(row)) }
        }
    }

    /// The rows of VQA's, DocVQA's or COCO's files, or of an array.
    private func rows(_ document: JSONNode) throws -> [JSONNode] {
        if let array = document.array { return array }
        guard let object = document.object, let rows = object["annotations"]?.array ?? object["data"]?.array else {
            let hint =
                document.object?["questions"] == nil ? "" : "; it has questions: their answers are in VQA's annotations"
            throw CommandError(.badData, "\(file.name) has neither \"annotations\" nor \"data\"\(hint)")
        }
        return rows
    }

    private func object(_ node: JSONNode) throws -> JSONFields {
        guard let object = node.object else {
            throw CommandError(.badData, "\(file.name): one of the annotations is \(node.kind), not an object")
        }
        return object
    }

    private mutating func add(_ row: JSONFields) throws {
        if !columns.fit(row) { columns = Columns(row.fields.map(\.name), group: group) }
        guard let (name, value) = row.first(of: Names.key, at: columns.key) else {
            throw file.problem(row.line, "no \"key\"; it has \(Self.list(row))")
        }
        guard let key = value.name, !key.isEmpty else {
            throw file.problem(
                row.line,
                "\"\(name)\" must be a text, not \(value.kind)\(value.text == "" ? " without characters" : "")")
        }
        guard let (answerName, node) = row.first(of: Names.answers, at: columns.answers) else {
            throw file.problem(
                row.line,
                "no \"answers\" (nor \"answer\", \"captions\", \"references\", \"label\"); it has \(Self.list(row))")
        }
        let answers = try texts(node, answerName, row.line)
        guard !answers.isEmpty else { throw file.problem(row.line, "\"\(answerName)\" is empty") }
        let label = LabelSet.Label(
            key: key, answers: answers, answerType: try field(columns.answerType, row),
            questionType: try field(columns.questionType, row), pair: try field(columns.pair, row),
            choices: try row.first(of: Names.choices, at: columns.choices)
                .map { try texts($0.value, $0.name, row.line) } ?? [],
            image: try field(columns.image, row), group: try field(columns.group, row), line: row.line)
        try add(label)
    }

    /// Adds a label of a plain row.
    /// - Returns: false, and nothing is added, if the row is no label without more ado.
    private mutating func add(_ row: PlainRow, _ bytes: Span<UInt8>, line: Int) throws -> Bool {
        if !columns.fit(row, bytes) {
            let names = row.fields.map { Self.text(bytes, $0.name) }
            guard Set(names).count == names.count else { return false }
            columns = Columns(names, group: group)
        }
        guard let key = columns.key.map({ row.fields[$0] }), key.kind == .text || key.kind == .number,
            !key.value.isEmpty, columns.choices == nil, let answers = columns.answers.map({ row.fields[$0] })
        else { return false }
        var label = LabelSet.Label(key: "", answers: [], line: line)
        guard Self.takes(columns.answerType, row, bytes, &label.answerType),
            Self.takes(columns.questionType, row, bytes, &label.questionType),
            Self.takes(columns.pair, row, bytes, &label.pair), Self.takes(columns.image, row, bytes, &label.image),
            Self.takes(columns.group, row, bytes, &label.group)
        else { return false }
        let other: Int?
        switch answers.kind {
        case .text, .number: other = labels.add(key: key.value, answers: [answers.value], of: bytes, label)
        case .array where !answers.elements.isEmpty:
            other = labels.add(key: key.value, answers: row.elements[answers.elements], of: bytes, label)
        default: return false
        }
        guard let other else { return true }
        throw isThereTwice(Self.text(bytes, key.value), line, other)
    }

    /// The first of these fields that is there and not null.
    /// - Returns: false if it is an array.
    private static func takes(
        _ places: [Int], _ row: PlainRow, _ bytes: Span<UInt8>, _ text: inout String?
    ) -> Bool {
        for place in places where row.fields[place].kind != .null {
            guard row.fields[place].kind != .array else { return false }
            text = self.text(bytes, row.fields[place].value)
            return true
        }
        return true
    }

    private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    private mutating func add(_ label: LabelSet.Label) throws {
        if let other = labels.add(label) { throw isThereTwice(label.key, label.line, other) }
    }

    private func isThereTwice(_ key: String, _ line: Int, _ other: Int) -> CommandError {
        file.problem(line, "the key \"\(key)\" is that of \(file.noun) \(labels.line(other)) already")
    }

    /// COCO's captions: several annotations an image, which goes by its file's name, with and without its ending, and its id.
    private mutating func addCaptions(_ rows: [JSONNode], images: [JSONNode]) throws {
        var files: [String: String] = [:]
        for image in images {
            let image = try object(image)
            if let id = image["id"]?.name, let name = image["file_name"]?.text { files[id] = name }
        }
        var (order, captions) = ([String](), [String: (line: Int, captions: [String])]())
        for row in rows {
            let row = try object(row)
            guard let id = row["image_id"]?.name else {
                throw file.problem(row.line, "no \"image_id\"; it has \(Self.list(row))")
            }
            guard let caption = row["caption"]?.text else {
                throw file.problem(row.line, "no \"caption\" that is a text")
            }
            if captions[id] == nil { order.append(id) }
            captions[id, default: (row.line, [])].captions.append(caption)
        }
        for id in order {
            guard let found = captions[id] else { continue }
            let key = files[id] ?? id
            try add(LabelSet.Label(key: key, answers: found.captions, image: id, line: found.line))
        }
        for (label, id) in order.enumerated() {
            labels.add(name: id, of: label)
            if let name = files[id] { labels.add(name: COCOImage.stem(name), of: label) }
        }
    }

    /// A text, or an array of texts or of VQA's answers.
    private func texts(_ node: JSONNode, _ name: String, _ line: Int) throws -> [String] {
        func text(_ node: JSONNode) throws -> String {
            switch node {
            case .string(let text), .number(let text): return text
            case .object(let fields):
                if let answer = fields["answer"]?.text { return answer }
                throw file.problem(line, "\"\(name)\" has an object without \"answer\"")
            default: throw file.problem(line, "\"\(name)\" must be a text or an array of texts; it has \(node.kind)")
            }
        }
        if let array = node.array { return try array.map(text) }
        if case .object = node {
            throw file.problem(line, "\"\(name)\" must be a text or an array of texts, not an object")
        }
        return [try text(node)]
    }

    /// The first of these fields that is there and not null.
    private func field(_ places: [Int], _ row: JSONFields) throws -> String? {
        for place in places {
            let (name, value) = row.fields[place]
            switch value {
            case .null: continue
            case .bool(let truth): return truth ? "true" : "false"
            case .number(let text), .string(let text): return text
            default: throw file.problem(row.line, "\"\(name)\" must be a text, not \(value.kind)")
            }
        }
        return nil
    }

    static func list(_ row: JSONFields) -> String {
        row.fields.isEmpty ? "nothing" : row.fields.prefix(10).map { "\"\($0.name)\"" }.joined(separator: ", ")
    }
}

extension LabelReader {
    /// Where the fields of a row lie.
    fileprivate struct Columns {
        private let names: [String]
        /// Of the first name that is there; nil: none is.
        let key: Int?, answers: Int?, choices: Int?
        /// Of all that are there.
        let answerType: [Int], questionType: [Int], pair: [Int], image: [Int], group: [Int]

        /// - Parameter names: of a row's fields, in their order.
        init(_ names: [String], group: String?) {
            self.names = names
            func all(_ wanted: [String]) -> [Int] { wanted.compactMap { names.firstIndex(of: $0) } }
            key = all(Names.key).first
            answers = all(Names.answers).first
            choices = all(Names.choices).first
            answerType = all(["answer_type"])
            questionType = all(["question_type"])
            pair = all(Names.pair)
            image = all(Names.image)
            self.group = all([group].compactMap(\.self))
        }

        /// Whether a row has the same fields in the same order.
        func fit(_ row: JSONFields) -> Bool {
            guard row.fields.count == names.count else { return false }
            for place in names.indices where row.fields[place].name != names[place] { return false }
            return true
        }

        func fit(_ row: PlainRow, _ bytes: Span<UInt8>) -> Bool {
            guard row.fields.count == names.count else { return false }
            for place in names.indices where !Self.equals(names[place], bytes.extracting(row.fields[place].name)) {
                return false
            }
            return true
        }

        private static func equals(_ name: String, _ bytes: Span<UInt8>) -> Bool {
            let name = name.utf8.span
            guard name.count == bytes.count else { return false }
            for index in name.indices where name[index] != bytes[index] { return false }
            return true
        }
    }
}

extension JSONFields {
    /// The value of the first of these names that is there and not null.
    /// - Parameter place: where the first of them that is there lies; nil: none is.
    fileprivate func first(of names: [String], at place: Int?) -> (name: String, value: JSONNode)? {
        guard let place else { return nil }
        return fields[place].value.isNull ? first(of: names) : fields[place]
    }
}
