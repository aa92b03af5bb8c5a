// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// C stays optimised in debug builds: the tests run the real engine.
let optimised: [CSetting] = [.unsafeFlags(["-O3", "-Wall", "-Wextra", "-Werror"])]

let package = Package(
    name: "gloss",
    targets: [
        // Inference: images and prompts in, scored text out. No queue, no network.
        .target(name: "CKernels", cSettings: optimised),
        .target(
            name: "CSentencePiece",
            cxxSettings: [.unsafeFlags(["-O2", "-Wall"])],
            linkerSettings: [.linkedLibrary("sentencepiece")]),
        .target(name: "Inference", dependencies: ["CKernels", "CSentencePiece"], swiftSettings: strict),

        // Images: URL to RGB.
        .target(
            name: "CImage", cSettings: optimised,
            linkerSettings: [
                .linkedLibrary("jpeg"), .linkedLibrary("spng"), .linkedLibrary("webp"), .linkedLibrary("webpdemux"),
            ]),
        .target(name: "CCurl", cSettings: optimised, linkerSettings: [.linkedLibrary("curl")]),
        .target(name: "Images", dependencies: ["CImage", "CCurl"], swiftSettings: strict),

        // Queue: pure values and state machines. Storage: their SQL.
        .target(name: "Queue", swiftSettings: strict),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(name: "Storage", dependencies: ["Queue", "CPostgres"], swiftSettings: strict),

        .testTarget(name: "InferenceTests", dependencies: ["Inference", "CKernels"], swiftSettings: strict),
        .testTarget(name: "ImagesTests", dependencies: ["Images"], swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["Storage", "Queue"], path: "Tests/TestSupport", swiftSettings: strict),
        .testTarget(name: "QueueTests", dependencies: ["Queue", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "StorageTests", dependencies: ["Storage", "Queue", "TestSupport"], swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)
