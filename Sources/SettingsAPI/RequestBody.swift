internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// A JSON body on its way in.
enum RequestBody {
  case json(JSONValue)
  case refused(Response)

  /// Empty is "missing"; another media type is 415 (decision D3); malformed JSON is 422 with our own text (D18).
  static func read(_ request: Request) throws(ServiceError) -> RequestBody {
    if request.body.isEmpty { throw .invalidBody([.missing(["body"])]) }
    guard let type = request[.contentType], MediaType.isJSON(type) else {
      return .refused(Failure.response(Status(415), "The body must be sent as application/json."))
    }
    do {
      let value = try request.body.withBytes { bytes throws(JSONError) in try JSONValue.parse(bytes, limits: .settings) }
      // The recorded server takes a body of `null` for none.
      if value.isNull { throw ServiceError.invalidBody([.missing(["body"])]) }
      return .json(value)
    } catch let error as JSONError {
      throw .invalidBody([.malformedJSON(at: error.offset, error.message)])
    } catch { throw ServiceError.invalidBody([.missing(["body"])]) }
  }
}
