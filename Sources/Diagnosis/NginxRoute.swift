/// One place of nginx's configuration from which requests go to our socket, with the settings in force there.
package struct NginxRoute: Sendable {
  /// For messages: `location / of secrets.example.org`.
  package let name: String
  package let passesAllHeaders: Bool
  package let parameters: Set<String>
  /// Bytes of the largest body; 0 means any.
  package let bodyLimit: UInt64
  /// Bytes of a body that stay in memory.
  package let bodyBuffer: UInt64
  package let keepsAnswersInMemory: Bool
  package let repeats: Bool
  package let logLevels: [String]
  package let certificates: [String]

  /// - Parameter levels: the blocks around, the outermost first.
  fileprivate init(_ levels: [[NginxConfiguration.Directive]], name: String) {
    /// What the innermost level says that says anything: nginx inherits a directive whole or not at all.
    func said(_ directive: String) -> [[String]] {
      levels.last { $0.contains { $0.name == directive } }?.filter { $0.name == directive }.map(\.arguments) ?? []
    }
    func value(_ directive: String) -> String? { said(directive).last?.first }
    self.name = name
    // The defaults are nginx's (nginx.org, ngx_http_core_module and ngx_http_fastcgi_module).
    passesAllHeaders = value("fastcgi_pass_request_headers") != "off"
    parameters = Set(said("fastcgi_param").compactMap(\.first))
    bodyLimit = value("client_max_body_size").flatMap(Self.bytes) ?? 1 << 20
    bodyBuffer = value("client_body_buffer_size").flatMap(Self.bytes) ?? 16 << 10
    keepsAnswersInMemory = value("fastcgi_max_temp_file_size").flatMap(Self.bytes) == 0 || value("fastcgi_buffering") == "off"
    repeats = said("fastcgi_next_upstream").last.map { $0 != ["off"] } ?? true
    logLevels = said("error_log").map { $0.count > 1 ? $0[1] : "error" }
    certificates = said("ssl_certificate").compactMap(\.first)
  }

  /// `2m`, `16k`, `1g` or bytes.
  static func bytes(_ text: String) -> UInt64? {
    let shift: UInt64? =
      switch text.last {
      case "k", "K": 10
      case "m", "M": 20
      case "g", "G": 30
      default: nil
      }
    guard let number = UInt64(shift == nil ? text[...] : text.dropLast()), number < 1 << 32 else { return nil }
    return number << (shift ?? 0)
  }
}

extension NginxConfiguration {
  /// Every place whose `fastcgi_pass` leads to the socket at `path`, directly or through an upstream block.
  package func routes(to path: String) -> [NginxRoute] {
    var routes: [NginxRoute] = []
    for http in directives where http.name == "http" {
      let inside = http.block ?? []
      let upstreams = inside.filter { upstream in
        upstream.name == "upstream"
          && (upstream.block ?? []).contains { $0.name == "server" && $0.arguments.first == "unix:" + path }
      }
      let targets = Set(upstreams.compactMap(\.arguments.first) + ["unix:" + path])
      for server in inside where server.name == "server" {
        let block = server.block ?? []
        let names = block.first { $0.name == "server_name" }?.arguments.first { !$0.isEmpty && $0 != "_" }
        collect(block, levels: [directives, inside, block], names.map { " of \($0)" } ?? "", targets, into: &routes)
      }
    }
    return routes
  }

  private func collect(
    _ block: [Directive], levels: [[Directive]], _ server: String, _ targets: Set<String>, into routes: inout [NginxRoute]
  ) {
    for location in block where location.name == "location" {
      let inside = location.block ?? []
      let levels = levels + [inside]
      if inside.contains(where: { $0.name == "fastcgi_pass" && $0.arguments.first.map(targets.contains) == true }) {
        routes.append(NginxRoute(levels, name: "location \(location.arguments.joined(separator: " "))\(server)"))
      }
      collect(inside, levels: levels, server, targets, into: &routes)
    }
  }

  /// The account of the workers as the `user` directive has it; nil when it is left to the build or to who starts nginx.
  package var user: String? { directives.last { $0.name == "user" }?.arguments.first }
}
