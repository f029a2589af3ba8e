import Ciphers
import KeyRing
import SecretMemory
import StrictJSON
import TestSupport
import Testing

private func root(_ fill: UInt8 = 1) throws -> RootKey {
  try RootKey(id: "0123456789abcdef", key: SecretBytes(copying: [UInt8](repeating: fill, count: 32)))
}

private func bytes(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }

@Suite struct RootKeyTests {
  @Test func survivesItsText() throws {
    let key = try RootKey.generate()
    let read = try RootKey(text: key.text)
    #expect(read.id == key.id)
    #expect(try read.keyCheck(storeID: [1]) == key.keyCheck(storeID: [1]))
  }

  @Test func everyChangedCharacterIsRefused() throws {
    let text = bytes(try root().text)
    for index in text.indices.dropLast() {
      var changed = text
      changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      #expect(throws: RootKey.TextError.self) { try RootKey(text: SecretBytes(copying: changed)) }
    }
  }

  @Test(arguments: [
    ("", RootKey.TextError.empty), ("hello", .notARootKey), ("coffer-root-key-v2 a b c", .newerFormat),
    ("coffer-root-key-v1", .notARootKey),
  ])
  func refuses(_ text: String, _ error: RootKey.TextError) {
    #expect(throws: error) { try RootKey(text: SecretBytes(copying: Array(text.utf8))) }
  }

  @Test func onlyTheStoresOwnKeyPasses() throws {
    let check = try root(1).keyCheck(storeID: [9])
    #expect(try root(1).verifies(keyCheck: check, storeID: [9]))
    #expect(try !root(2).verifies(keyCheck: check, storeID: [9]))
    #expect(try !root(1).verifies(keyCheck: check, storeID: [8]))
    #expect(try !root(1).verifies(keyCheck: [], storeID: [9]))
    #expect(throws: CipherError.self) { try RootKey(id: "x", key: SecretBytes(copying: [1])) }
  }
}

@Suite struct RootEscrowTests {
  private static let words = SecretBytes(copying: Array("correct horse battery staple".utf8))
  /// Cheap, so that many attempts are.
  private static let cost = Scrypt.Cost(logarithm: 4, blockSize: 1, parallelism: 1)!

  private func copy() throws -> (root: RootKey, text: String) {
    let root = try RootKey.generate()
    return (root, try RootEscrow(of: root, passphrase: Self.words, cost: Self.cost).text)
  }

  private func read(_ text: String) throws(RootEscrow.Failure) -> RootEscrow {
    try RootEscrow(text: SecretBytes(copying: Array(text.utf8)))
  }

  @Test func aCopyOpensWithItsPassphraseAlone() throws {
    let (root, text) = try copy()
    #expect(text.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == 0x0A })
    let escrow = try read("  " + text + "\r\n")
    #expect(escrow.rootKeyID == root.id)
    #expect(try escrow.open(passphrase: Self.words).text == root.text)
    for wrong in ["", "correct horse battery stapl", "correct horse battery staple ", "Correct horse battery staple"] {
      #expect(throws: RootEscrow.Failure.doesNotOpen) { try escrow.open(passphrase: SecretBytes(copying: Array(wrong.utf8))) }
    }
    #expect(try RootEscrow(of: root, passphrase: Self.words, cost: Self.cost).text != text)
  }

  @Test func theUsualCostIsInTheText() throws {
    let (root, _) = try copy()
    let text = try RootEscrow(of: root, passphrase: Self.words).text
    #expect(text.hasPrefix("coffer-root-escrow-v1 \(root.id) 17 8 1 "))
    #expect(try read(text).open(passphrase: Self.words).text == root.text)
  }

  @Test func everySlipIsFound() throws {
    let bytes = Array(try copy().text.utf8.dropLast())
    for index in bytes.indices {
      var slip = bytes
      slip[index] = slip[index] == UInt8(ascii: "1") ? UInt8(ascii: "2") : UInt8(ascii: "1")
      #expect(throws: RootEscrow.Failure.self) { try RootEscrow(text: SecretBytes(copying: slip)) }
      #expect(throws: RootEscrow.Failure.self) { try RootEscrow(text: SecretBytes(copying: Array(bytes[..<index]))) }
    }
  }

