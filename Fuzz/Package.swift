// swift-tools-version: 6.2
import PackageDescription

// The sources are those of the package above, by symbolic link: built here with coverage counters and ASan, without what
// needs no fuzzing, and without making the package above any slower to build. scripts/fuzz builds and runs it.

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
let counted: [SwiftSetting] =
    swift + [.unsafeFlags(["-sanitize=fuzzer", "-sanitize-coverage=edge,trace-cmp,inline-8bit-counters,pc-table"])]
let flags = ["-O2", "-g", "-fsanitize=fuzzer-no-link"]

let package = Package(
    name: "gloss-fuzz",
    targets: [
        .systemLibrary(name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "libcrypto"),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", pkgConfig: "zlib"),
        .systemLibrary(name: "CJPEG", path: "Sources/CJPEG", pkgConfig: "libjpeg"),
        .systemLibrary(name: "CSPNG", path: "Sources/CSPNG", pkgConfig: "spng"),
        .systemLibrary(name: "CWebP", path: "Sources/CWebP", pkgConfig: "libwebpdemux"),
        .systemLibrary(name: "CLibCurl", path: "Sources/CLibCurl", pkgConfig: "libcurl"),
        .systemLibrary(name: "CPSL", path: "Sources/CPSL", pkgConfig: "libpsl"),
        .target(
            name: "CImage", dependencies: ["CJPEG", "CSPNG", "CWebP", "CZlib"], cSettings: [.unsafeFlags(flags)],
            linkerSettings: ["webp", "gif", "avif", "tiff", "heif", "de265"].map { .linkedLibrary($0) }),
        .target(name: "CCurl", dependencies: ["CLibCurl"], cSettings: [.unsafeFlags(flags)]),
        .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3", "-ffp-contract=off", "-Wno-psabi"])]),
        .target(
            name: "CSentencePiece", cxxSettings: [.unsafeFlags(flags)],
            linkerSettings: [.linkedLibrary("sentencepiece")]),
        .target(name: "Images", dependencies: ["CImage", "CCurl", "COpenSSL", "CPSL"], swiftSettings: counted),
        .target(name: "Annotation", swiftSettings: counted),
        .target(
            name: "Inference", dependencies: ["Annotation", "CKernels", "CSentencePiece", "COpenSSL", "CZlib"],
            swiftSettings: counted),
        .target(name: "Submissions", swiftSettings: counted),
        .target(name: "CFuzzer"),
        .executableTarget(
            name: "Fuzz", dependencies: ["Annotation", "CFuzzer", "Images", "Inference", "Submissions"],
            swiftSettings: swift,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ],
    cxxLanguageStandard: .cxx17
)
