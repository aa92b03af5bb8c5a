import ArgumentParser
import Images

/// From where a producer's URLs may be fetched.
struct FetchOptions: ParsableArguments {
    @Option(
        name: .customLong("allow-network"),
        help: ArgumentHelp(
            "Fetch images from this network too, such as 10.1.0.0/16. By default public addresses alone.",
            valueName: "network"), transform: FetchOptions.network)
    var networks: [CIDR] = []
    @Option(
        name: .customLong("allow-port"),
        help: ArgumentHelp("Fetch images from this port too. By default 80 and 443.", valueName: "port"))
    var ports: [Int] = []
    @Option(
        name: .customLong("allow-files"),
        help: ArgumentHelp("Read images below this directory. By default none.", valueName: "dir"),
        completion: .directory)
    var roots: [String] = []
    @Option(
        name: .customLong("allow-bucket"),
        help: ArgumentHelp(
            "Fetch s3: images of this bucket too, with the key that AWS tools would use. By default none.",
            valueName: "bucket"))
    var buckets: [String] = []

    /// Whether anything is allowed beside the default.
    var areGiven: Bool { !(networks.isEmpty && ports.isEmpty && roots.isEmpty && buckets.isEmpty) }

    func validate() throws {
        if let port = ports.first(where: { !(1...65535 ~= $0) }) {
            throw ValidationError("--allow-port must be 1 to 65535, not \(port).")
        }
        if let root = roots.first(where: { !$0.hasPrefix("/") }) {
            throw ValidationError("--allow-files must be an absolute path, not \(root).")
        }
    }

    private static func network(_ text: String) throws -> CIDR {
        guard let network = CIDR(text) else {
            throw ValidationError("\"\(text)\" is no network such as 10.1.0.0/16.")
        }
        return network
    }

    /// The daemon's policy by default, and what was allowed beside it. A `data:` URL carries its own bytes.
    var policy: FetchPolicy {
        var policy = FetchPolicy()
        policy.allowDataURLs = true
        policy.totalTimeout = .seconds(30)
        return adding(to: policy)
    }

    /// A policy, and what was allowed beside it.
    func adding(to policy: FetchPolicy) -> FetchPolicy {
        var policy = policy
        policy.allowedNetworks += networks
        policy.allowedPorts?.formUnion(ports)
        policy.localRoots += roots
        policy.s3.buckets.formUnion(buckets)
        return policy
    }
}

extension AnnotatedImageFetcher {
    init(_ policy: FetchPolicy) throws(CommandError) {
        do {
            try self.init(policy: policy)
        } catch {
            throw CommandError(.failed, error.message)
        }
    }
}
