import ArgumentParser
import Images

/// From where images may be fetched.
struct FetchOptions: ParsableArguments {
    @Option(
        name: .customLong("allow-network"),
        help: ArgumentHelp(
            "Fetch images from this network too, such as 10.1.0.0/16. By default from public addresses alone.",
            valueName: "network"), transform: FetchOptions.network)
    var networks: [CIDR] = []
    @Option(
        name: .customLong("allow-port"),
        help: ArgumentHelp("Fetch images from this port too. By default from 80 and 443.", valueName: "port"))
    var ports: [Int] = []
    @Option(
        name: .customLong("allow-files"),
        help: ArgumentHelp("Read image files below this directory. By default none.", valueName: "dir"),
        completion: .directory)
    var roots: [String] = []

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

    /// Whether nothing was allowed beside what is by default.
    var isDefault: Bool { networks.isEmpty && ports.isEmpty && roots.isEmpty }

    /// The daemon's policy by default, and what was allowed beside it. A `data:` URL carries its own bytes.
    var policy: FetchPolicy {
        var policy = FetchPolicy()
        policy.allowedNetworks = networks
        policy.allowedPorts?.formUnion(ports)
        policy.localRoots = roots
        policy.allowDataURLs = true
        policy.totalTimeout = .seconds(30)
        return policy
    }
}
