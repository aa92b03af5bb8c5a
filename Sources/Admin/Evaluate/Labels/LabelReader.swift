/// Reads labels from rows: what is right, for metrics of texts.
struct LabelReader {
    /// The names that a field may have; the first one that a row has is taken.
    private enum Names {
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
    }

    private mutating func read() throws {
        guard let document = try file.document() else {
            try file.forEachRow { try add($0) }
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
        guard let (name, value) = row.first(of: Names.key) else {
            throw file.problem(row.line, "no \"key\"; it has \(Self.list(row))")
        }
        guard let key = value.name, !key.isEmpty else {
            throw file.problem(
                row.line,
                "\"\(name)\" must be a text, not \(value.kind)\(value.text == "" ? " without characters" : "")")
        }
        guard let (answerName, node) = row.first(of: Names.answers) else {
            throw file.problem(
                row.line,
                "no \"answers\" (nor \"answer\", \"captions\", \"references\", \"label\"); it has \(Self.list(row))")
        }
        let answers = try texts(node, answerName, row.line)
        guard !answers.isEmpty else { throw file.problem(row.line, "\"\(answerName)\" is empty") }
        let label = LabelSet.Label(
            key: key, answers: answers, answerType: try field("answer_type", row),
            questionType: try field("question_type", row),
            pair: try Names.pair.lazy.compactMap { try field($0, row) }.first,
            choices: try row.first(of: Names.choices).map { try texts($0.value, $0.name, row.line) } ?? [],
            image: try Names.image.lazy.compactMap { try field($0, row) }.first,
            group: try group.flatMap { try field($0, row) }, line: row.line)
        try add(label)
    }

    private mutating func add(_ label: LabelSet.Label) throws {
        if let other = labels.add(label) {
            throw file.problem(
                label.line, "the key \"\(label.key)\" is that of \(file.noun) \(labels.line(other)) already")
        }
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

    private func field(_ field: String, _ row: JSONFields) throws -> String? {
        guard let value = row[field], !value.isNull else { return nil }
        if case .bool(let truth) = value { return truth ? "true" : "false" }
        if case .number(let text) = value { return text }
        guard let name = value.name else {
            throw file.problem(row.line, "\"\(field)\" must be a text, not \(value.kind)")
        }
        return name
    }

    static func list(_ row: JSONFields) -> String {
        row.fields.isEmpty ? "nothing" : row.fields.prefix(10).map { "\"\($0.name)\"" }.joined(separator: ", ")
    }
}
