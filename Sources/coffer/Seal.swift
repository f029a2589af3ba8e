internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

struct Seal: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stop a running cofferd from opening anything: it drops the root key and every tenant key from its memory.",
    discussion: """
      Until `coffer unseal` every request for settings and secrets gets 503. Health, figures and the structure can still be read. A \
      restart reads the root key and serves again: take the key away where it is read from, if that must not be.
      """)
  @OptionGroup var directory: DirectoryOption

  func run() throws {
    let answer = try Self.send(.post, "/admin/v1/seal", directory)
    print("sealed: nothing opens any more; bring it back with: coffer unseal")
    if answer["recorded"]?.bool == false { Notice.print("the audit chain cannot be written and does not say so") }
  }

  /// To a cofferd that runs: none that does not has anything to drop or to get back.
  static func send(_ method: HTTPMethod, _ uri: String, _ directory: DirectoryOption) throws -> JSONObject {
    let path = Folder.absolute(directory.path)
    guard try AdminClient.isServed(path) else { throw Trouble("no cofferd runs for \(path)") }
    return try AdminClient.send(method, uri, directory: path)["data"]?.object ?? JSONObject()
  }
}

struct Unseal: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Let a sealed cofferd read its root key again and serve.",
    discussion: "The key is read where the start reads it: its file, a credential, or root-key-command.")
  @OptionGroup var directory: DirectoryOption

  func run() throws {
    _ = try Seal.send(.post, "/admin/v1/unseal", directory)
    print("unsealed: cofferd serves")
  }
}
