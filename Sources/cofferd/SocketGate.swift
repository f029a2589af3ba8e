internal import HTTPMessages
internal import Service
internal import SettingsAPI
internal import SocketRelay

/// From the relay's handshakes to the settings dialect's judgement.
final class SocketGate: SocketJudge {
  private let api: SocketAPI

  init(_ service: Service, hasAgentServer: Bool) throws {
    api = SocketAPI(desk: try Desk(service), hasAgentServer: hasAgentServer)
  }

  func judge(_ target: RequestTarget, header: [UInt8]?, frame: [UInt8]?, requestID: String) -> SocketJudgement {
    switch api.judge(target, header: header, frame: frame, requestID: requestID) {
    case .admitted(let tenant, let keyID, let address): .admitted(SocketPass(tenant: tenant, keyID: keyID, address: address))
    case .keyWanted: .keyWanted
    case .refused(let status, let detail): .refused(status.code, detail)
    }
  }

  func stillAdmits(_ pass: SocketPass) -> Bool { api.isGood(keyID: pass.keyID) }
}
