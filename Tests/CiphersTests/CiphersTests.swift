import Ciphers
import SecretMemory
import StrictJSON
import TestSupport
import Testing
import Threads

private func seal(_ text: [UInt8], key: SecretBytes, nonce: [UInt8], aad: [UInt8]) throws -> [UInt8] {
  try SecretBytes(copying: text).withBytes { try AES256GCM.seal($0, key: key, nonce: nonce, authenticating: aad) }
}

private func bytes(_ secret: SecretBytes) -> [UInt8] { secret.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }

@Suite struct AES256GCMTests {
  @Test func everyVector() throws {
    guard let file = try Vectors.shared("aes_gcm/wycheproof_aes_256_gcm.json", cases: 105) else { return }
    var run = 0
    for group in file["testGroups"].list {
      for item in group["tests"].list {
        run += 1
        let key = SecretBytes(copying: item["key"].hex)
        let (nonce, aad, text) = (item["iv"].hex, item["aad"].hex, item["msg"].hex)
        let sealed = item["ct"].hex + item["tag"].hex
        let opened = try? AES256GCM.open(
          ciphertext: item["ct"].hex[...], nonce: nonce[...], tag: item["tag"].hex[...], key: key, authenticating: aad)
        if group["ivSize"].integer == 96, item["result"].text == "valid" {
          #expect(opened.map(bytes) == text, "case \(item["tcId"].integer)")
          #expect(try seal(text, key: key, nonce: nonce, aad: aad) == nonce + sealed, "case \(item["tcId"].integer)")
        } else {
          #expect(opened == nil, "case \(item["tcId"].integer)")
        }
      }
    }
    #expect(run == 105)
  }

  @Test(arguments: [0, 1, 15, 16, 17, 31, 32, 33, 4096, 65_536]) func opensWhatItSealed(_ count: Int) throws {
    let key = try SecretBytes.random(count: 32)
    let text = try RandomBytes.bytes(count: count)
    let sealed = try SecretBytes(copying: text).withBytes { try AES256GCM.seal($0, key: key, authenticating: [1, 2]) }
    #expect(sealed.count == count + 28)
    #expect(bytes(try AES256GCM.open(sealed, key: key, authenticating: [1, 2])) == text)
  }

  /// More than are drawn at once, on threads that draw each for itself.
  @Test func noNonceComesTwice() throws {
    let key = try SecretBytes.random(count: 32)
    let seen = Locked<Set<[UInt8]>>([])
    let done = (0..<4).map { _ in OneTimeEvent() }
    for event in done {
      PlainThread.start(named: "seals") {
        for _ in 0..<500 {
          let sealed = try? SecretBytes().withBytes { try AES256GCM.seal($0, key: key, authenticating: []) }
          if let sealed { seen.withLock { _ = $0.insert(Array(sealed[..<12])) } }
        }
        event.signal()
      }
    }
    for event in done { event.wait() }
    #expect(seen.withLock { $0.count } == 2000)
  }

  @Test func refusesEveryNeighbour() throws {
    let key = try SecretBytes.random(count: 32)
    let sealed = try SecretBytes(copying: Array("neighbours".utf8)).withBytes { try AES256GCM.seal($0, key: key, authenticating: [7]) }
    func opens(_ sealed: [UInt8], _ key: SecretBytes, _ aad: [UInt8]) -> Bool {
      (try? AES256GCM.open(sealed, key: key, authenticating: aad)) != nil
    }
    #expect(opens(sealed, key, [7]))
    for index in sealed.indices {
      for bit in 0..<8 {
        var changed = sealed
        changed[index] ^= 1 << bit
        #expect(!opens(changed, key, [7]))
      }
    }
    for count in 0..<sealed.count { #expect(!opens(Array(sealed[..<count]), key, [7])) }
    #expect(!opens(sealed + [0], key, [7]))
    #expect(!opens(sealed, key, []))
    #expect(!opens(sealed, key, [7, 0]))
    #expect(!opens(sealed, try SecretBytes.random(count: 32), [7]))
    #expect(!opens(sealed, SecretBytes(copying: bytes(key).dropLast()), [7]))
  }

  @Test func noncesDiffer() throws {
    let key = try SecretBytes.random(count: 32)
    var seen: Set<[UInt8]> = []
    for _ in 0..<5_000 {
      let sealed = try SecretBytes(copying: []).withBytes { try AES256GCM.seal($0, key: key, authenticating: []) }
      #expect(seen.insert(Array(sealed.prefix(12))).inserted)
    }
  }
}

extension SecretBytes {
  fileprivate init(copying bytes: ArraySlice<UInt8>) { self.init(copying: Array(bytes)) }
}

@Suite struct DigestTests {
  @Test func rfc4231AndItsNeighbours() throws {
    // RFC 4231, test case 2.
    let key = SecretBytes(copying: Array("Jefe".utf8))
    let code = try HMACSHA256.code(for: Array("what do ya want for nothing?".utf8), key: key)
    #expect(code == Hex.decode("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"))
    guard let file = try Vectors.shared("hmac_hkdf/rfc4231_hmac_sha256.json", cases: 6) else { return }
    for item in file.list {
      let tag = item["tag"].hex
      #expect(try HMACSHA256.code(for: item["msg"].hex, key: SecretBytes(copying: item["key"].hex)).prefix(tag.count) == tag[...])
    }
    #expect(file.list.count == 6)
  }

