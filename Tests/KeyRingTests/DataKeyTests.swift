import Ciphers
import Glibc
import KeyRing
import SecretMemory
import StrictJSON
import TestSupport
import Testing

private func secret(_ range: ClosedRange<UInt8>) -> SecretBytes { SecretBytes(copying: Array(range)) }
private func bytes(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }

/// The worked example of the format, which two other programs agree on.
private enum Example {
  static let binding = DataKeyBinding(tenant: "ten_01", scope: "agent", scopeID: "agt_01", secretID: "acme-api", fieldKey: "token")
  static let kekID = Hex.decode("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
  static let wrapped =
    "REtXMQEAoKGio6SlpqeoqaqrrK2urwAAAAMQERITFBUWFxgZGhscHR4fAAABm3baqADAwcLDxMXGx8jJystACWUkMz3QGdCQt+l+4aYZHCKxbGi3Se1ymhFRayAh6Y6mKcbXRuRjq+3bh7gevIo="

  static func keys(tenant: String = "ten_01", version: UInt32 = 3) throws -> TenantKeys {
    try TenantKeys(TenantKEK(tenant: tenant, id: kekID, version: version, key: secret(0x00...0x1f)))
  }

  static func key() throws -> WrappedDataKey {
    try #require(WrappedDataKey(bytes: Base64.standard.decode(Array(wrapped.utf8)) ?? []))
  }
}

@Suite struct DataKeyTests {
  @Test func isWrappedAsTheExampleHasIt() throws {
    let wrapped = try Example.keys().wrap(
      secret(0x40...0x5f), id: Array(0x10...0x1f), issuedAt: 1_767_225_600_000, nonce: Hex.decode("c0c1c2c3c4c5c6c7c8c9cacb"),
      to: Example.binding)
    #expect(String(decoding: Base64.standard.encode(wrapped.bytes), as: UTF8.self) == Example.wrapped)
  }

  @Test func tellsItsHeader() throws {
    let wrapped = try Example.key()
    #expect(wrapped.kekID == Example.kekID)
    #expect(wrapped.kekVersion == 3)
    #expect(wrapped.id == Array(0x10...0x1f))
    #expect(wrapped.issuedAt == 1_767_225_600_000)
    #expect(bytes(try Example.keys().unwrap(wrapped, boundTo: Example.binding)) == Array(0x40...0x5f))
  }

  @Test(
    arguments: [
      (1_000, false), (999, true), (0, true), (UInt64.max, false), (UInt64(Int64.max) + 1, false), (UInt64(Int64.max), false),
    ] as [(UInt64, Bool)])
  func expires(_ issuedAt: UInt64, _ isOver: Bool) throws {
    let key = try Example.keys().mintDataKey(for: Example.binding, issuedAt: issuedAt).wrapped
    #expect(key.isExpired(after: 60, at: 60_999) == isOver)
  }

  @Test func opensForItsOwnBindingOnly() throws {
    let fresh = try Example.keys().mintDataKey(for: Example.binding, issuedAt: 1).wrapped
    var others = [DataKeyBinding](repeating: Example.binding, count: 6)
    others[0].tenant = "ten_02"
    others[1].scope = "project"
    others[2].scopeID = "agt_02"
    others[3].secretID = "acme-apj"
    others[4].fieldKey = "tokem"
    others[5].secretID = "acme-apit"
    others[5].fieldKey = "oken"
    for wrapped in [try Example.key(), fresh] {
      #expect(try Example.keys().unwrap(wrapped, boundTo: Example.binding).count == 32)
      for other in others {
        #expect(throws: CipherError.authenticationFailed) { try Example.keys().unwrap(wrapped, boundTo: other) }
      }
      #expect(throws: CipherError.authenticationFailed) { try Example.keys(tenant: "ten_02").unwrap(wrapped, boundTo: Example.binding) }
      #expect(throws: CipherError.authenticationFailed) { try Example.keys(version: 4).unwrap(wrapped, boundTo: Example.binding) }
    }
  }

  /// 880 changed bits: in magic, algorithm and flags it is no key at all, anywhere else it does not open.
  @Test func everyChangedBitIsRefused() throws {
    let keys = try Example.keys()
    let original = try Example.key().bytes
    var refusedByForm = 0
    for bit in 0..<(original.count * 8) {
      var changed = original
      changed[bit / 8] ^= 1 << (bit % 8)
      guard let wrapped = WrappedDataKey(bytes: changed) else {
        refusedByForm += 1
        continue
      }
      #expect(throws: CipherError.authenticationFailed) { try keys.unwrap(wrapped, boundTo: Example.binding) }
    }
    #expect(refusedByForm == 6 * 8)
    #expect(WrappedDataKey(bytes: original + [0]) == nil)
    #expect(WrappedDataKey(bytes: Array(original.dropLast())) == nil)
    #expect(WrappedDataKey(bytes: []) == nil)
  }

