internal import StrictJSON

extension Schemas {
  /// What passes through to an agent server.
  static let conversations: KeyValuePairs<JSONString, JSONValue> = [
    "Conversation": described(
      "The agent server's own account of the conversation; 200 in the place of 201 when it was there already.",
      object(["id": string], required: ["id"])),
    "Success": object(["success": boolean]),
    "ConversationSecrets": described(
      "Texts, objects with a `value`, and sources with a `kind`.",
      object(["secrets": ["type": "object"], "secrets_encrypted": boolean], required: ["secrets"])),
    "ModelSwitch": object(["llm": reference("LanguageModelInput")], required: ["llm"]),
    "ProfileSwitch": object(["profile_name": string], required: ["profile_name"]),
  ]
}