  @Test func everyHMACVector() throws {
    guard let file = try Vectors.shared("hmac_hkdf/wycheproof_hmac_sha256.json", cases: 174) else { return }
    var run = 0
    for group in file["testGroups"].list {
      for item in group["tests"].list {
        run += 1
        let tag = item["tag"].hex
        let code = try HMACSHA256.code(for: item["msg"].hex, key: SecretBytes(copying: item["key"].hex))
        #expect((Array(code.prefix(tag.count)) == tag) == (item["result"].text == "valid"), "case \(item["tcId"].integer)")
      }
    }
    #expect(run == 174)
  }

  @Test func everyHKDFVector() throws {
    // RFC 5869, test case 1.
    let okm = try HKDFSHA256.derive(
      from: SecretBytes(copying: [UInt8](repeating: 0x0B, count: 22)), salt: Array(0...12), info: Array(0xF0...0xF9), count: 42)
    #expect(bytes(okm) == Hex.decode("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"))
    guard let file = try Vectors.shared("hmac_hkdf/wycheproof_hkdf_sha256.json", cases: 86) else { return }
    var run = 0
    for group in file["testGroups"].list {
      for item in group["tests"].list {
        run += 1
        let derived = try? HKDFSHA256.derive(
          from: SecretBytes(copying: item["ikm"].hex), salt: item["salt"].hex, info: item["info"].hex, count: item["size"].integer)
        if item["result"].text == "valid" {
          #expect(derived.map(bytes) == item["okm"].hex, "case \(item["tcId"].integer)")
        } else {
          #expect(derived == nil, "case \(item["tcId"].integer)")
        }
      }
    }
    #expect(run == 86)
  }

  @Test func sha256OfTheStandard() {
    // FIPS 180-4, the message "abc" and the empty one.
    #expect(SHA256.digest(Array("abc".utf8)) == Hex.decode("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
    #expect(SHA256.digest([UInt8]()) == Hex.decode("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
  }
}

@Suite struct ScryptTests {
  /// RFC 7914, section 12.
  @Test(arguments: [
    (
      "password", "NaCl", 10, 8, 16,
      "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    ),
    (
      "", "", 4, 1, 1,
      "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
    ),
  ])
  func publishedVectors(passphrase: String, salt: String, logarithm: Int, blockSize: Int, parallelism: Int, expected: String) throws {
    let cost = try #require(
      Scrypt.Cost(logarithm: UInt32(logarithm), blockSize: UInt32(blockSize), parallelism: UInt32(parallelism)))
    let key = try Scrypt.derive(from: SecretBytes(copying: Array(passphrase.utf8)), salt: Array(salt.utf8), cost: cost, count: 64)
    let bytes = key.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    #expect(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == expected)
  }

  @Test(arguments: [(0, 8, 1), (21, 8, 1), (17, 9, 1), (17, 0, 1), (17, 8, 17), (17, 8, 0)])
  func costsOutOfBoundsAreNone(logarithm: Int, blockSize: Int, parallelism: Int) {
    #expect(Scrypt.Cost(logarithm: UInt32(logarithm), blockSize: UInt32(blockSize), parallelism: UInt32(parallelism)) == nil)
  }
}

@Suite struct Base64Tests {
  @Test(arguments: [
    ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
  ])
  func rfc4648(_ text: String, _ encoded: String) {
    #expect(Base64.standard.encode(Array(text.utf8)) == Array(encoded.utf8))
    #expect(Base64.standard.decode(Array(encoded.utf8)) == Array(text.utf8))
  }

  @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Zm9vé"])
  func refuses(_ text: String) { #expect(Base64.standard.decode(Array(text.utf8)) == nil) }

  @Test func alphabetsAreNotMixed() {
    #expect(Base64.url.decode(Array("-_-_".utf8)) == [0xFB, 0xFF, 0xBF])
    #expect(Base64.standard.decode(Array("-_-_".utf8)) == nil)
    #expect(Base64.url.decode(Array("+/+/".utf8)) == nil)
  }

  @Test func everyShortSequenceSurvives() {
    for first in UInt8.min...UInt8.max {
      for count in 1...5 {
        let value = (0..<count).map { first &+ UInt8($0 * 51) }
        #expect(Base64.url.decode(Base64.url.encode(value)) == value)
      }
    }
  }
}

@Suite struct FernetTests {
  private static func key(_ hex: String) throws -> FernetKey { try FernetKey(SecretBytes(copying: Hex.decode(hex))) }