  /// With a check that was made anew.
  @Test func whatWasChangedOnPurposeDoesNotOpen() throws {
    let (_, text) = try copy()
    let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
    for (place, other) in [(1, String(words[1].reversed())), (2, "5"), (3, "2"), (4, "2"), (5, words[5].swapped), (6, words[6].swapped)] {
      var changed = Array(words[..<7])
      changed[place] = other
      let body = changed.joined(separator: " ")
      let check = SHA256.digest(Array(body.utf8)).prefix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      let escrow = try read(body + " " + check)
      #expect(throws: RootEscrow.Failure.doesNotOpen) { try escrow.open(passphrase: Self.words) }
    }
  }

  @Test(arguments: ["", "x", "coffer-root-key-v1 a b c", "coffer-root-escrow-v1", "coffer-root-escrow-v1 a 17 8 1 a a a"])
  func whatIsNoCopyIsRefused(text: String) { #expect(throws: RootEscrow.Failure.notAnEscrow) { try read(text) } }

  @Test func aNewerFormatIsNamed() {
    #expect(throws: RootEscrow.Failure.newerFormat) { try read("coffer-root-escrow-v2 and so on") }
  }
}

extension String {
  /// With its first two characters in each other's place, or another first one when they are the same.
  fileprivate var swapped: String {
    let characters = Array(self)
    guard characters[0] != characters[1] else { return (characters[0] == "A" ? "B" : "A") + dropFirst() }
    return String([characters[1], characters[0]] + characters[2...])
  }
}

@Suite struct KeyCommandTests {
  @Test func whatItPrintsIsTheKey() throws {
    let output = try KeyCommand("/bin/echo  one\t two").output(within: 5_000)
    #expect(output == SecretBytes(copying: Array("one two\n".utf8)))
  }

  @Test(arguments: ["", "echo x", "./key", " ", "~/key"]) func aPathMustBeWhole(text: String) {
    #expect(throws: KeyCommand.Failure.notAbsolute) { try KeyCommand(text) }
  }

  /// Also one that has closed its output, and one whose child holds it open.
  @Test(arguments: ["/bin/sleep 60", "/usr/bin/yes", "/bin/cat /dev/zero"]) func itEndsInTime(text: String) throws {
    #expect(throws: KeyCommand.Failure.self) { try KeyCommand(text).output(within: 200) }
  }

  @Test func slownessIsNamed() throws {
    #expect(throws: KeyCommand.Failure.tooSlow(seconds: 1)) { try KeyCommand("/bin/sleep 60").output(within: 1_000) }
  }

  @Test func aFailureIsNamed() throws {
    #expect(throws: KeyCommand.Failure.failed(code: 1)) { try KeyCommand("/bin/false").output(within: 5_000) }
    #expect(throws: KeyCommand.Failure.notStarted(errno: 2)) { try KeyCommand("/no/such/program").output(within: 5_000) }
  }

  @Test func oneSourceAtATime() throws {
    #expect(throws: RootKeySource.Failure.both) { try RootKeySource(file: "/a", isNamed: true, command: "/b") }
    for (isNamed, command) in [(true, nil), (false, nil), (false, "/b")] as [(Bool, String?)] {
      let source = try RootKeySource(file: "/a", isNamed: isNamed, command: command)
      if case .command(let text) = source { #expect(text == command) } else { #expect(command == nil) }
    }
  }
}

@Suite struct KeyFileTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/root.key" }

  @Test func isMadeOnceAndReadBack() throws {
    let text = try root().text
    try KeyFile.create(path, text)
    #expect(try KeyFile.read(path) == text)
    #expect(throws: KeyFile.Failure.exists(path: path)) { try KeyFile.create(path, text) }
  }

