import Annotation
import Console
import Foundation
import Queue
import TestSupport
import Testing

@testable import Admin

/// Each format, byte for byte.
@Suite struct ExportTests {
    private let folder: TemporaryFolder
    private let queue: ExportQueue

    init() async throws {
        folder = try TemporaryFolder()
        queue = try await ExportQueue.shared.value
    }

    /// Exports and expects no complaint.
    private func export(_ words: String...) async throws {
        let run = try await Tool.run(
            Tool.path,
            ["export"] + words
                + ["--verify", "--output", folder.file("out"), "--database", queue.database.conninfo(as: .reader)])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.contains(", verified"), "\(run.output)")
    }

    private func read(_ name: String) throws -> String { try folder.read("out/\(name)") }

    private func manifest() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(read("manifest.json").utf8)) as? [String: Any])
    }

    private var files: [String] {
        get throws { try FileManager.default.subpathsOfDirectory(atPath: folder.file("out")).sorted() }
    }

    private let hardLabel = #""\"a\", <b> & 🐈""#

    @Test func cocoInstances() async throws {
        try await export("coco")
        let images = try [
            ("rgb.png", 640, 480), ("exif6.jpg", 30, 40), ("grey.png", 8, 8), ("palette.png", 6, 5),
        ].enumerated().map { index, image in
            #"{"id":\#(index + 1),"file_name":"\#(image.0)","width":\#(image.1),"height":\#(image.2),"#
                + #""sha256":"\#(try ExportQueue.digest(image.0))"}"#
        }
        #expect(
            try read("instances.json") == """
                {"info":{"description":"Exported by glossctl \(glossVersion)"},"licenses":[],
                "categories":[
                {"id":1,"name":\(hardLabel),"supercategory":""},
                {"id":2,"name":"cat","supercategory":""},
                {"id":3,"name":"ring","supercategory":""}
                ],
                "images":[
                \(images.joined(separator: ",\n"))
                ],
                "annotations":[
                {"id":1,"image_id":1,"category_id":2,"bbox":[160.00,60.00,480.00,180.00],"area":86400.00,"iscrowd":0,\
                "segmentation":[],"score":0.75},
                {"id":2,"image_id":1,"category_id":1,"bbox":[0.00,0.00,320.00,120.00],"area":38400.00,"iscrowd":0,\
                "segmentation":[],"score":0.5},
                {"id":3,"image_id":2,"category_id":2,"bbox":[6.00,4.00,21.00,20.00],"area":420.00,"iscrowd":0,\
                "segmentation":[],"score":0.25},
                {"id":4,"image_id":4,"category_id":3,"bbox":[1.00,0.00,5.00,3.00],"area":9,"iscrowd":0,\
                "segmentation":{"size":[5,6],"counts":"\(ExportQueue.ring.counts)"},"score":1.0}
                ]}

                """)
        let counts = try #require(try manifest()["counts"] as? [String: Any])
        for (name, number) in [
            "images": 4, "objects": 4, "masks": 1, "empty_images": 1, "results": 4, "dead": 1, "pending": 1,
            "turned": 1,
        ] {
            #expect(counts[name] as? Int == number, "\(name)")
        }
        #expect((counts["dropped"] as? [String: Int])?["no_area"] == 1)
        #expect((counts["dead_by_code"] as? [String: Int]) == ["http_404": 1])
        #expect(try files == ["instances.json", "manifest.json"])
    }

    @Test func cocoCaptions() async throws {
        try await export("coco", "--kind", "captions")
        #expect(
            try read("captions.json").hasSuffix(
                #"""
                "annotations":[
                {"id":1,"image_id":1,"caption":"a \"red\", <cube>; it's 🧊\nhere","score":-0.25},
                {"id":2,"image_id":3,"caption":"grey","score":-0.25}
                ]}

                """#))
        try await export("coco", "--kind", "results", "--task", "caption", "--where", "score > -1 and key = 'c2'")
        #expect(try read("results.json") == "[\n{\"image_id\":3,\"caption\":\"grey\"}\n]\n")
    }

    @Test func cocoResultsHaveTheNumbersOfAGroundTruth() async throws {
        let truth = try folder.write(
            "gt.json",
            """
            {"info": {"a": [1, "]}"]}, "annotations": [{"id": 1, "image_id": 70}],
             "images": [{"id": 70, "file_name": "val/rgb.png"}, {"id": 71, "file_name": "exif6.jpg", "width": 40, "height": 30},
                        {"id": 72, "file_name": "other.jpg"}],
             "categories": [{"id": 90, "name": "dog"}, {"id": 17, "name": "cat"}]}
            """)
        try await export("coco", "--kind", "results", "--gt", truth, "--orientation", "stored")
        #expect(
            try read("results.json") == """
                [
                {"image_id":70,"category_id":17,"bbox":[160.00,60.00,480.00,180.00],"score":0.75},
                {"image_id":71,"category_id":17,"bbox":[4.00,3.00,20.00,21.00],"score":0.25}
                ]

                """)
        let counts = try #require(try manifest()["counts"] as? [String: Any])
        #expect((counts["dropped"] as? [String: Int])?["other_label"] == 2)
        #expect(
            (counts["format"] as? [String: Int])
                == ["annotations": 2, "not_in_gt": 2, "gt_images_without_result": 1, "other_size_than_gt": 0])
    }

    @Test func yolo() async throws {
        try await export("yolo", "--conf", "--images", "copy", ExportQueue.files[0], ExportQueue.files[1])
        #expect(
            try read("labels/train/rgb.txt") == """
                1 0.625000 0.312500 0.750000 0.375000
                0 0.250000 0.125000 0.500000 0.250000

                """)
        #expect(try read("predictions/train/exif6.txt") == "1 0.550000 0.350000 0.700000 0.500000 0.25\n")
        #expect(try read("labels/train/grey.txt") == "")
        #expect(
            try read("data.yaml") == """
                train: images/train
                val: images/train
                nc: 3
                names:
                  0: \(hardLabel)
                  1: "cat"
                  2: "ring"

                """)
        #expect(try read("train.txt").hasPrefix("./images/train/rgb.png\n./images/train/exif6.jpg\n"))
        for name in ["rgb.png", "exif6.jpg", "grey.png", "palette.png"] {
            #expect(
                FileManager.default.contentsEqual(
                    atPath: folder.file("out/images/train/\(name)"), andPath: Tree.image(name)))
        }
    }

    @Test func yoloSegments() async throws {
        try await export("yolo", "--segments", "--split", "val", "--where", "label <> 'cat'")
        let ring = [(1, 0), (4, 0), (4, 3), (1, 3), (1, 0), (5, 2), (6, 2), (6, 3), (5, 3), (5, 2)].flatMap {
            [Formats.fixed(Double($0.0) / 6, 6), Formats.fixed(Double($0.1) / 5, 6)]
        }
        #expect(try read("labels/val/palette.txt") == "1 \(ring.joined(separator: " "))\n")
        #expect(
            try read("labels/val/rgb.txt")
                == "0 0.000000 0.000000 0.500000 0.000000 0.500000 0.250000 0.000000 0.250000\n")
        let counts = try #require(try manifest()["counts"] as? [String: Any])
        #expect(
            (counts["format"] as? [String: Int]) == [
                "boxes_as_outlines": 1, "masks_with_holes": 1, "repeated_lines": 0,
            ])
    }

    @Test func jsonl() async throws {
        try await export("jsonl", "--where", "score > .3 and label <> 'ring'", "--task", "detect")
        let lines = try read("objects.jsonl").split(separator: "\n")
        #expect(lines.count == 2)
        #expect(
            try lines[0] == """
                {"label":"cat","category_id":2,"bbox":[160.00,60.00,480.00,180.00],"score":0.75,"mask":null,"note":null,\
                "job_id":1,"key":"d,1","task":"detect","model":"m","image_id":1,"file_name":"rgb.png","width":640,\
                "height":480,"orientation":1,"format":"png","byte_count":100,"sha256":"\(ExportQueue.digest("rgb.png"))"}
                """)
        try await export("jsonl", "--nested")
        let nested = try read("images.jsonl").split(separator: "\n")
        #expect(nested.count == 4)
        #expect(
            try nested[2] == """
                {"image_id":3,"file_name":"grey.png","width":8,"height":8,"orientation":1,"format":"png","byte_count":100,\
                "sha256":"\(ExportQueue.digest("grey.png"))","url":"\(ExportQueue.url("grey.png"))","results":[\
                {"job_id":3,"task":"detect","key":"d3","model":"m","score":-0.25,"prompt":"detect cat","text":"…"},\
                {"job_id":6,"task":"caption","key":"c2","model":"m","score":-0.25,"prompt":"caption en","text":"grey"}],\
                "objects":[]}
                """)
    }

    @Test func labelStudio() async throws {
        try await export("label-studio", "--orientation", "stored")
        let tasks = try #require(
            try JSONSerialization.jsonObject(with: Data(read("tasks.json").utf8)) as? [[String: Any]])
        #expect(tasks.count == 4)
        let lines = try read("tasks.json").split(separator: "\n")
        let path = Tree.image("exif6.jpg").dropFirst()
        #expect(
            try lines[2] == """
                {"data":{"image":"/data/local-files/?d=\(path)","key":"exif6.jpg","image_id":2,\
                "sha256":"\(ExportQueue.digest("exif6.jpg"))"},"predictions":[{"model_version":"m","score":0.25,"result":[\
                {"id":"g2-1","to_name":"image","original_width":40,"original_height":30,"image_rotation":0,\
                "type":"rectanglelabels","from_name":"box","value":{"x":10.000000,"y":10.000000,"width":50.000000,\
                "height":70.000000,"rotation":0,"rectanglelabels":["cat"]},"score":0.25}]}]},
                """)
        #expect(lines[1].contains(#""type":"textarea","from_name":"caption","value":{"text":["a \"red\""#))
        #expect(
            lines[4].contains(#""type":"brushlabels","from_name":"mask","value":{"format":"rle","rle":[0,0,0,120,"#))
        let label = "    <Label value=\"&quot;a&quot;, &lt;b&gt; &amp; 🐈\"/>\n"
        #expect(try read("config.xml").contains("<RectangleLabels name=\"box\" toName=\"image\">\n" + label))
        #expect(try read("config.xml").contains("<BrushLabels name=\"mask\" toName=\"image\">\n" + label))
    }

    @Test func imageFolder() async throws {
        try await export("imagefolder", ExportQueue.files[0], ExportQueue.files[1])
        #expect(
            try read("train/metadata.jsonl").hasPrefix(
                """
                {"file_name":"rgb.png","image_id":1,"width":640,"height":480,"orientation":1,\
                "sha256":"\(ExportQueue.digest("rgb.png"))","key":"d,1","text":"a \\"red\\", <cube>; it's 🧊\\nhere",\
                "objects":{"bbox":[[160.00,60.00,480.00,180.00],[0.00,0.00,320.00,120.00]],"categories":["cat",\(hardLabel)],\
                "category_ids":[2,1],"scores":[0.75,0.5],"masks":["",""]}}

                """))
        #expect(
            try files == [
                "manifest.json", "train", "train/exif6.jpg", "train/grey.png", "train/metadata.jsonl",
                "train/palette.png", "train/rgb.png",
            ])
    }

    @Test func webDataset() async throws {
        try await export("webdataset", "--shard", "3", ExportQueue.files[0], ExportQueue.files[1])
        #expect(try files == ["manifest.json", "train-000000.tar", "train-000001.tar"])
        var members: [String] = []
        for name in ["train-000000.tar", "train-000001.tar"] {
            try TarFile.each(folder.file("out/\(name)"), name) { member, _ in members.append(member) }
        }
        #expect(members == (1...4).flatMap { ["00000000000\($0).png", "00000000000\($0).json"] })
        // What tar itself makes of it.
        let list = try await Tool.run("/bin/tar", ["-tf", folder.file("out/train-000001.tar")])
        #expect(list.output == "000000000004.png\n000000000004.json\n", "\(list.errors)")
    }

    @Test func objaverse() async throws {
        try await export("objaverse")
        #expect(
            try read("objects.csv") == """
                "obj;1";mug;0.625
                "obj;1";"a ""cup""; blue";0.375

                """)
        try await export("objaverse", "--top", "1", "--where", "probability > .5")
        #expect(try read("objects.csv") == "\"obj;1\";mug;0.625\n")
    }
}
