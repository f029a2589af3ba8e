internal import Ciphers
internal import KeyRing
internal import SecretMemory

/// Where a list goes on: opaque to its reader, signed by the server, and good for the same question only (scoped spec, section 1.3).
package struct Cursor: Sendable {
  package let position: String

  package init(_ position: String) { self.position = position }

  private static let macBytes = 16

  /// - Parameter question: everything that makes the list what it is, the caller's scope and filters.
  package func text(_ question: [String], _ service: Service) -> String? {
    guard let mac = try? service.vault.cursorKey.mac(Self.message(position, question)) else { return nil }
    let text = Base64.url.encode(mac.prefix(Self.macBytes) + Array(position.utf8))
    return String(decoding: text.filter { $0 != UInt8(ascii: "=") }, as: UTF8.self)
  }

  /// nil for what this server did not sign for this question.
  package init?(_ text: String, _ question: [String], _ service: Service) {
    let bytes = Array(text.utf8)
    let padding = [UInt8](repeating: UInt8(ascii: "="), count: (4 - bytes.count % 4) % 4)
    guard bytes.count <= 1024, let signed = Base64.url.decode(bytes + padding), signed.count > Self.macBytes else { return nil }
    let position = String(decoding: signed.dropFirst(Self.macBytes), as: UTF8.self)
    let isOurs = service.vault.cursorKeys.contains { key in
      (try? key.mac(Self.message(position, question))).map {
        constantTimeEqual(Array($0.prefix(Self.macBytes)), Array(signed.prefix(Self.macBytes)))
      } ?? false
    }
    guard isOurs else { return nil }
    self.position = position
  }

  private static func message(_ position: String, _ question: [String]) -> MACMessage {
    var message = MACMessage("cursor").text(position)
    for part in question { message = message.text(part) }
    return message
  }
}
