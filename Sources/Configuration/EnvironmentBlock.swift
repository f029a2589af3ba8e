internal import Glibc

/// The process's own environment, as the kernel shows it to others.
package enum EnvironmentBlock {
  /// Every entry as bytes. What it returns holds secrets: lend it, then let it go.
  package static func entries() -> [[UInt8]] {
    guard let file = unsafe fopen("/proc/self/environ", "re") else { return [] }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, file)
      if count <= 0 { break }
      bytes += chunk.prefix(count)
    }
    return bytes.split(separator: 0).map(Array.init)
  }

  /// The names of the variables among `entries` that hold keys.
  package static func secretNames(in entries: [[UInt8]]) -> [String] {
    let names = entries.map { String(decoding: $0.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self) }
    return Set(names.filter(Environment.isSecret)).sorted()
  }

  /// Overwrites every entry of these names in place and forgets them: unsetenv alone leaves the text readable in
  /// /proc/self/environ. Call it before a second thread starts.
  package static func scrub(_ names: some Sequence<String>) {
    for name in names {
      while let value = unsafe getenv(name) {
        let prefix = name.utf8.count + 1
        let entry = unsafe value - prefix
        let length = unsafe prefix + strlen(value)
        unsafe explicit_bzero(entry, length)
      }
      unsafe unsetenv(name)
    }
  }
}
