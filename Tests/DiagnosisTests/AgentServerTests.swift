import Diagnosis
import Testing

@Suite struct AgentServerTests {
  @Test(
    arguments: [
      (.status(200, version: "1.43.1"), true, .good, "is version 1.43.1"), (.status(200, version: nil), false, .good, "answers"),
      (.status(401, version: nil), true, .wrong, "does not take its key"), (.status(401, version: nil), false, .wrong, "wants a key"),
      (.status(404, version: nil), true, .warning, "answers 404"), (.unreachable, true, .wrong, "cannot be reached"),
      (.silent(seconds: 5), true, .wrong, "within 5 seconds"), (.garbled, false, .wrong, "speaks no HTTP"),
    ] as [(AgentServerAnswer, Bool, Finding.Kind, String)])
  func eachAnswerIsJudged(answer: AgentServerAnswer, hasKey: Bool, kind: Finding.Kind, words: String) {
    let finding = answer.judged("http://127.0.0.1:8000", hasKey: hasKey)
    #expect(finding.code == .agentServer && finding.kind == kind)
    #expect(finding.text.contains(words) && finding.text.contains("http://127.0.0.1:8000"))
  }
}
