import SecretMemory
import Testing

@Suite struct SecretBytesTests {
  private static let marker = "marker-7f3a"
  private let secret = SecretBytes(copying: Array(Self.marker.utf8))

  struct Failure: Error { let secret: SecretBytes }

  @Test func isNeverPrinted() {
    var dumped = ""
    dump(secret, to: &dumped)
    let forms = [
      "\(secret)", String(reflecting: secret), String(describing: [secret]), String(describing: Optional(secret)),
      String(describing: Failure(secret: secret)), String(reflecting: ["key": secret]), dumped,
    ]
    for form in forms {
      #expect(!form.contains("marker"))
      #expect(form.contains("secret"))
    }
  }

  @Test func comparesByContent() {
    #expect(secret == SecretBytes(copying: Array(Self.marker.utf8)))
    #expect(secret != SecretBytes(copying: Array("marker-7f3b".utf8)))
    #expect(secret != SecretBytes(copying: Array("marker-7f3".utf8)))
    #expect(SecretBytes(copying: []) == SecretBytes(copying: []))
    #expect(SecretBytes(copying: []) != secret)
  }

  @Test func fillsInPlaceAndLends() {
    let filled = SecretBytes(count: 3) { bytes in
      for index in 0..<3 { bytes.storeBytes(of: UInt8(index + 1), toByteOffset: index, as: UInt8.self) }
    }
    #expect(filled == SecretBytes(copying: [1, 2, 3]))
    #expect(filled.withBytes { $0.byteCount } == 3)
  }

  @Test func erasesArrays() {
    var bytes = Array(Self.marker.utf8)
    erase(&bytes)
    #expect(bytes.allSatisfy { $0 == 0 })
  }

  @Test func randomBytesDiffer() throws {
    let keys = try (0..<64).map { _ in try SecretBytes.random(count: 32) }
    for (index, key) in keys.enumerated() { #expect(!keys[..<index].contains { $0 == key }) }
    #expect(try RandomBytes.bytes(count: 0).isEmpty)
  }
}
