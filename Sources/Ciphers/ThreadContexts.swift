internal import CLibcrypto
internal import Glibc

/// libcrypto's working memory, one set per thread, made on first use and freed when the thread ends.
///
/// Contexts may not be shared between threads; keeping them saves two thirds of the cost of a small seal. What is fetched
/// once (`Algorithms`) is shared: libcrypto counts references to it atomically.
@safe final class ThreadContexts {
  let seal: OpaquePointer
  let open: OpaquePointer
  let mac: OpaquePointer

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

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    unsafe pthread_key_create(&key) { held in
      if let held = unsafe held { unsafe Unmanaged<ThreadContexts>.fromOpaque(held).release() }
    }
    return key
  }()

  private init() throws(CipherError) {
    guard let seal = unsafe EVP_CIPHER_CTX_new(), let open = unsafe EVP_CIPHER_CTX_new(), let algorithm = unsafe Algorithms.hmac,
      let mac = unsafe EVP_MAC_CTX_new(algorithm)
    else { throw .libraryFailure }
    unsafe (self.seal, self.open, self.mac) = (seal, open, mac)
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(seal)
    unsafe EVP_CIPHER_CTX_free(open)
    unsafe EVP_MAC_CTX_free(mac)
  }
}

/// Fetched once: an implicit fetch on each use costs as much as the seal itself.
enum Algorithms {
  nonisolated(unsafe) static let aes256GCM = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
  nonisolated(unsafe) static let aes128CBC = unsafe EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
  nonisolated(unsafe) static let hmac = unsafe EVP_MAC_fetch(nil, "HMAC", nil)
}
