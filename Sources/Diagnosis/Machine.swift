/// Judgements of what the machine gives: its clock, its disk, its descriptors. Facts in, findings out.
package enum Machine {
  /// 2025-01-01 in Unix milliseconds: before that, this program did not exist.
  private static let beginning: Int64 = 1_735_689_600_000
  /// Milliseconds that a clock may stand behind the newest audit entry.
  private static let tolerance: Int64 = 300_000

  /// - Parameters:
  ///   - now: Unix milliseconds.
  ///   - newestEntry: the time of the newest audit entry; nil when there is none or it is not known.
  package static func clock(now: Int64, newestEntry: Int64?) -> Finding {
    if now < beginning {
      return Finding(.clock, .wrong, "the clock stands before 2025; keys and audit times depend on it: set it")
    }
    if let newestEntry, newestEntry - now > tolerance {
      return Finding(
        .clock, .wrong,
        "the clock stands \((newestEntry - now) / 60_000) minutes behind the newest audit entry: set it, or find out when it was wrong")
    }
    return Finding(.clock, .good, "the clock does not contradict the audit entries")
  }

  /// - Parameters:
  ///   - total: bytes of the file system.
  ///   - free: bytes that are left.
  package static func disk(_ path: String, total: UInt64, free: UInt64) -> Finding {
    let percent = total == 0 ? 0 : free / max(1, total / 100)
    let room = "\(free >> 20) MiB (\(percent) %) are free where \(path) lies"
    if free < 64 << 20 || percent < 5 {
      return Finding(.disk, .wrong, "\(room); without room nothing can be stored: make room now")
    }
    if free < 512 << 20 || percent < 10 { return Finding(.disk, .warning, "\(room); make room before writes are refused") }
    return Finding(.disk, .good, room)
  }

  /// - Parameters:
  ///   - limit: the hard limit of this account.
  ///   - serving: the limit of the running cofferd; nil when none runs.
  package static func descriptors(limit: UInt64, serving: UInt64?) -> Finding {
    let (number, whose) = serving.map { ($0, "the running cofferd may open") } ?? (limit, "this account may open")
    let text = "\(whose) \(number == .max ? "any number of" : String(number)) descriptors"
    let advice = "; every connection of nginx takes one: raise LimitNOFILE of the service, or ulimit -Hn, to 4096 or more"
    if number < 1024 { return Finding(.descriptors, .wrong, text + advice) }
    if number < 4096 { return Finding(.descriptors, .warning, text + advice) }
    return Finding(.descriptors, .good, text)
  }

  /// The soft limit on open files in the text of /proc/PID/limits; nil when the text has none.
  package static func openFiles(inLimits text: String) -> UInt64? {
    for line in text.split(separator: "\n") where line.hasPrefix("Max open files") {
      guard let word = line.dropFirst("Max open files".count).split(separator: " ").first else { return nil }
      return word == "unlimited" ? .max : UInt64(word)
    }
    return nil
  }
}

/// Judgements of the store's place and form.
package enum StorePlace {
  package static func fileSystem(_ path: String, isNetwork: Bool, isAllowed: Bool) -> Finding {
    guard isNetwork else { return Finding(.fileSystem, .good, "\(path) lies on a file system of this machine") }
    return isAllowed
      ? Finding(
        .fileSystem, .warning,
        "\(path) lies on a network file system, which allow-network-filesystem lets pass; a lock that does not hold loses writes")
      : Finding(
        .fileSystem, .wrong,
        "\(path) lies on a network file system, where SQLite's locks do not hold: move the directory to a disk of this machine")
  }

  /// - Parameter version: nil when there is no store.
  package static func version(_ version: (found: Int, supported: Int)?) -> Finding? {
    guard let version else { return nil }
    if version.found > version.supported {
      return Finding(
        .storeVersion, .wrong,
        "the store has format \(version.found), this program knows up to \(version.supported): install the program that wrote it, or a newer one"
      )
    }
    let text = "the store has format \(version.found)"
    return Finding(.storeVersion, .good, version.found < version.supported ? text + ", which the next start renews" : text)
  }

  package static let broken = Finding(.storeVersion, .wrong, "the file is damaged or no store of Coffer: restore a backup")

  /// - Parameter mode: nil when the directory does not exist.
  package static func directory(_ path: String, mode: UInt32?, parent: String) -> Finding {
    guard let mode else { return Finding(.storeDirectory, .wrong, "\(path) does not exist; run: coffer init --dir \(parent)") }
    if mode & 0o077 != 0 { return Finding(.storeDirectory, .wrong, "\(path) is open to other users; run: chmod 0700 \(path)") }
    return Finding(.storeDirectory, .good, "\(path) is closed to other users")
  }
}
