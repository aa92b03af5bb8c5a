/// Something that is in an image, by the ground truth.
public struct COCOTruth: Sendable {
    /// The image's id.
    public var image: Int
    /// The category's id.
    public var category: Int
    /// The annotation's id. What has the id 0 is never found: pycocotools takes it for "no match".
    public var id: Int
    /// Its box or mask.
    public var region: COCORegion
    /// Its area in pixels as annotated, which decides whether it is small, medium or large. COCO's is that of the mask, in an
    /// evaluation of boxes too.
    public var area: Double
    /// Whether it is a crowd: to find it is neither right nor wrong.
    public var isCrowd: Bool

    public init(image: Int, category: Int, id: Int, region: COCORegion, area: Double, isCrowd: Bool = false) {
        self.image = image
        self.category = category
        self.id = id
        self.region = region
        self.area = area
        self.isCrowd = isCrowd
    }
}

/// Something that was found.
public struct COCODetection: Sendable {
    /// The image's id.
    public var image: Int
    /// The category's id.
    public var category: Int
    /// Larger is surer. Of equal scores the earlier detection comes first.
    public var score: Double
    /// Its box or mask.
    public var region: COCORegion

    public init(image: Int, category: Int, score: Double, region: COCORegion) {
        self.image = image
        self.category = category
        self.score = score
        self.region = region
    }
}

/// COCO's evaluation of boxes or masks, with the numbers of pycocotools.
///
/// Source: evaluateImg of pycocotools' cocoeval.py. Doubles throughout, in its order of operations; ties keep the order of the
/// detections.
public struct COCOEvaluation: Sendable {
    /// .5, .55, …, .95 as numpy's linspace has them: the ninth is .8999999999999999.
    public static let thresholds: [Double] = {
        let step = (0.95 - 0.5) / 9
        return (0..<9).map { Double($0) * step + 0.5 } + [0.95]
    }()
    /// The most detections of an image and category.
    static let mostDetections = 100
    /// All, small, medium, large: inclusive, in pixels.
    static let areas: [ClosedRange<Double>] = [0...1e10, 0...1024, 1024...9216, 9216...1e10]

    /// A detection among those of its category, after it was matched in its image.
    struct Entry: Sendable {
        /// Index into `images`.
        var image: Int
        /// Its place among the image's detections of its category, from 0.
        var rank: Int
        var score: Double
        /// Index into the detections.
        var detection: Int
        /// By area, a bit a threshold: it found something.
        var matched: SIMD4<UInt16> = .zero
        /// By area, a bit a threshold: it counts neither as right nor as wrong.
        var ignored: SIMD4<UInt16> = .zero
        /// What it found at the first threshold, in any area: the annotation's id and the IoU.
        var found: (id: Int, overlap: Double)?
    }

    /// What is there to be found in an image, of one category.
    struct Positives: Sendable {
        /// Index into `images`.
        var image: Int
        /// How many count, by area.
        var counts: SIMD4<Int>
    }

    /// One category.
    struct Category: Sendable {
        let id: Int
        /// The best first; equal ones in the order of images and of detections.
        var entries: [Entry] = []
        var positives: [Positives] = []
    }

    /// The images' ids, ascending.
    public let images: [Int]
    let categories: [Category]

