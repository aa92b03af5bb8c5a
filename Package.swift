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
    products: [
        .executable(name: "glossd", targets: ["Daemon"]),
        .executable(name: "glossctl", targets: ["Admin"]),
    ],
    dependencies: [
        // Why each: docs/dependencies.md.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: [.defaults, "YAML"]),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swhitty/FlyingFox", from: "0.27.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Annotation: tasks, what they ask and what becomes of the answers. It imports no other target.
        .target(name: "Annotation", swiftSettings: strict),

        // Inference: images and prompts in, scored text out. No queue, no network.
        .target(name: "CKernels", cSettings: optimised + [.unsafeFlags(["-ffp-contract=off", "-Wno-psabi"])]),
        .target(
            name: "CSentencePiece",
            cxxSettings: [.unsafeFlags(["-O2", "-Wall"])],
            linkerSettings: [.linkedLibrary("sentencepiece")]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "Inference", dependencies: ["Annotation", "CKernels", "CSentencePiece", "COpenSSL"],
            swiftSettings: strict),

        // Images: URL to RGB.
        .target(
            name: "CImage", cSettings: optimised,
            linkerSettings: [
                .linkedLibrary("jpeg"), .linkedLibrary("spng"), .linkedLibrary("webp"), .linkedLibrary("webpdemux"),
            ]),
        .target(name: "CCurl", cSettings: optimised, linkerSettings: [.linkedLibrary("curl")]),
        .target(name: "Images", dependencies: ["CImage", "CCurl", "COpenSSL"], swiftSettings: strict),

        // Queue: pure values and state machines. Storage: their SQL.
        .target(name: "Queue", dependencies: ["Annotation"], swiftSettings: strict),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(name: "Storage", dependencies: ["Annotation", "Queue", "CPostgres"], swiftSettings: strict),

        // The daemon: the only place where all meet. Admin: what a person does from a shell.
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .target(name: "CSandbox", cSettings: optimised),
        .target(name: "CThreadSanitizer", cSettings: optimised),
        .executableTarget(
            name: "Daemon",
            dependencies: [
                "Annotation", "Images", "Inference", "Queue", "Storage", "CSandbox", "CSystemd", "CThreadSanitizer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "FlyingFox", package: "FlyingFox"),
                .product(name: "FlyingSocks", package: "FlyingFox"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "Admin",
            dependencies: [
                "Annotation", "Images", "Inference", "Queue", "Storage", "CThreadSanitizer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),

        .testTarget(name: "AnnotationTests", dependencies: ["Annotation"], swiftSettings: strict),
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
                "Annotation", "CSandbox", "Daemon", "Images", "Inference", "Queue", "Storage", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(name: "QueueTests", dependencies: ["Annotation", "Queue", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "AdminTests", dependencies: ["Admin", "Annotation", "Queue", "Storage", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "StorageTests", dependencies: ["Annotation", "Storage", "Queue", "TestSupport"], swiftSettings: strict
        ),
    ],
    cxxLanguageStandard: .cxx17
)
