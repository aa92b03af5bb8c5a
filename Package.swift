// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// C stays optimised in debug builds: the tests run the real engine. scripts/test and .ci set WERROR; elsewhere a newer
/// compiler's new warnings do not stop a build.
let optimised: [CSetting] = [
    .unsafeFlags(["-O3", "-Wall", "-Wextra"] + (Context.environment["WERROR"] == nil ? [] : ["-Werror"]))
]

let package = Package(
    name: "gloss",
    products: [
        .executable(name: "glossd", targets: ["Daemon"]),
        .executable(name: "glossctl", targets: ["Admin"]),
    ],
    dependencies: [
        // Why each, and why exact: docs/dependencies.md.
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0", traits: [.defaults, "YAML"]),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/swhitty/FlyingFox", exact: "0.27.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
        // What those depend on.
        .package(url: "https://github.com/apple/swift-async-algorithms", exact: "1.1.4"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
    ],
    targets: [
        // Annotation: tasks, what they ask and what becomes of the answers. It imports no other target.
        .target(name: "Annotation", swiftSettings: strict),

        // Inference: images and prompts in, scored text out. No queue, no network.
        // Where a kernel begins within a line of the cache made 7% on Zen 1.
        .target(
            name: "CKernels",
            cSettings: optimised + [.unsafeFlags(["-ffp-contract=off", "-Wno-psabi", "-falign-functions=64"])]),
        .target(
            name: "CSentencePiece",
            cxxSettings: [.unsafeFlags(["-O2", "-Wall"])],
            // Not by pkg-config, which would also link the trainer.
            linkerSettings: [.linkedLibrary("sentencepiece")]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(
            name: "Inference", dependencies: ["Annotation", "CKernels", "CSentencePiece", "COpenSSL", "CZlib"],
            swiftSettings: strict),

        // Images: URL to RGB.
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CSPNG", pkgConfig: "spng", providers: [.apt(["libspng-dev"])]),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebpdemux", providers: [.apt(["libwebp-dev"])]),
        .systemLibrary(name: "CLibCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CPSL", pkgConfig: "libpsl", providers: [.apt(["libpsl-dev"])]),
        // libwebp itself: what libwebpdemux needs it does not name in Debian 13. The others' modules nobody imports, and giflib has no
        // file for pkg-config.
        .target(
            name: "CImage", dependencies: ["CJPEG", "CSPNG", "CWebP", "CZlib"], cSettings: optimised,
            linkerSettings: ["webp", "gif", "avif", "tiff", "heif", "de265"].map { .linkedLibrary($0) }),
        .target(name: "CCurl", dependencies: ["CLibCurl"], cSettings: optimised),
        .target(name: "Images", dependencies: ["CImage", "CCurl", "COpenSSL", "CPSL"], swiftSettings: strict),

        // Queue: pure values and state machines. Storage: their SQL.
        .target(name: "Queue", dependencies: ["Annotation"], swiftSettings: strict),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(name: "Storage", dependencies: ["Annotation", "Queue", "CPostgres"], swiftSettings: strict),

        // Work: what a daemon decides, as one value without I/O.
        .target(name: "Work", dependencies: ["Annotation", "Queue"], swiftSettings: strict),

        // Settings: the daemon's configuration, which glossctl reproduce reads as well.
        .target(
            name: "Settings",
            dependencies: [
                "Images", "Inference", "Storage",
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),

        // Submissions: files of jobs, CSV and JSONL.
        .target(name: "Submissions", swiftSettings: strict),

        // Decoding: images to pixels of the model's size, in processes that hold nothing worth taking.
        .target(name: "CSandbox", cSettings: optimised),
        .target(name: "Decoding", dependencies: ["Images", "Inference", "CSandbox"], swiftSettings: strict),

        // Evaluation: results against labels, as the official tools score them. Pure functions and values.
        .target(name: "Evaluation", dependencies: ["Annotation"], swiftSettings: strict),

        // Console: results and the queue as pages. Its cards are the report's.
        .target(
            name: "Console",
            dependencies: [
                "Annotation", "Decoding", "Images", "Inference", "Queue", "Storage",
                .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
            ], swiftSettings: strict),

        // The daemon: the only place where all meet. Admin: what a person does from a shell.
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CThreadSanitizer", cSettings: optimised),
        .executableTarget(
            name: "Daemon",
            dependencies: [
                "Annotation", "Decoding", "Images", "Inference", "Queue", "Settings", "Storage", "Work", "CSystemd",
                "CThreadSanitizer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "Admin",
            dependencies: [
                "Annotation", "Console", "Decoding", "Evaluation", "Images", "Inference", "Queue", "Settings",
                "Storage", "Submissions",
                "CThreadSanitizer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),

        .testTarget(name: "AnnotationTests", dependencies: ["Annotation"], swiftSettings: strict),
        .testTarget(name: "EvaluationTests", dependencies: ["Annotation", "Evaluation"], swiftSettings: strict),
        .testTarget(
            name: "InferenceTests", dependencies: ["Annotation", "Inference", "CKernels", "Images", "TestSupport"],
            swiftSettings: strict),
        .testTarget(name: "ImagesTests", dependencies: ["Images", "TestSupport"], swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["CNames", "CThreadSanitizer", "Annotation", "Storage", "Queue"],
            path: "Tests/TestSupport",
            swiftSettings: strict),
        .target(name: "CNames", path: "Tests/CNames", cSettings: optimised),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "Annotation", "CSandbox", "Daemon", "Decoding", "Images", "Inference", "Queue", "Settings", "Storage",
                "TestSupport",
                "Work",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(name: "WorkTests", dependencies: ["Annotation", "Queue", "Work"], swiftSettings: strict),
        .testTarget(name: "QueueTests", dependencies: ["Annotation", "Queue", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "AdminTests",
            dependencies: [
                "Admin", "Annotation", "Console", "Images", "Queue", "Storage", "Submissions", "TestSupport",
            ], swiftSettings: strict),
        .testTarget(
            name: "ConsoleTests",
            dependencies: ["Annotation", "Console", "Decoding", "Images", "Queue", "Storage", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StorageTests", dependencies: ["Annotation", "Storage", "Queue", "TestSupport"], swiftSettings: strict
        ),
    ],
    cxxLanguageStandard: .cxx17
)
