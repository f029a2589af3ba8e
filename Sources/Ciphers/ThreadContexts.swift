internal import CLibcrypto
internal import Glibc
internal import SecretMemory

/// libcrypto's working memory, one set per thread, made on first use and freed when the thread ends.
///
/// Contexts may not be shared between threads; keeping them saves two thirds of the cost of a small seal. What is fetched
/// once (`Algorithms`) is shared: libcrypto counts references to it atomically.
@safe final class ThreadContexts {
  let seal: OpaquePointer
  let open: OpaquePointer
  /// Keyed with nothing so far, but set to SHA-256, which it keeps from one key to the next.
  let mac: OpaquePointer
  let digest: OpaquePointer
  /// Drawn together, since a draw costs as much as a small seal whatever its length, and used from the front.
  private var nonces = Nonces()

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
  func nonce() throws(CipherError) -> ArraySlice<UInt8> {
    if nonces.used == nonces.bytes.count {
      nonces.bytes = try RandomBytes.generate(count: AES256GCM.nonceBytes * Nonces.count)
      nonces.used = 0
    }
    defer { nonces.used += AES256GCM.nonceBytes }
    return nonces.bytes[nonces.used..<(nonces.used + AES256GCM.nonceBytes)]
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
    guard let seal = unsafe EVP_CIPHER_CTX_new(), let open = unsafe EVP_CIPHER_CTX_new(), let algorithm = unsafe Algorithms.hmac,
      let mac = unsafe EVP_MAC_CTX_new(algorithm), let digest = unsafe EVP_MD_CTX_new()
    else { throw .libraryFailure }
    unsafe (self.seal, self.open, self.mac, self.digest) = (seal, open, mac, digest)
    guard unsafe Self.setDigest(of: mac) else { throw .libraryFailure }
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(seal)
    unsafe EVP_CIPHER_CTX_free(open)
    unsafe EVP_MAC_CTX_free(mac)
    unsafe EVP_MD_CTX_free(digest)
  }

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

/// Fetched once: an implicit fetch on each use costs as much as the seal itself.
enum Algorithms {
  nonisolated(unsafe) static let aes256GCM = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
  nonisolated(unsafe) static let aes128CBC = unsafe EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
  nonisolated(unsafe) static let sha256 = unsafe EVP_MD_fetch(nil, "SHA256", nil)
  nonisolated(unsafe) static let hmac = unsafe EVP_MAC_fetch(nil, "HMAC", nil)
}
