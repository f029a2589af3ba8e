internal import CLibcrypto
internal import Glibc
internal import SecretMemory

/// libcrypto's working memory, one set per thread, made on first use and freed when the thread ends.
///
/// Contexts may not be shared between threads; keeping them saves two thirds of the cost of a small seal. What is fetched
/// once (`Algorithms`) is shared: libcrypto counts references to it atomically.
@safe final class ThreadContexts {
  var seal: Keyed
  var open: Keyed
  /// Set to SHA-256, which they keep from one key to the next. Two, the last used first: rows and audit entries have different keys.
  private var macs: (Keyed, Keyed)
  let digest: OpaquePointer
  /// Drawn together, since a draw costs as much as a small seal whatever its length, and used from the front.
  private var nonces = Nonces()

  /// A context and the key that it is set to. With the same key again it need only begin anew, which saves the key's schedule:
  /// half of what a short message costs.
  @safe struct Keyed {
    fileprivate let context: OpaquePointer
    private var key: SecretBytes?

    init(_ context: OpaquePointer) { unsafe self.context = context }

    fileprivate func holds(_ key: SecretBytes) -> Bool { self.key?.isSame(as: key) == true }

    /// The context, and whether it has the key; else it must be given it now.
    mutating func context(for key: SecretBytes) -> (context: OpaquePointer, isKeyed: Bool) {
      defer { self.key = key }
      return unsafe (context, holds(key))
    }

    /// The context for another algorithm.
    mutating func unkeyedContext() -> OpaquePointer {
      forget()
      return unsafe context
    }

    /// To be called when a call with the context has failed.
    mutating func forget() { key = nil }
  }

  /// The context for MACs under `key`, and whether it has the key.
  func mac(for key: SecretBytes) -> (context: OpaquePointer, isKeyed: Bool) {
    if !macs.0.holds(key) { macs = (macs.1, macs.0) }
    let (context, isKeyed) = unsafe macs.0.context(for: key)
    return unsafe (context, isKeyed && Algorithms.hmacBeginsAnew)
  }

  func forgetMAC() { macs.0.forget() }

  /// This thread's set.
  static func current() throws(CipherError) -> ThreadContexts {
    if let held = unsafe pthread_getspecific(key) { return unsafe Unmanaged<ThreadContexts>.fromOpaque(held).takeUnretainedValue() }
    let made = try ThreadContexts()
    let held = unsafe Unmanaged.passRetained(made).toOpaque()
    guard unsafe pthread_setspecific(key, held) == 0 else {
      unsafe Unmanaged<ThreadContexts>.fromOpaque(held).release()
      throw .libraryFailure
    }
    return made
  }

  /// Frees this thread's set; libcrypto overwrites the keys in it.
  static func drop() {
    guard let held = unsafe pthread_getspecific(key) else { return }
    pthread_setspecific(key, nil)
    unsafe Unmanaged<ThreadContexts>.fromOpaque(held).release()
  }

  /// 12 random bytes that were never given before. Public: they leave with what they seal.
  func nonce() throws(CipherError) -> [UInt8] {
    if nonces.used == nonces.bytes.count {
      nonces.bytes = try RandomBytes.generate(count: AES256GCM.nonceBytes * Nonces.count)
      nonces.used = 0
    }
    defer { nonces.used += AES256GCM.nonceBytes }
    return Array(nonces.bytes[nonces.used..<(nonces.used + AES256GCM.nonceBytes)])
  }

  /// No process of ours forks and goes on: Swift cannot.
  private struct Nonces {
    static let count = 32
    var bytes: [UInt8] = []
    var used = 0
  }

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    unsafe pthread_key_create(&key) { held in
      if let held = unsafe held { unsafe Unmanaged<ThreadContexts>.fromOpaque(held).release() }
    }
    return key
  }()

  private init() throws(CipherError) {
    guard let seal = unsafe EVP_CIPHER_CTX_new(), let open = unsafe EVP_CIPHER_CTX_new(), let mac = unsafe Algorithms.makeMAC(),
      let otherMAC = unsafe Algorithms.makeMAC(), let digest = unsafe EVP_MD_CTX_new()
    else { throw .libraryFailure }
    unsafe (self.seal, self.open, macs, self.digest) = (Keyed(seal), Keyed(open), (Keyed(mac), Keyed(otherMAC)), digest)
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(seal.context)
    unsafe EVP_CIPHER_CTX_free(open.context)
    unsafe EVP_MAC_CTX_free(macs.0.context)
    unsafe EVP_MAC_CTX_free(macs.1.context)
    unsafe EVP_MD_CTX_free(digest)
  }
}

/// Fetched once: an implicit fetch on each use costs as much as the seal itself.
enum Algorithms {
  nonisolated(unsafe) static let aes256GCM = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
  nonisolated(unsafe) static let aes128CBC = unsafe EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
  nonisolated(unsafe) static let sha256 = unsafe EVP_MD_fetch(nil, "SHA256", nil)
  nonisolated(unsafe) private static let hmac = unsafe EVP_MAC_fetch(nil, "HMAC", nil)

  /// A context for HMAC with SHA-256; nil when there is none.
  static func makeMAC() -> OpaquePointer? {
    guard let algorithm = unsafe hmac, let mac = unsafe EVP_MAC_CTX_new(algorithm) else { return nil }
    if unsafe setDigest(of: mac) { return unsafe mac }
    unsafe EVP_MAC_CTX_free(mac)
    return nil
  }

  /// Whether HMAC without a key begins anew with that of last time (EVP_MAC(3)), as it does not in the first releases of libcrypto 3.0.
  static let hmacBeginsAnew: Bool = {
    guard let mac = unsafe makeMAC() else { return false }
    defer { unsafe EVP_MAC_CTX_free(mac) }
    var codes = [[UInt8]](repeating: [UInt8](repeating: 0, count: 32), count: 2)
    var length = 0
    for index in codes.indices {
      guard unsafe EVP_MAC_init(mac, index == 0 ? [1] : nil, index == 0 ? 1 : 0, nil) == 1, unsafe EVP_MAC_update(mac, [2], 1) == 1,
        unsafe EVP_MAC_final(mac, &codes[index], &length, 32) == 1
      else { return false }
    }
    return codes[0] == codes[1]
  }()

  /// libcrypto copies what it needs before the call returns; both texts live until then.
  private static func setDigest(of mac: OpaquePointer) -> Bool {
    var digest = Array("SHA256".utf8CString)
    let name = Array("digest".utf8CString)
    return unsafe name.withUnsafeBufferPointer { name in
      unsafe digest.withUnsafeMutableBufferPointer { digest in
        let parameters = unsafe [
          OSSL_PARAM_construct_utf8_string(name.baseAddress!, digest.baseAddress, 0), OSSL_PARAM_construct_end(),
        ]
        return unsafe parameters.withUnsafeBufferPointer { unsafe EVP_MAC_CTX_set_params(mac, $0.baseAddress) == 1 }
      }
    }
  }
}
