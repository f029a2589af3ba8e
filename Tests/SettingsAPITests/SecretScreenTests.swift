import StrictJSON
import Testing

@testable import SettingsAPI

/// What of another server's answer is masked.
@Suite struct SecretScreenTests {
  private static let secrets: [JSONString] = ["value-one", "value-one-longer", "short", "", "with \"quotes\""]

  @Test(arguments: [
    ("value-one", "**********"), ("value-one-longer", "**********"), ("a value-one b value-one", "a ********** b **********"),
    ("value-onevalue-one-longer", "********************"), ("value-on", "value-on"), ("value-on value-one", "value-on **********"),
    ("short", "**********"), ("a short word", "a short word"), ("", ""), ("x with \"quotes\"", "x **********"),
  ])
  func texts(_ text: String, _ shown: String) {
    #expect(SecretScreen(Self.secrets).applied(to: .string(JSONString(text))) == .string(JSONString(shown)))
  }

  @Test func everyDepthIsSearchedAndNamesStay() {
    let value: JSONValue = ["value-one": ["a", "value-one", ["b": "value-one", "c": 1, "d": nil]]]
    #expect(SecretScreen(Self.secrets).applied(to: value) == ["value-one": ["a", "**********", ["b": "**********", "c": 1, "d": nil]]])
    #expect(SecretScreen([]).applied(to: value) == value)
  }
}
