package import SecretMemory

/// A variable for a program: its name, and its value as bytes.
package struct Variable: Sendable {
  package let name: String
  package let value: SecretBytes

  package init(name: String, value: SecretBytes) {
    self.name = name
    self.value = value
  }
}

/// A value that a form has no words for. It is refused: a secret that arrives changed is worse than none.
package struct UnwritableVariable: Error, Equatable {
  package enum Reason: String, Sendable, CaseIterable {
    case zeroByte = "a zero byte"
    case notText = "bytes that are no UTF-8"
    case noncharacter = "a Unicode noncharacter or byte order mark"
    case lineEnd = "a line end"
    case carriageReturn = "a carriage return"
    case length = "more bytes than a line may have"
    /// What its readers take for quotes, escapes or names of variables, each in another way.
    case ambiguity = "quotes, backslashes or ${ that readers of such files take in different ways"
  }

  package let name: String
  package let reason: Reason
}