  /// What a careless encoding would confuse, for every pair of parts.
  @Test func confusablePlacesAreDifferent() throws {
    let keys = try Example.keys()
    let pairs = try Vectors.own("envelope/aad_pairs.json")["pairs"].list
    for pair in pairs {
      let (a, b) = (pair["a"].list.map(\.text), pair["b"].list.map(\.text))
      func binding(_ parts: [String]) -> DataKeyBinding {
        DataKeyBinding(tenant: "ten_01", scope: parts[0], scopeID: parts[1], secretID: parts[2], fieldKey: parts[3])
      }
      let minted = try keys.mintDataKey(for: binding(a), issuedAt: 1)
      #expect(try keys.unwrap(minted.wrapped, boundTo: binding(a)) == minted.key)
      #expect(throws: CipherError.authenticationFailed) { try keys.unwrap(minted.wrapped, boundTo: binding(b)) }
    }
    #expect(pairs.count == 16)
  }

  @Test func eachMintIsAnother() throws {
    let keys = try Example.keys()
    let minted = try (0..<64).map { _ in try keys.mintDataKey(for: Example.binding, issuedAt: 7) }
    #expect(Set(minted.map(\.wrapped.id)).count == 64)
    #expect(Set(minted.map { bytes($0.key) }).count == 64)
    #expect(Set(minted.map { Array($0.wrapped.bytes[50..<62]) }).count == 64)
    #expect(minted.allSatisfy { $0.wrapped.issuedAt == 7 && $0.key.count == 32 && $0.wrapped.bytes.count == 110 })
  }

  @Test func aTenantKeyIsWrappedAsTheExampleHasIt() throws {
    let root = try RootKey(id: "root-1", key: secret(0x80...0x9f))
    let kek = TenantKEK(tenant: "ten_01", id: Example.kekID, version: 3, key: secret(0x00...0x1f))
    let expected =
      "e0e1e2e3e4e5e6e7e8e9eaeb2f0713e42ef6ccc0fa6d4d569a1e0fa9a52667c8e65253bf4c3a575191d752da2f04dbbe7340f4c9a2a77a5210611e9c"
    #expect(try kek.wrapped(by: root, nonce: Hex.decode("e0e1e2e3e4e5e6e7e8e9eaeb")) == Hex.decode(expected))
  }
}

@Suite struct EnvelopeTests {
  private static let cases: JSONValue? = try? Vectors.own("envelope/envelope_v1.json")

