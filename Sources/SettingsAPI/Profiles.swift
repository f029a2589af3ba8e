internal import HTTPMessages
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

/// `/api/profiles` (spec section 9.1).
extension SettingsAPI {
  func profiles(_ principal: Principal) throws(ServiceError) -> Answer {
    let (profiles, active) = try desk.profiles(for: principal)
    let list = profiles.map { summary -> JSONValue in
      [
        "name": .string(JSONString(summary.name)), "model": summary.profile.model, "base_url": summary.profile.baseURL,
        "provider_connection_id": summary.profile.connectionID,
        "provider_connection_broken": .bool(summary.isBroken), "api_key_set": .bool(summary.hasKey),
      ]
    }
    return .now(json(["profiles": .array(list), "active_profile": active]))
  }

  func profile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    let name = try profileName(parameters)
    let mode: ExposureMode
    switch Self.exposure(request[.exposeSecrets]) {
    case .mode(let wanted): mode = wanted
    case .unknown(let text): return .now(Self.unknownExposure(text))
    }
    let view = try desk.profile(name, mode, for: principal)
    switch view.body {
    case .open(let config):
      let body = Self.detail(name, config, view.hasKey)
      return .now(Response(status: .ok, contentType: MediaType.json, body: .bytes(body)))
    case .exposed(let exposure):
      return recorded(exposure.event, by: principal, request) {
        var body = exposure.value.withBytes { config in
          unsafe config.withUnsafeBytes { config in Self.detail(name, unsafe Array(config), view.hasKey) }
        }
        defer { erase(&body) }
        return Response(status: .ok, contentType: MediaType.json, body: .secret(SecretBytes(copying: body)))
      }
    }
  }

  /// A profile's name needs no escapes.
  private static func detail(_ name: String, _ config: [UInt8], _ hasKey: Bool) -> [UInt8] {
    var body = Array("{\"name\":\"\(name)\",\"config\":".utf8)
    body.reserveCapacity(body.count + config.count + 32)
    body += config
    body += Array(",\"api_key_set\":\(hasKey)}".utf8)
    return body
  }

  func saveProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return try withBody(request) { body in
      self.writing(request) { service, _, id, send in
        service.saveProfile(name, body, for: principal, requestID: id) { result in
          send(result.map { Self.done(name, "Profile '\(name)' saved", Status(201)) })
        }
      }
    }
  }

  func deleteProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return writing(request) { service, _, id, send in
      service.deleteProfile(name, for: principal, requestID: id) { result in
        send(result.map { Self.done(name, "Profile '\(name)' deleted") })
      }
    }
  }

  func renameProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return try withBody(request) { body throws(ServiceError) in
      let newName: String
      do throws(BodyError) { newName = try ProfileName.renaming(body) } catch { throw .invalidBody(error.issues) }
      return self.writing(request) { service, _, id, send in
        service.renameProfile(name, to: newName, for: principal, requestID: id) { result in
          send(
            result.map { isOther in
              Self.done(newName, isOther ? "Profile '\(name)' renamed to '\(newName)'" : "Profile '\(name)' unchanged (same name)")
            })
        }
      }
    }
  }

  func activateProfile(_ parameters: [[UInt8]], _ request: Request, _ principal: Principal) throws(ServiceError) -> Answer {
    try principal.demand(.write)
    let name = try profileName(parameters)
    return writing(request) { service, _, id, send in
      service.activateProfile(name, for: principal, requestID: id) { result in
        send(
          result.map {
            Failure.body(
              .ok,
              [
                "name": .string(JSONString(name)),
                "message": .string(JSONString("Profile '\(name)' activated and applied to current settings")), "llm_applied": true,
              ])
          })
      }
    }
  }

  private static func done(_ name: String, _ message: String, _ status: Status = .ok) -> Response {
    Failure.body(status, ["name": .string(JSONString(name)), "message": .string(JSONString(message))])
  }

  func profileName(_ parameters: [[UInt8]]) throws(ServiceError) -> String {
    guard let name = parameters.first, ProfileName.isValid(name) else {
      let isLong = String(decoding: parameters.first ?? [], as: UTF8.self).unicodeScalars.count > ProfileName.maximumLength
      throw .invalidBody([
        isLong
          ? .tooLong(["path", "name"], maximum: ProfileName.maximumLength)
          : .patternMismatch(["path", "name"], pattern: ProfileName.pattern)
      ])
    }
    return String(decoding: name, as: UTF8.self)
  }

  /// Reads a JSON body, then does what comes of it.
  func withBody(_ request: Request, _ body: (JSONValue) throws(ServiceError) -> Answer) throws(ServiceError) -> Answer {
    switch try RequestBody.read(request) {
    case .refused(let response): return .now(response)
    case .json(let value): return try body(value)
    }
  }
}
