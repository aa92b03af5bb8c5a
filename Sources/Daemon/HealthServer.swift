import FlyingFox
import FlyingSocks
import Foundation
import Logging
import Settings

/// `/healthz` and `/metrics` over HTTP, on loopback unless the configuration says otherwise. From the start of the process to its
/// end, so that they also say what it waits for.
struct HealthServer {
    let address: String
    let port: Int
    let metrics: Metrics
    let queue: QueueGauge
    let logger: Logger

    /// What `/healthz` says.
    private struct Health: Encodable {
        let status: String
        let detail: String
        let computing_seconds: Double
    }

    /// Serves until the task is cancelled. Throws when it can't listen.
    func run() async throws {
        let server = HTTPServer(address: try .inet(ip4: address, port: UInt16(port)), logger: .disabled)
        await server.appendRoute("GET /healthz") { _ in try health() }
        await server.appendRoute("GET /metrics") { _ in
            let text = metrics.text(await queue.depths())
            return HTTPResponse(
                statusCode: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: Data(text.utf8))
        }
        logger.info("health and metrics", metadata: ["address": "http://\(address):\(port)"])
        do { try await server.run() } catch let error as SocketError {
            throw ConfigurationError(
                "can't serve health and metrics at \(address):\(port): \(error.localizedDescription)")
        }
    }

    private func health() throws -> HTTPResponse {
        let status = metrics.status.word
        let health = Health(
            status: status, detail: metrics.statusLine, computing_seconds: metrics.passTime / .seconds(1))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return HTTPResponse(
            statusCode: status == "ok" ? .ok : .serviceUnavailable, headers: [.contentType: "application/json"],
            body: try encoder.encode(health) + Data("\n".utf8))
    }
}
