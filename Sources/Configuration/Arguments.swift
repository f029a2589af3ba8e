/// Flags: `--name value`, `--name=value`, and for switches `--name` alone.
enum Arguments {
  /// Reads arguments that follow the program's name.
  static func parse(_ arguments: [String]) throws(ConfigurationError) -> [SettingName: RawValue] {
    var values: [SettingName: RawValue] = [:]
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      guard argument.hasPrefix("--"), argument.utf8.count > 2 else { throw .unexpectedArgument(position: index + 1) }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let flag = String(parts[0])
      guard let name = SettingName.flags[flag] else {
        throw .unknownKey(shown(flag), from: .flag(shown(flag)), nearest: nearest(to: flag, among: SettingName.flags.keys))
      }
      let text: String
      if parts.count == 2 {
        text = String(parts[1])
      } else if name.isSwitch {
        text = "true"
      } else {
        index += 1
        guard index < arguments.count, !arguments[index].hasPrefix("--") else { throw .missingValue(flag: flag) }
        text = arguments[index]
      }
      let value = RawValue(text: text, origin: .flag(flag))
      guard values.updateValue(value, forKey: name) == nil else { throw .repeated(flag, from: .flag(flag)) }
      index += 1
    }
    return values
  }

  /// A name that is no flag of ours, in a form fit for a message.
  private static func shown(_ flag: String) -> String {
    let isName = flag.utf8.count <= 40 && flag.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-") }
    return isName ? flag : "--…"
  }
}
