internal import AdminAPI
internal import HTTPMessages
internal import Responder
internal import ScopedAPI
internal import Service
internal import SettingsAPI

/// One loop thread's way from a request to the API it belongs to.
final class Handler: RequestHandler {
  private let desk: Desk
  private let settings: SettingsAPI
  private let scoped: ScopedAPI
  private let admin: AdminAPI
  private let prefix: PathPrefix?

  init(_ service: Service, cors: CORSPolicy, info: ServerInfo, facts: AdminFacts, prefix: PathPrefix?) throws {
    self.prefix = prefix
    desk = try Desk(service)
    settings = SettingsAPI(desk: desk, cors: cors, info: info)
    scoped = ScopedAPI(desk: desk)
    admin = AdminAPI(desk: desk, facts: facts)
  }

  /// A snapshot that cannot be taken shows in the reads: each then sees the newest state or fails by itself.
  func turnBegins() { try? desk.turnBegins() }
  func turnEnds() { desk.turnEnds() }

  func handle(_ request: Request) -> Answer {
    var request = request
    if let prefix { request.target = prefix.removed(from: request.target) }
    if AdminAPI.owns(request.target) { return admin.answer(request) }
    return ScopedAPI.owns(request.target) ? scoped.answer(request) : settings.answer(request)
  }

  func refuse(_ refusal: RequestRefusal) -> Response { settings.refuse(refusal) }
  var abandoned: Response { settings.abandoned }
}
