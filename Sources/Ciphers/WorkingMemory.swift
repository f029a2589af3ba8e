/// What libcrypto keeps for the calling thread from one use to the next: the keys it worked with last among it.
package enum WorkingMemory {
  /// Overwrites and frees it; the next use makes it anew, which costs some microseconds.
  package static func erase() { ThreadContexts.drop() }
}