  @Test func refusals() throws {
    #expect(throws: KeyFile.Failure.missing(path: path)) { try KeyFile.read(path) }
    try KeyFile.create(path, SecretBytes(copying: [1]))
    for mode in [UInt32(0o440), 0o404, 0o660, 0o640] {
      setMode(path, mode)
      #expect(throws: KeyFile.Failure.readableByOthers(path: path)) { try KeyFile.read(path) }
    }
    setMode(path, 0o600)
    #expect(throws: Never.self) { try KeyFile.read(path) }
    link(path, directory.path + "/link")
    #expect(throws: KeyFile.Failure.notARegularFile(path: directory.path + "/link")) { try KeyFile.read(directory.path + "/link") }
    #expect(throws: KeyFile.Failure.notARegularFile(path: directory.path)) { try KeyFile.read(directory.path) }
    try KeyFile.create(path + "2", SecretBytes(copying: [UInt8](repeating: 1, count: 4097)))
    #expect(throws: KeyFile.Failure.tooLong(path: path + "2")) { try KeyFile.read(path + "2") }
  }
}

@Suite struct TenantKeysTests {
  private static let place = Place(table: "secrets", tenant: "t1", id: "NAME", field: "value", incarnation: 3, version: 4)

  private static func keys(_ version: UInt32 = 1) throws -> TenantKeys {
    try TenantKeys(TenantKEK.generate(tenant: "t1", version: version))
  }

  private static func seal(_ keys: TenantKeys) throws -> [UInt8] {
    try SecretBytes(copying: Array("value".utf8)).withBytes { try keys.seal($0, at: place) }
  }

  @Test func aValueOpensInItsOwnPlaceOnly() throws {
    let keys = try Self.keys()
    let sealed = try Self.seal(keys)
    #expect(bytes(try keys.open(sealed, at: Self.place)) == Array("value".utf8))
    var others = [Place](repeating: Self.place, count: 6)
    others[0].table = "documents"
    others[1].tenant = "t2"
    others[2].id = "NAMF"
    others[3].field = "valu"
    others[4].incarnation = 5
    others[5].version = 5
    for other in others { #expect(throws: CipherError.authenticationFailed) { try keys.open(sealed, at: other) } }
    #expect(throws: CipherError.authenticationFailed) { try Self.keys().open(sealed, at: Self.place) }
  }

  /// A character moved from one part to the next is another place.
  @Test func partsLendEachOtherNoBytes() throws {
    let keys = try Self.keys()
    let file = try Vectors.own("envelope/aad_pairs.json")
    for pair in file["pairs"].list {
      let (a, b) = (pair["a"].list.map(\.text), pair["b"].list.map(\.text))
      func place(_ parts: [String]) -> Place {
        Place(table: "t", tenant: parts[0] + "/" + parts[1], id: parts[2] + "\u{0}" + parts[3], field: "f", incarnation: 1, version: 1)
      }
      func mac(_ parts: [String]) throws -> [UInt8] {
        var message = MACMessage("t")
        for part in parts { message = message.text(part) }
        return try keys.mac(message)
      }
      #expect(try mac(a) != mac(b))
      if place(a).tenant != place(b).tenant || place(a).id != place(b).id {
        let sealed = try SecretBytes(copying: [1]).withBytes { try keys.seal($0, at: place(a)) }
        #expect(throws: CipherError.authenticationFailed) { try keys.open(sealed, at: place(b)) }
      }
    }
    #expect(file["pairs"].list.count == 16)
  }

  @Test func aWrappedKEKOpensWithItsOwnCoordinatesOnly() throws {
    let root = try root()
    let kek = try TenantKEK.generate(tenant: "t1", version: 7)
    let wrapped = try kek.wrapped(by: root)
    #expect(wrapped.count == 60)
    let keys = try TenantKeys(unwrapping: wrapped, tenant: "t1", kekID: kek.id, version: 7, root: root)
    #expect(bytes(try keys.open(Self.seal(TenantKeys(kek)), at: Self.place)) == Array("value".utf8))
    #expect(throws: CipherError.self) { try TenantKeys(unwrapping: wrapped, tenant: "t2", kekID: kek.id, version: 7, root: root) }
    #expect(throws: CipherError.self) { try TenantKeys(unwrapping: wrapped, tenant: "t1", kekID: kek.id, version: 8, root: root) }
    #expect(throws: CipherError.self) {
      try TenantKeys(unwrapping: wrapped, tenant: "t1", kekID: [UInt8](repeating: 0, count: 16), version: 7, root: root)
    }
    let other = try RootKey(id: "0123456789abcdeF", key: SecretBytes(copying: [UInt8](repeating: 1, count: 32)))
    #expect(throws: CipherError.self) { try TenantKeys(unwrapping: wrapped, tenant: "t1", kekID: kek.id, version: 7, root: other) }
  }