  @Test func sealedValuesOpen() throws {
    let cases = try #require(Self.cases)["seal_open"].list
    for item in cases {
      let envelope = try EnvelopeV1(item["envelope"])
      let key = SecretBytes(copying: try #require(Base64.standard.decode(item["plaintextKey"].string?.utf8 ?? [])))
      #expect(bytes(try envelope.open(with: key)) == item["value"].string?.utf8)
      #expect(envelope.json == item["envelope"])
    }
    #expect(cases.count == 10)
  }

  @Test func changedOnesDoNotOpen() throws {
    let cases = try #require(Self.cases)["must_not_open"].list
    for item in cases {
      let key = SecretBytes(copying: try #require(Base64.standard.decode(item["plaintextKey"].string?.utf8 ?? [])))
      #expect(throws: CipherError.authenticationFailed, "\(item["name"].text)") { try EnvelopeV1(item["envelope"]).open(with: key) }
    }
    #expect(cases.count == 5)
  }

  /// Where the vectors leave the choice, the stricter form holds: version 1.0 and unknown members are refused.
  @Test func malformedOnesAreRefused() throws {
    let cases = try #require(Self.cases)["malformed_on_store"].list
    var accepted = 0
    for item in cases {
      var json = item["envelope"]
      if json["_rule"].string != nil {
        var base = try #require(json["base"].object)
        base["ciphertext"] = .string(JSONString(utf8: Base64.standard.encode([UInt8](repeating: 0, count: 2_097_153))))
        json = .object(base)
      }
      if item["expect"].text == "accept" {
        #expect(throws: Never.self, "\(item["name"].text)") { try EnvelopeV1(json) }
        accepted += 1
      } else {
        #expect(throws: EnvelopeV1.Malformed.self, "\(item["name"].text)") { try EnvelopeV1(json) }
      }
    }
    #expect(cases.count == 79)
    #expect(accepted == 3)
  }

  @Test func saysWhatIsWrong() throws {
    let cases = try #require(Self.cases)["malformed_on_store"].list
    let good = try #require(cases.first)["envelope"]
    func with(_ member: JSONString, _ value: JSONValue?) throws -> JSONValue {
      var object = try #require(good.object)
      object[member] = value
      return .object(object)
    }
    let table: [(JSONValue, EnvelopeV1.Malformed)] = [
      (.null, .notAnObject), (try with("iv", nil), .missing(member: "iv")), (try with("iv", 5), .wrongType(member: "iv")),
      (try with("iv", "AA="), .notBase64(member: "iv")), (try with("authTag", "AA=="), .wrongLength(member: "authTag")),
      (try with("version", true), .wrongType(member: "version")), (try with("value", "x"), .unknownMember),
      (try with("dataKeyCiphertext", ""), .wrongLength(member: "dataKeyCiphertext")),
    ]
    for (json, reason) in table { #expect(throws: reason) { try EnvelopeV1(json) } }
    let longest = try with("ciphertext", .string(JSONString(utf8: Base64.standard.encode([UInt8](repeating: 0, count: 65_536)))))
    #expect(throws: Never.self) { try EnvelopeV1(longest) }
    let longer = try with("ciphertext", .string(JSONString(utf8: Base64.standard.encode([UInt8](repeating: 0, count: 65_537)))))
    #expect(throws: EnvelopeV1.Malformed.wrongLength(member: "ciphertext")) { try EnvelopeV1(longer) }
  }

  @Test func theDigestLeavesTheWrappedKeyOut() throws {
    var envelope = EnvelopeV1(
      iv: Hex.decode("d0d1d2d3d4d5d6d7d8d9dadb"), ciphertext: try #require(Base64.standard.decode(Array("rKf7o5MkkX6HKkb6xQ==".utf8))),
      authTag: try #require(Base64.standard.decode(Array("Ikq0/jOfXV2+TjCpZupUfw==".utf8))), dataKeyCiphertext: [1])
    #expect(envelope.digest == Hex.decode("7f007ac9b5501718f8dc9ea5641baaa8ddf7b01e3637d26805ee93cb3ea56da1"))
    #expect(bytes(try envelope.open(with: secret(0x40...0x5f))) == Array("sk-test-value".utf8))
    envelope.dataKeyCiphertext = [2]
    #expect(envelope.digest == Hex.decode("7f007ac9b5501718f8dc9ea5641baaa8ddf7b01e3637d26805ee93cb3ea56da1"))
  }

  @Test func survivesTheRoundTrip() throws {
    let keys = try Example.keys()
    for text in ["", "a", "sk-live", String(repeating: "é", count: 1000)] {
      let minted = try keys.mintDataKey(for: Example.binding, issuedAt: 1)
      let sealed = try EnvelopeV1.seal(SecretBytes(copying: Array(text.utf8)), under: minted.key, wrapped: minted.wrapped)
      let read = try EnvelopeV1(sealed.json)
      let wrapped = try #require(WrappedDataKey(bytes: read.dataKeyCiphertext))
      #expect(bytes(try read.open(with: keys.unwrap(wrapped, boundTo: Example.binding))) == Array(text.utf8))
    }
  }

  /// T03: COFFER_WRAPS sets how many keys are minted.
  @Test func noNonceAndNoIDComesTwice() throws {
    let count = unsafe getenv("COFFER_WRAPS").flatMap { unsafe Int(String(cString: $0)) } ?? 20_000
    let keys = try Example.keys()
    var nonces: [UInt64] = []
    var ids: [UInt64] = []
    nonces.reserveCapacity(count)
    ids.reserveCapacity(count)
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    for _ in 0..<count {
      let wrapped = try keys.mintDataKey(for: Example.binding, issuedAt: 1).wrapped.bytes
      // 8 bytes of each: two of ten million would meet by chance once in 370,000 runs.
      nonces.append(number(wrapped[50..<58]))
      ids.append(number(wrapped[26..<34]))
    }
    for var numbers in [nonces, ids] {
      numbers.sort()
      #expect(!zip(numbers, numbers.dropFirst()).contains { $0 == $1 })
    }
    print("T03 reached: \(count) wraps, no nonce and no id twice")
  }
}
