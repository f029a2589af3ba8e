internal import HTTPMessages
internal import KeyRing
internal import Model
internal import SecretMemory
internal import Service
internal import StrictJSON

// One-time data keys (scoped spec, sections 5.10 and 5.11). An Idempotency-Key is ignored: nothing with a key is kept.
extension ScopedAPI {
  func generateDataKey(_ call: Call) throws(ScopedFailure) -> Answer {
    let action = try Body(call.request).dataKeyAction("data_key.generated", needs: .write, by: call)
    let service = service
    return .later { send in
      service.mintDataKey(action, by: call.caller, call.origin) { result in
        switch result {
        case .success(let offer): send(Self.response(offer, call, at: service.now()))
        case .failure(let failure): send(Failure.response(failure.refusal, call.request, at: service.now()))
        }
      }
    }
  }

  private static func response(_ offer: DataKeyOffer, _ call: Call, at now: Int64) -> Response {
    var writer = JSONWriter(reserving: 768)
    writer.appendRaw("{\"data\":{\"plaintextKey\":")
    writer.appendBase64(offer.key)
    writer.appendRaw(",\"dataKeyCiphertext\":")
    writer.appendQuoted(WireText.base64(offer.wrapped))
    writer.appendRaw(",\"algorithm\":\"AES-256-GCM\",\"keyId\":")
    writer.append(offer.kekName)
    writer.appendRaw(",\"keyVersion\":")
    writer.append(Wire.number(offer.kekVersion))
    writer.appendRaw(",\"dataKeyId\":")
    writer.appendQuoted(WireText.hexadecimal(offer.id))
    writer.appendRaw(",\"expiresAt\":")
    writer.append(Wire.time(offer.expiresAt))
    writer.appendRaw(",\"singleUse\":true}")
    Wire.finish(&writer, call.request, at: now)
    return Wire.secret(&writer, headers: [])
  }

  func decryptDataKey(_ call: Call) throws(ScopedFailure) -> Answer {
    let body = try Body(call.request)
    let action = try body.dataKeyAction("data_key.decrypted", needs: .decrypt, by: call)
    guard let text = body.object["dataKeyCiphertext"]?.string else {
      throw ScopedFailure(.invalid("/dataKeyCiphertext", "a text"))
    }
    guard let bytes = WireText.decodeBase64(text.utf8) else {
      throw ScopedFailure(.envelope(.invalidBase64, "/dataKeyCiphertext", "canonical padded base64"))
    }
    let exposure = try desk.decryptDataKey(bytes, action, for: call.caller, call.origin)
    var writer = JSONWriter(reserving: 512)
    writer.appendRaw("{\"data\":{\"plaintextKey\":")
    writer.appendBase64(exposure.value)
    writer.appendRaw("}")
    Wire.finish(&writer, call.request, at: service.now())
    return exposed(exposure.event, call, Wire.secret(&writer, headers: []))
  }
}

extension JSONWriter {
  /// Key bytes as a base64 text; what it was made from is erased.
  mutating func appendBase64(_ secret: SecretBytes) {
    var bytes = secret.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Array($0) } }
    var text = WireText.base64(bytes)
    appendQuoted(text)
    erase(&bytes)
    erase(&text)
  }
}
