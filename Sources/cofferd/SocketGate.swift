internal import HTTPMessages
internal import Service
internal import SettingsAPI
internal import SocketRelay

/// From the relay's handshakes to the settings dialect's judgement.
final class SocketGate: SocketJudge {
  private let api: SocketAPI

  init(_ service: Service, _ conversations: ConversationGateway?) throws {
    api = SocketAPI(desk: try Desk(service), conversations: conversations)
  }

  func judge(_ target: RequestTarget, header: [UInt8]?, frame: [UInt8]?, requestID: String) -> SocketJudgement {
    switch api.judge(target, header: header, frame: frame, requestID: requestID) {
    case .admitted(let tenant, let keyID, let address, let server):
      .admitted(SocketPass(tenant: tenant, keyID: keyID, address: address, agentServer: server))
    case .keyWanted: .keyWanted
    case .refused(let status, let detail): .refused(status.code, detail)
    }
  }

  func stillAdmits(_ pass: SocketPass) -> Bool { api.isGood(keyID: pass.keyID) }
}
