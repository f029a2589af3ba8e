internal import ArgumentParser
internal import Glibc
internal import KeyRing
internal import SecretMemory

/// A value from a file, a pipe or a prompt; never from the arguments, which every user of the machine can read.
struct ValueInput: ParsableArguments {
  @Option(name: .customLong("from"), help: "Read the value from this file instead of standard input.") var file: String?
  @Flag(help: "Cut blanks and line ends off both ends of the value.") var trim = false
  @Flag(help: "Keep them.") var exact = false

  /// The longest value of a field (scoped spec, section 4.3).
  private static let maximumBytes = 64 << 10

  func validate() throws {
    if trim, exact { throw ValidationError("--trim and --exact exclude each other") }
  }

  func read() throws -> SecretBytes {
    let value: SecretBytes
    if let file {
      let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw AgentFailure(.usage, "\(file) cannot be read: \(unsafe String(cString: strerror(errno)))") }
      defer { close(descriptor) }
      value = try Self.contents(of: descriptor)
    } else if Terminal.isThere {
      guard let line = Terminal.secretLine("value: ") else { throw AgentFailure(.usage, "no value was given") }
      return line
    } else {
      value = try Self.contents(of: STDIN_FILENO)
    }
    let trimmed = Self.trimmed(value)
    if exact || trimmed.count == value.count { return value }
    guard trim else {
      throw AgentFailure(
        .usage, "the value begins or ends with blanks or a line end, as echo adds one; say --trim to cut them off or --exact to keep them")
    }
    return trimmed
  }

  private static func contents(of descriptor: Int32) throws -> SecretBytes {
    var bytes = [UInt8](repeating: 0, count: maximumBytes + 1)
    defer { erase(&bytes) }
    var count = 0
    while count < bytes.count {
      let room = bytes.count - count
      let result = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress! + count, room) }
      if result < 0, errno == EINTR { continue }
      guard result >= 0 else { throw AgentFailure(.usage, "the value cannot be read: \(unsafe String(cString: strerror(errno)))") }
      if result == 0 { return unsafe SecretBytes(copying: bytes.span.bytes.extracting(first: count)) }
      count += result
    }
    throw AgentFailure(.usage, "the value is longer than \(maximumBytes) bytes")
  }

  private static func trimmed(_ value: SecretBytes) -> SecretBytes {
    value.withBytes { bytes in
      func isBlank(_ offset: Int) -> Bool {
        [0x20, 0x09, 0x0A, 0x0D].contains(unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self))
      }
      var start = 0
      var end = bytes.byteCount
      while start < end, isBlank(start) { start += 1 }
      while end > start, isBlank(end - 1) { end -= 1 }
      return SecretBytes(copying: bytes.extracting(start..<end))
    }
  }
}
