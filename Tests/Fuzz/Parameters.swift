import HTTPMessages
import SecretMemory

private let router = Router(routes: [
  (methods: [.get, .put], pattern: "/api/settings/secrets"), (methods: [.get], pattern: "/api/settings/secrets/{name}"),
])

private let prefix = PathPrefix(url: "https://example.org/api/")

/// Parameters between zero bytes: refused, or a request that the router can judge.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  var decoder = RequestDecoder()
  for parameter in bytes.split(separator: 0) {
    let copy = Array(parameter)
    let taken = copy.withUnsafeBytes { buffer in (try? decoder.add(buffer)) != nil }
    if !taken { return 0 }
  }
  guard let request = try? decoder.request(body: SecretBytes(copying: []), peer: false, freshID: { "id" }) else { return 0 }
  if case .found(1, let parameters) = router.match(request.target, request.method) {
    precondition(parameters.count == 1 && !parameters[0].contains(UInt8(ascii: "/")), "a name with a slash")
  }
  for parameter in request.target.queryParameters {
    precondition(request.target.queryValue(parameter.name) != nil, "a parameter that is not found")
  }
  _ = prefix.removed(from: request.target)
  return 0
}
