/// The ways a cipher operation fails. A cipher opens or says `authenticationFailed`; it never says
/// which check failed.
package enum CipherError: Error, Equatable {
  /// The input is not what was sealed under this key and these authenticated bytes.
  case authenticationFailed
  /// libcrypto refused an operation that cannot fail on valid input (out of memory, no entropy).
  case libraryFailure
}
