import Ciphers
import SecretMemory
import Testing

/// Contexts of libcrypto keep the key of last time: whichever keys take turns, each result is that of a context that never had another.
@Suite struct KeptContextsTests {
  private let keys = (0..<4).map { number in SecretBytes(copying: [UInt8](repeating: UInt8(number / 2), count: 32)) }

  private func afresh<T>(_ body: () throws -> T) rethrows -> T {
    WorkingMemory.erase()
    return try body()
  }

  private func bytes(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }

  /// 4 keys, of which two are equal to the two others but not the same: (key, message) in an order without a pattern.
  private var turns: [(key: Int, message: [UInt8])] {
    var state: UInt32 = 7
    return (0..<400).map { turn in
      state = state &* 1_664_525 &+ 1_013_904_223
      return (Int(state >> 28) % 4, [UInt8](repeating: UInt8(turn % 5), count: Int(state >> 20) % 100))
    }
  }

  @Test func codes() throws {
    let expected = try turns.map { turn in try afresh { try HMACSHA256.code(for: turn.message, key: keys[turn.key]) } }
    WorkingMemory.erase()
    #expect(try turns.map { try HMACSHA256.code(for: $0.message, key: keys[$0.key]) } == expected)
    #expect(Set(expected).count > 100)
  }

  @Test func sealsAndOpens() throws {
    let nonce = [UInt8](repeating: 9, count: 12)
    func seal(_ turn: (key: Int, message: [UInt8])) throws -> [UInt8] {
      try SecretBytes(copying: turn.message).withBytes {
        try AES256GCM.seal($0, key: keys[turn.key], nonce: nonce, authenticating: Array(turn.message.prefix(3)))
      }
    }
    let expected = try turns.map { turn in try afresh { try seal(turn) } }
    WorkingMemory.erase()
    #expect(try turns.map { try seal($0) } == expected)
    for (index, (turn, sealed)) in zip(turns, expected).enumerated() {
      let aad = Array(turn.message.prefix(3))
      // What does not open and what another algorithm does leave nothing behind.
      if index % 3 == 0 { #expect(throws: CipherError.self) { try AES256GCM.open(sealed + [0], key: keys[turn.key], authenticating: aad) } }
      if index % 7 == 0 {
        let key = try FernetKey(keys[turn.key])
        let token = try SecretBytes(copying: turn.message).withBytes { try Fernet.seal($0, key: key, unixSeconds: 1) }
        #expect(bytes(try Fernet.open(token, key: key)) == turn.message)
      }
      #expect(bytes(try AES256GCM.open(sealed, key: keys[turn.key], authenticating: aad)) == turn.message)
      #expect(throws: CipherError.self) { try AES256GCM.open(sealed, key: keys[(turn.key + 2) % 4], authenticating: aad) }
      #expect(try seal(turn) == sealed)
    }
  }
}
