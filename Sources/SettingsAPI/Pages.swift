internal import HTTPMessages

/// The page at `/docs` and `/redoc`: plain HTML of our own, without scripts or foreign addresses.
enum Pages {
  static let documentation: [UInt8] = Array(
    """
    <!DOCTYPE html>
    <html lang="en">
    <head><meta charset="utf-8"><title>Coffer: settings and secrets API</title></head>
    <body>
    <h1>Coffer: settings and secrets API</h1>
    <p>Every address below <code>/api</code> needs the header <code>X-Session-API-Key</code>.
    A machine-readable description is at <a href="/openapi.json">/openapi.json</a>.</p>
    <table>
    <tr><th>Method</th><th>Path</th><th>What it does</th></tr>
    \(Route.table.map(row).joined(separator: "\n"))
    </table>
    </body>
    </html>

    """.utf8)

  private static func row(_ entry: Route.Entry) -> String {
    entry.methods.map { "<tr><td>\($0.rawValue)</td><td><code>\(entry.pattern)</code></td><td>\(entry.route.summary)</td></tr>" }
      .joined(separator: "\n")
  }
}
