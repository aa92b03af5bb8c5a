import FlyingFox
import FlyingSocks
import Foundation
import Logging
import ServiceLifecycle

/// `/healthz` and `/metrics` over HTTP, on loopback unless the configuration says otherwise.
struct HealthServer: Service {
    let address: String
    let port: Int
    let metrics: Metrics
    let thread: InferenceThread
    let logger: Logger

    func run() async throws {
        let server = HTTPServer(address: try .inet(ip4: address, port: UInt16(port)), logger: .disabled)
        await server.appendRoute("GET /healthz") { _ in health() }
        await server.appendRoute("GET /metrics") { _ in
            HTTPResponse(
                statusCode: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: Data(metrics.text.utf8))
        }
        logger.info("health and metrics", metadata: ["address": "http://\(address):\(port)"])
        do {
            try await cancelWhenGracefulShutdown { try await server.run() }
        } catch {
            // Cancelled, the server ends with an error; only an end that nobody asked for is one.
            if !Task.isShuttingDownGracefully { throw error }
        }
    }

    private func health() -> HTTPResponse {
        let up = metrics.isDatabaseUp
        let detail = (try? JSONEncoder().encode(metrics.statusLine)) ?? Data("null".utf8)
        let body = """
            {"status":"\(up ? "ok" : "waiting for the database")","detail":\(String(decoding: detail, as: UTF8.self)),"computing_seconds":\
            \(thread.busyFor / .seconds(1))}

            """
        return HTTPResponse(
            statusCode: up ? .ok : .serviceUnavailable, headers: [.contentType: "application/json"],
            body: Data(body.utf8))
    }
}