    /// Matches detections with the truth.
    ///
    /// - Parameters:
    ///   - images: the ids of all images that are evaluated. Truths and detections of others do not count.
    ///   - categories: the ids of all categories. Others do not count.
    public init(images: [Int], categories: [Int], truths: [COCOTruth], detections: [COCODetection]) {
        self.images = Set(images).sorted()
        let places = Dictionary(uniqueKeysWithValues: self.images.enumerated().map { ($1, $0) })
        let categoryIDs = Set(categories).sorted()
        let numbers = Dictionary(uniqueKeysWithValues: categoryIDs.enumerated().map { ($1, $0) })

        struct Place: Hashable { let category: Int, image: Int }
        var groups: [Place: (truths: [Int], detections: [Int])] = [:]
        for (index, truth) in truths.enumerated() {
            guard let image = places[truth.image], let category = numbers[truth.category] else { continue }
            groups[Place(category: category, image: image), default: ([], [])].truths.append(index)
        }
        for (index, detection) in detections.enumerated() {
            guard let image = places[detection.image], let category = numbers[detection.category] else { continue }
            groups[Place(category: category, image: image), default: ([], [])].detections.append(index)
        }
        var all = categoryIDs.map { Category(id: $0) }
        for (place, group) in groups.sorted(by: { ($0.key.category, $0.key.image) < ($1.key.category, $1.key.image) }) {
            let order = group.detections.sorted {
                (-detections[$0].score, $0) < (-detections[$1].score, $1)
            }.prefix(Self.mostDetections)
            let here = group.truths.map { truths[$0] }
            let found = order.map { detections[$0] }
            var entries = order.enumerated().map { rank, index in
                Entry(image: place.image, rank: rank, score: detections[index].score, detection: index)
            }
            let counts = Self.match(found, with: here, &entries)
            all[place.category].entries += entries
            all[place.category].positives.append(Positives(image: place.image, counts: counts))
        }
        for index in all.indices {
            let entries = all[index].entries
            let order = entries.indices.sorted { (-entries[$0].score, $0) < (-entries[$1].score, $1) }
            all[index].entries = order.map { entries[$0] }
        }
        self.categories = all
    }

    /// Matches the detections of an image, best first, with the truth of one category.
    /// - Returns: how many things count, by area.
    private static func match(
        _ detections: [COCODetection], with truths: [COCOTruth], _ entries: inout [Entry]
    ) -> SIMD4<Int> {
        let overlaps = detections.map { detection in
            truths.map { detection.region.overlap(with: $0.region, isCrowd: $0.isCrowd) }
        }
        var counts = SIMD4<Int>.zero
        for (area, range) in areas.enumerated() {
            let isIgnored = truths.map { $0.isCrowd || !range.contains($0.area) }
            // What counts comes first, else in the file's order.
            let order = truths.indices.filter { !isIgnored[$0] } + truths.indices.filter { isIgnored[$0] }
            counts[area] = isIgnored.count { !$0 }
            for (index, threshold) in thresholds.enumerated() {
                var isTaken = [Bool](repeating: false, count: truths.count)
                for place in detections.indices {
                    let best = find(overlaps[place], threshold, order, isIgnored, isTaken, truths)
                    var (isMatched, isOut) = (false, false)
                    if let best {
                        isTaken[best] = true
                        isMatched = truths[best].id != 0
                        isOut = isIgnored[best]
                    }
                    if !isMatched, !range.contains(detections[place].region.area) { isOut = true }
                    if isMatched { entries[place].matched[area] |= 1 << UInt16(index) }
                    if let best, isMatched, area == 0, index == 0 {
                        entries[place].found = (truths[best].id, overlaps[place][best])
                    }
                    if isOut { entries[place].ignored[area] |= 1 << UInt16(index) }
                }
            }
        }
        return counts
    }

    /// The free thing that a detection overlaps most, if by the threshold or more; of equal ones the last. Once it has one that
    /// counts, the ignored ones are not looked at.
    private static func find(
        _ overlaps: [Double], _ threshold: Double, _ order: [Int], _ isIgnored: [Bool], _ isTaken: [Bool],
        _ truths: [COCOTruth]
    ) -> Int? {
        var (best, most): (Int?, Double) = (nil, min(threshold, 1 - 1e-10))
        for truth in order {
            if isTaken[truth], !truths[truth].isCrowd { continue }
            if let best, !isIgnored[best], isIgnored[truth] { break }
            if overlaps[truth] < most { continue }
            most = overlaps[truth]
            best = truth
        }
        return best
    }
}
