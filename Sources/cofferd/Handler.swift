internal import AdminAPI
internal import HTTPMessages
internal import Responder
internal import ScopedAPI
internal import Service
internal import SettingsAPI

/// One loop thread's way from a request to the API it belongs to.
final class Handler: RequestHandler {
  /// The patterns of all APIs, in the order in which marks count through them.
  static var patterns: [String] { SettingsAPI.patterns + ScopedAPI.patterns + AdminAPI.patterns }
  private static let scopedOffset = SettingsAPI.patterns.count
  private static let adminOffset = scopedOffset + ScopedAPI.patterns.count

  private let desk: Desk
  private let settings: SettingsAPI
  private let scoped: ScopedAPI
  private let admin: AdminAPI
  private let prefix: PathPrefix?
  private(set) var lastMark = RequestMark()

  init(_ service: Service, cors: CORSPolicy, info: ServerInfo, facts: AdminFacts, prefix: PathPrefix?, conversations: ConversationGateway?)
    throws
  {
    self.prefix = prefix
    desk = try Desk(service)
    settings = SettingsAPI(desk: desk, cors: cors, info: info, conversations: conversations)
    scoped = ScopedAPI(desk: desk)
    admin = AdminAPI(desk: desk, facts: facts)
  }

  func requestBegins() { desk.requestBegins() }
  func turnEnds() { desk.turnEnds() }
  func passes() { desk.forgetWithTheVault() }

  func handle(_ request: Request) -> Answer {
    guard let prefix else { return dispatch(request) }
    var request = request
    request.target = prefix.removed(from: request.target)
    return dispatch(request)
  }

  private func dispatch(_ request: Request) -> Answer {
    desk.caller = nil
    if AdminAPI.owns(request.target) {
      let answer = admin.answer(request)
      note(admin.lastPattern, after: Self.adminOffset)
      return answer
    }
    if ScopedAPI.owns(request.target) {
      let answer = scoped.answer(request)
      note(scoped.lastPattern, after: Self.scopedOffset)
      return answer
    }
    let answer = settings.answer(request)
    note(settings.lastPattern, after: 0)
    return answer
  }

  /// - Parameter offset: how many patterns stand before those of the API.
  private func note(_ pattern: Int?, after offset: Int) {
    lastMark = RequestMark(
      pattern: pattern.map { offset + $0 + 1 } ?? 0, tenant: desk.caller?.tenant ?? "", keyID: desk.caller?.keyID ?? "")
  }

  func refuse(_ refusal: RequestRefusal, requestID: String) -> Response { settings.refuse(refusal, requestID: requestID) }
  var abandoned: Response { settings.abandoned }
}
