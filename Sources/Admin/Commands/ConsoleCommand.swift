import ArgumentParser
import Console
import Foundation
import Images
import Settings
import Storage

/// `glossctl console`
struct ConsoleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "console",
        abstract: "Shows the queue and the results, with their images, in a browser.",
        discussion: """
            It listens on this machine alone, prints a link, and serves pages until it is interrupted. The link carries a token: \
            nobody comes in without it. Several people have a token, a name and a role each in a file (--tokens), or are signed in by \
            a proxy in front (--user-header).

            Every page is read with the rights of gloss_reader, which the login must be a member of, and no statement of a page takes \
            longer than 2 s. Reviews have those of gloss_reviewer and actions, such as trying jobs again, those of gloss_admin: for \
            visitors who have that role, where the login is a member of it.

            Pictures are made of the images that results were given by. They are fetched again under the daemon's policy (public \
            addresses, ports 80 and 443; --config takes a daemon's own), compared by their SHA-256, and decoded in a process that \
            holds nothing worth taking. They are kept in --cache.

            EXAMPLES
              glossctl console
              glossctl console --config /etc/gloss/glossd.yaml --port 8000
              glossctl console --tokens /etc/gloss/console.tokens
              glossctl console --socket /run/gloss-console/socket --host annotations.example.org \
                --user-header X-Forwarded-User --users /etc/gloss/console.users

            \(ExitStatus.help)
            """)

    @OptionGroup var database: DatabaseOptions

    @Option(help: "The port of 127.0.0.1; 0 is any that is free.")
    var port = 9472
    @Option(
        help: ArgumentHelp(
            "Listen on a Unix socket instead, for a proxy in front: its group may connect.", valueName: "path"),
        completion: .file())
    var socket: String?
    @Option(
        help: ArgumentHelp(
            "A further name by which it is asked for, as a proxy passes it on, with its port if it has one. May be repeated.",
            valueName: "name"))
    var host: [String] = []
    @OptionGroup(title: "Who may come in") var visitors: VisitorOptions
    @Option(
        help: ArgumentHelp("A daemon's configuration: from where it may fetch images.", valueName: "file"),
        completion: .file())
    var config: String?
    @OptionGroup var fetching: FetchOptions
    @Option(
        help: ArgumentHelp(
            "Where pictures are kept. Default: gloss-console in $XDG_CACHE_HOME, else in ~/.cache.", valueName: "dir"),
        completion: .directory)
    var cache: String?
    @Option(help: ArgumentHelp("The most that is kept, MiB; 0: nothing.", valueName: "size"))
    var cacheSize = 512
    @Option(
        help: ArgumentHelp(
            "A daemon's previews: what is shown of an image that cannot be fetched any more.", valueName: "dir"),
        completion: .directory)
    var previews: String?
    @Option(
        help: ArgumentHelp(
            """
            copies: the console fetches images, and browsers ask no other server. direct: browsers get images from where they were \
            found, and so tell those servers who looks at what.
            """, valueName: "how"))
    var images = ImageSource.copies

    func validate() throws {
        if visitors.userHeader != nil, socket == nil {
            throw ValidationError("--user-header needs --socket: anybody could send that header to a port.")
        }
        guard 0...65535 ~= port else { throw ValidationError("--port must be 0 to 65535, not \(port).") }
        guard 0...1_000_000 ~= cacheSize else {
            throw ValidationError("--cache-size must be 0 to 1000000, not \(cacheSize).")
        }
    }

    func run() async throws {
        let readers = ReaderPool(database.settings(statementTimeout: .seconds(2)))
        let daemon = try await daemonConfiguration()
        let policy = daemon.map { fetching.adding(to: $0.fetch) } ?? fetching.policy
        let pictures: PictureMaker
        do {
            pictures = try PictureMaker(
                policy: policy, maxPixels: daemon?.images.maxPixels ?? DecodeLimits().maxPixels,
                cache: try pictureCache(), previews: try previews.map(previewFolder))
        } catch let error as ImageError {
            throw CommandError(.failed, error.message)
        }
        let role = try await readers.check()
        let server = ConsoleServer(
            socket.map { .socket($0) } ?? .loopback(port: port),
            access: try visitors.access(loginRole: role), names: host, readers: readers,
            pictures: pictures, images: images)
        do {
            try await server.run { address in
                Console.say(socket.map { "Listening on \($0). Behind the proxy's name: \(address)" } ?? address)
            }
        } catch let problem as ConsoleServer.Problem {
            throw CommandError(.failed, problem.message)
        }
    }

    private func daemonConfiguration() async throws -> DaemonConfiguration? {
        guard let config else { return nil }
        do { return try await DaemonConfiguration(file: config) } catch let error as ConfigurationError {
            throw CommandError(.failed, error.description)
        }
    }

    private func pictureCache() throws -> PictureCache? {
        guard cacheSize > 0 else { return nil }
        let environment = ProcessInfo.processInfo.environment
        let home = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory() + "/.cache"
        let folder = cache ?? home + "/gloss-console"
        do { return try PictureCache(path: folder, limit: cacheSize << 20) } catch {
            throw CommandError(.failed, "pictures cannot be kept in \(folder): \(error.localizedDescription)")
        }
    }

    private func previewFolder(_ folder: String) throws -> PictureCache {
        do { return try PictureCache(existing: folder) } catch {
            throw CommandError(.failed, "--previews \(folder) cannot be read: \(error.localizedDescription)")
        }
    }
}

extension ImageSource: ExpressibleByArgument {}
