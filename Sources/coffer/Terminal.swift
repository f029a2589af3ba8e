internal import Glibc
internal import SecretMemory

/// The person at standard input.
enum Terminal {
  static var isThere: Bool { isatty(STDIN_FILENO) == 1 }

  /// One line, not shown while it is typed. nil when the terminal cannot be asked or nothing was typed.
  static func secretLine(_ prompt: String) -> SecretBytes? {
    Notice.write(prompt)
    var before = termios()
    guard unsafe tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
    var silent = before
    silent.c_lflag &= ~tcflag_t(ECHO)
    unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
    defer {
      unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
      Notice.write("\n")
    }
    var bytes = [UInt8](repeating: 0, count: 4096)
    defer { erase(&bytes) }
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
    guard count > 0 else { return nil }
    return unsafe SecretBytes(copying: bytes.span.bytes.extracting(first: count)).withoutLineEnd
  }
}
