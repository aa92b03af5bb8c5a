// swift-tools-version: 6.2
import PackageDescription

// The queue's benchmark. The sources of the libraries are those of the package above, by symbolic link, so that the
// package above builds no code that only measures. Benchmarks/queue/run builds and runs it.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "gloss-bench-queue",
    dependencies: [.package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2")],
    targets: [
        .target(name: "Annotation", swiftSettings: strict),
        .target(name: "Queue", dependencies: ["Annotation"], swiftSettings: strict),
        .systemLibrary(name: "CPostgres", path: "Sources/CPostgres", pkgConfig: "libpq"),
        .target(name: "Storage", dependencies: ["Annotation", "Queue", "CPostgres"], swiftSettings: strict),
        .target(name: "Submissions", swiftSettings: strict),
        .executableTarget(
            name: "bench-queue",
            dependencies: [
                "Storage", "Submissions", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/BenchQueue", swiftSettings: strict),
    ]
)
