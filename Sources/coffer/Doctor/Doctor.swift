internal import ArgumentParser
internal import Configuration
internal import Diagnosis
internal import StrictJSON

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what is wrong and what to do; exit 1 when something is.",
    discussion: "Run it as the account that runs cofferd, or as root. It changes nothing.")

  @OptionGroup var directory: DirectoryOption
  @Option(help: "nginx's main configuration file; DIR/run/nginx.conf where `coffer up` made it, else /etc/nginx/nginx.conf.")
  var nginxConf: String?
  @Flag(help: "Print one JSON object: ok, and findings with code, kind (ok, warning, wrong) and text.") var json = false

  func run() throws {
    let configuration = try AdminClient.settings(Folder.absolute(directory.path))
    let nginx = NginxFacts(configuration, named: nginxConf.map(Folder.absolute))
    var findings = configuration.warnings.map { Finding(.configuration, .warning, $0.message) }
    findings += Checks.files(configuration) + Checks.machine(configuration) + Checks.nginx(nginx, configuration)
    findings += Checks.socket(nginx, configuration) + Checks.certificates(nginx, configuration)
    // One cause may stop several checks with the same words.
    for finding in Checks.server(configuration) where !findings.contains(where: { $0.text == finding.text }) { findings.append(finding) }
    findings += Checks.agentServer(configuration)
    let isWell = !findings.contains { $0.kind == .wrong }
    if json {
      print(String(decoding: Self.json(findings, isWell: isWell).serialized(), as: UTF8.self))
    } else {
      for finding in findings { print("\(finding.kind.rawValue): \(finding.text)") }
    }
    if !isWell { throw ExitCode.failure }
  }

  private static func json(_ findings: [Finding], isWell: Bool) -> JSONValue {
    let list = findings.map { finding -> JSONValue in
      [
        "code": .string(JSONString(finding.code.rawValue)), "kind": .string(JSONString(finding.kind.rawValue)),
        "text": .string(JSONString(finding.text)),
      ]
    }
    return ["ok": .bool(isWell), "findings": .array(list)]
  }
}

/// Each check gathers facts, changes nothing, and leaves the judgement to `Diagnosis`.
enum Checks {}