  @Test func threeExamplesOfTheSpecification() throws {
    // fernet/spec: generate, verify and the first of invalid.
    let secret = try #require(Base64.url.decode(Array("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=".utf8)))
    let key = try FernetKey(SecretBytes(copying: secret))
    let token = Array("gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==".utf8)
    let made = try SecretBytes(copying: Array("hello".utf8)).withBytes {
      try Fernet.seal($0, key: key, unixSeconds: 499_162_800, iv: Array(0...15))
    }
    #expect(made == token)
    #expect(bytes(try Fernet.open(token, key: key)) == Array("hello".utf8))
    let invalid = Array("gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==".utf8)
    #expect(throws: CipherError.authenticationFailed) { try Fernet.open(invalid, key: key) }
  }

  @Test func invalidTokensOfTheSpecification() throws {
    guard let file = try Vectors.shared("fernet/spec_invalid.json", cases: 8) else { return }
    for item in file.list {
      let secret = try #require(Base64.url.decode(Array(item["secret"].text.utf8)))
      let opened = try? Fernet.open(Array(item["token"].text.utf8), key: FernetKey(SecretBytes(copying: secret)))
      // Age is not judged: the two cases about time open.
      let isAboutTime = item["desc"].text.contains("TTL") || item["desc"].text.contains("future")
      #expect((opened != nil) == isAboutTime, "\(item["desc"].text)")
    }
    #expect(file.list.count == 8)
  }

  @Test func keysFromTexts() throws {
    let file = try Vectors.own("fernet/passphrase_and_lengths.json")
    for item in file["derivation"].list {
      let key = FernetKey(secretText: SecretBytes(copying: Array(item["passphrase"].text.utf8)))
      let token = try SecretBytes(copying: item["plaintext_utf8"].string?.utf8 ?? []).withBytes {
        try Fernet.seal($0, key: key, unixSeconds: UInt64(item["time"].integer), iv: item["iv_hex"].hex)
      }
      #expect(String(decoding: token, as: UTF8.self) == item["token"].text)
      #expect(try bytes(Fernet.open(token, key: Self.key(item["key_hex"].text))) == item["plaintext_utf8"].string?.utf8)
    }
    #expect(file["derivation"].list.count == 15)
  }

  @Test func everyLength() throws {
    let file = try Vectors.own("fernet/passphrase_and_lengths.json")
    let key = try Self.key(file["lengths_key_hex"].text)
    for item in file["lengths"].list {
      let count = item["len"].integer
      let text = (0..<count).map { UInt8((7 * $0 + count) % 256) }
      let token = try SecretBytes(copying: text).withBytes {
        try Fernet.seal($0, key: key, unixSeconds: UInt64(file["lengths_time"].integer), iv: item["iv_hex"].hex)
      }
      #expect(token.count == item["token_len"].integer)
      #expect(SHA256.digest(token) == item["token_sha256"].hex)
      #expect(try bytes(Fernet.open(token, key: key)) == text)
    }
    #expect(file["lengths"].list.count == 63)
  }

  @Test func hostileTokens() throws {
    let file = try Vectors.own("fernet/hostile_tokens.json")
    let key = try Self.key(file["key_hex"].text)
    for item in file["cases"].list {
      let opened = try? Fernet.open(item["token"].string?.utf8 ?? [], key: key)
      switch item["expect"].text {
      case "accept": #expect(opened != nil, "\(item["name"].text)")
      // Where the file leaves the choice: only padded, canonical base64 is read.
      default: #expect(opened == nil || item["expect"].text == "either", "\(item["name"].text)")
      }
    }
    #expect(file["cases"].list.count == 45)
  }

  @Test func everyFlippedBitAndEveryPrefix() throws {
    let file = try Vectors.own("fernet/hostile_tokens.json")
    let key = try Self.key(file["key_hex"].text)
    let good = try #require(file["cases"].list.first { $0["name"].text == "good" }?["token"].string)
    let token = try #require(Base64.url.decode(good.utf8))
    for index in token.indices {
      for bit in 0..<8 {
        var changed = token
        changed[index] ^= 1 << bit
        #expect(throws: CipherError.self) { try Fernet.open(Base64.url.encode(changed), key: key) }
      }
    }
    for count in token.indices {
      #expect(throws: CipherError.self) { try Fernet.open(Base64.url.encode(Array(token[..<count])), key: key) }
    }
  }
}

@Suite struct IdentifierTests {
  @Test(arguments: [
    ([UInt8](0xA0...0xAF), "50m6ha7955mtkthadanepavbnf"), ([UInt8](repeating: 0xFF, count: 16), "7zzzzzzzzzzzzzzzzzzzzzzzzz"),
    ([UInt8](repeating: 0, count: 16), "00000000000000000000000000"),
  ])
  func base32(_ bytes: [UInt8], _ text: String) { #expect(RandomText.base32(bytes) == text) }

  /// The first ten characters are the time, so that ids made later come later.
  @Test func identifiersAreInOrderOfTheirTime() throws {
    let made = try (0..<200).map { try RandomText.ulid(at: 1_767_225_600_000 + Int64($0)) }
    #expect(made == made.sorted() && Set(made).count == made.count)
    #expect(made[0].prefix(10) == "01kdvdna00")
    #expect(made.allSatisfy { $0.utf8.count == 26 })
  }
}
