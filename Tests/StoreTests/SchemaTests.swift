import TestSupport
import Testing

@testable import Store

@Suite struct CopyGateTests {
  @Test func oneCopyAtATimeAndNoneAfterTheEnd() throws {
    let gate = CopyGate()
    try gate.enter()
    #expect(throws: StoreError.busy) { try gate.enter() }
    gate.leave()
    try gate.enter()
    gate.leave()
    gate.close()
    #expect(gate.isClosed)
    #expect(throws: StoreError.unavailable(.draining)) { try gate.enter() }
  }
}

@Suite struct SchemaTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/coffer.db" }
  private static let next: [Schema.Step] = Schema.steps + [Schema.Step("CREATE TABLE later (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID")]

  private func version(_ connection: SQLiteConnection) throws -> Int64? {
    try connection.prepare("PRAGMA user_version").first { $0.integer(0) }
  }

  @Test func theFilesVersionIsTheNumberOfSteps() throws {
    let connection = try SQLiteConnection(path: path, role: .writer)
    try Schema.migrate(connection)
    #expect(try version(connection) == Int64(Schema.version))
    try Schema.migrate(connection, through: Self.next)
    #expect(try version(connection) == Int64(Schema.version + 1))
    #expect(throws: StoreError.newerSchema(found: Schema.version + 1, supported: Schema.version)) { try Schema.migrate(connection) }
  }

  @Test func aNewFileSaysWhoseItIs() throws {
    try SQLiteStore(directory: directory.path + "/store").close()
    let bytes = try Vectors.bytes(directory.path + "/store/coffer.db")
    #expect(Array(bytes[68..<72]) == Array("Cofr".utf8))
    #expect(Array(bytes[60..<64]) == [0, 0, 0, UInt8(Schema.version)])
  }

  @Test func aStepThatFailsChangesNothing() throws {
    let connection = try SQLiteConnection(path: path, role: .writer)
    try Schema.migrate(connection)
    let before = try Schema.parts(of: connection)
    #expect(throws: StoreError.self) { try Schema.migrate(connection, through: Self.next + [Schema.Step("CREATE TABLE records (x)")]) }
    #expect(try version(connection) == Int64(Schema.version))
    #expect(try Schema.parts(of: connection) == before)
  }

  @Test(
    arguments: [
      ("CREATE TRIGGER t BEFORE INSERT ON audit BEGIN SELECT 1; END", "not made by Coffer: trigger t"),
      ("CREATE TABLE extra (x)", "not made by Coffer: table extra"),
      ("DROP INDEX secrets_in_order", "missing or changed: index secrets_in_order"),
      (
        "INSERT INTO documents VALUES ('nobody', 'c', 'n', 1, 1, 1, x'00')", "documents holds rows of a tenant that is not there"
      ),
    ] as [(StaticString, String)])
  func whatCofferDidNotMakeIsFound(_ change: StaticString, _ line: String) throws {
    let connection = try SQLiteConnection(path: path, role: .writer)
    try Schema.migrate(connection)
    #expect(try connection.damage().isEmpty)
    try connection.executeScript("PRAGMA foreign_keys=OFF")
    try connection.executeScript(change)
    #expect(try connection.damage() == [line])
  }

  @Test func aNewerVersionInTheLogIsRefusedUntouched() throws {
    // The version stands in the log only: the header of the file still says the old one.
    let first = try SQLiteStore(directory: directory.path + "/store")
    first.close()
    let connection = try SQLiteConnection(path: directory.path + "/store/coffer.db", role: .writer)
    try connection.setUserVersion(Schema.version + 1)
    let bytes = try Vectors.bytes(directory.path + "/store/coffer.db")
    #expect(throws: StoreError.newerSchema(found: Schema.version + 1, supported: Schema.version)) {
      try SQLiteStore(directory: directory.path + "/store")
    }
    #expect(try Vectors.bytes(directory.path + "/store/coffer.db") == bytes)
    withExtendedLifetime(connection) {}
  }
}