  @Test func macsTellPresenceFromEmptiness() throws {
    let keys = try Self.keys()
    let forms: [(consuming MACMessage) -> MACMessage] = [
      { $0.optionalText(nil) }, { $0.optionalText("") }, { $0.text("") }, { $0.optionalInteger(nil) }, { $0.optionalInteger(0) },
      { $0.integer(0) }, { $0.text("a").text("b") }, { $0.text("ab").text("") }, { $0.text("").text("ab") }, { $0.unsigned(1) }, { $0 },
      { $0.text("mark", if: true) },
    ]
    #expect(try Set(forms.map { try keys.mac($0(MACMessage("t"))) }).count == forms.count)
    #expect(try keys.mac(MACMessage("t").text("mark", if: false)) == keys.mac(MACMessage("t")))
  }
}

@Suite struct APIKeyTokenTests {
  @Test func generatedKeysParse() throws {
    for _ in 0..<200 {
      let made = try APIKeyToken.generate(prefix: "csk")
      let parsed = try #require(APIKeyToken(parsing: bytes(made.text)))
      #expect(parsed.prefix == "csk" && parsed.id == made.id && parsed.digest == made.digest)
      #expect(bytes(made.text).count == 70)
    }
  }

  @Test func everyChangedCharacterIsRefused() throws {
    let text = bytes(try APIKeyToken.generate(prefix: "csk").text)
    for index in text.indices {
      var changed = text
      changed[index] = changed[index] == UInt8(ascii: "x") ? UInt8(ascii: "y") : UInt8(ascii: "x")
      #expect(APIKeyToken(parsing: changed) == nil)
      #expect(APIKeyToken(parsing: Array(text[..<index])) == nil)
    }
    #expect(APIKeyToken(parsing: text + [UInt8(ascii: "0")]) == nil)
  }

  @Test(arguments: ["", "_", "csk", "csk__", "csk_a_b", "gAAAAA", "a b c"]) func refuses(_ text: String) {
    #expect(APIKeyToken(parsing: Array(text.utf8)) == nil)
  }
}

@Suite struct WireRingTests {
  @Test func retiredKeysReadAndTheFirstWrites() throws {
    let file = try Vectors.own("fernet/rotation.json")
    func key(_ text: String) -> SecretBytes { SecretBytes(copying: Array(text.utf8)) }
    let (old, new) = (WireRing(primary: key("old")), WireRing(primary: key("new"), retired: [key("old")]))
    let token = try old.seal(Array("text".utf8), unixSeconds: 1)
    #expect(new.open(token).map(bytes) == Array("text".utf8))
    #expect(old.open(try new.seal(Array("text".utf8), unixSeconds: 1)) == nil)
    #expect(new.open(Array(file["token_old"].text.utf8)) == nil)
  }
}

@Suite struct AuditLinkTests {
  @Test func everyFieldAndThePredecessorCount() {
    let fields = AuditLink.Fields(sequence: 1, texts: (0..<14).map { "t\($0)" })
    let hash = AuditLink.hash(fields, after: nil)
    #expect(AuditLink.hash(fields, after: [UInt8](repeating: 0, count: 32)) == hash)
    #expect(AuditLink.hash(fields, after: [UInt8](repeating: 1, count: 32)) != hash)
    var other = fields
    other.sequence = 2
    #expect(AuditLink.hash(other, after: nil) != hash)
    for index in fields.texts.indices {
      var other = fields
      other.texts[index] += "x"
      #expect(AuditLink.hash(other, after: nil) != hash)
    }
  }
}
