import Testing

@testable import ScopedAPI

struct ScopedAPITests {
  @Test func everyRouteIsBelowTheAgentPrefix() {
    #expect(ScopedRoute.table.allSatisfy { "\($0.pattern)".hasPrefix("/agent/") })
  }
}
