/// How an API answers a request.
package enum Answer: Sendable {
  /// Ready now.
  case now(Response)
  /// Ready once a store commit or another machine has spoken: whoever starts it must call the given
  /// function exactly once, from any thread.
  case later(@Sendable (_ send: @escaping @Sendable (Response) -> Void) -> Void)
}
