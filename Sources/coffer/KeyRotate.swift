internal import ArgumentParser
internal import HTTPMessages
internal import StrictJSON

extension Key {
  struct Rotate: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a key in the place of another and print it once.",
      discussion: "The new key has the rights, name and lifetime of the old one, which ends after the overlap.")

    @OptionGroup var directory: DirectoryOption
    @Argument(help: "The old key's public id: the 16 characters between its underscores.") var id: String
    @Option(help: "How long the old key lives on: a number with s, m, h or d; 0 ends it at once.") var overlap = "24h"
    @Flag(help: "Print one JSON object with the key and its id.") var json = false

    func validate() throws {
      try Key.check(id)
      guard overlap == "0" || Create.seconds(overlap) != nil else {
        throw ValidationError("--overlap takes 0 or a number with s, m, h or d, at most 3650d")
      }
    }

    func run() throws {
      let seconds = overlap == "0" ? 0 : Create.seconds(overlap) ?? 0
      let answer = try AdminClient.send(
        .post, "/admin/v1/keys/\(id)/rotate", body: ["overlapSeconds": .number(JSONNumber(seconds))],
        directory: Folder.absolute(directory.path))
      guard let made = answer["data"]?.object, let key = made["key"]?.string?.text else { throw Trouble("the answer holds no key") }
      print(json ? String(decoding: JSONValue.object(made).serialized(), as: UTF8.self) : key)
      guard !json else { return }
      let end = made["replaces"]?.object?["expiresAt"]?.string?.text
      Notice.print("key \(made["id"]?.string?.text ?? "") is shown once and kept nowhere")
      Notice.print(seconds == 0 ? "key \(id) has ended" : "key \(id) ends at \(end ?? "once")")
    }
  }
}
