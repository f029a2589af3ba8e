import HTTPMessages
import StrictJSON
import TestSupport
import Testing

@testable import SettingsAPI

/// The description at `/openapi.json` beside the routes.
@Suite struct OpenAPITests {
  private func described() throws -> JSONValue { try Rig(open: true).send(.get, "/openapi.json").json }

  private struct Operation {
    let path: String
    let method: String
    let value: JSONValue
  }

  private func operations() throws -> [Operation] {
    try #require(try described()["paths"].object).members.flatMap { item in
      try #require(item.value.object).members.map { Operation(path: item.name.text, method: $0.name.text, value: $0.value) }
    }
  }

  @Test func everyRouteIsDescribedAndNothingElse() throws {
    let routes = Route.table.flatMap { entry in entry.methods.map { "\($0.rawValue.lowercased()) \(entry.pattern)" } }
    #expect(Set(routes).count == routes.count)
    #expect(try Set(operations().map { "\($0.method) \($0.path)" }) == Set(routes))
  }

  /// What is described is served: the server's own list of methods says so.
  @Test func everyOperationIsServed() throws {
    let rig = try Rig(open: true)
    for (path, operations) in Dictionary(grouping: try operations(), by: \.path) {
      let target = path.split(separator: "/", omittingEmptySubsequences: false).map { $0.hasPrefix("{") ? "x" : $0 }.joined(separator: "/")
      let allowed = try rig.send(.options, target).headers["Allow"] ?? ""
      let served = Set(allowed.split(separator: ", ").map(String.init)).subtracting(["HEAD", "OPTIONS"])
      #expect(served == Set(operations.map { $0.method.uppercased() }), "\(path)")
    }
  }

  @Test func everyReferenceLeadsSomewhereAndEverySchemaIsUsed() throws {
    let document = try described()
    let schemas = try #require(document["components"]["schemas"].object)
    var used: Set<String> = []
    func walk(_ value: JSONValue) {
      switch value {
      case .object(let object):
        for member in object.members {
          if member.name == "$ref", let text = member.value.string?.text { used.insert(text) } else { walk(member.value) }
        }
      case .array(let elements): elements.forEach(walk)
      case .null, .bool, .number, .string: break
      }
    }
    walk(document)
    #expect(used == Set(schemas.members.map { "#/components/schemas/\($0.name.text)" }))
  }

  @Test func everyOperationHasItsOwnNameAndSaysWhatItMayAnswer() throws {
    let operations = try operations()
    #expect(Set(operations.map { $0.value["operationId"].text }).count == operations.count)
    for operation in operations {
      let answers = Set((operation.value["responses"].object?.members ?? []).map(\.name.text))
      let name = operation.value["operationId"].text
      #expect(answers.isSuperset(of: ["400", "413", "431", "500", "503"]), "\(name)")
      let isOpen = operation.value["security"] == []
      #expect(answers.isSuperset(of: isOpen ? [] : ["401", "403", "507"]), "\(name)")
      if operation.value["requestBody"] != .null { #expect(answers.isSuperset(of: ["415", "422"]), "\(name)") }
    }
  }
}
