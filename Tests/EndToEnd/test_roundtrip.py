"""T62: what was read, sent back unchanged, changes no secret, whatever the mode of reading."""

import copy
import unittest

from coffer_harness import SECRET_SETTINGS, CofferTestCase, at, secret_paths

KINDS = {
    "openhands": SECRET_SETTINGS,
    "acp": {
        "agent_kind": "acp",
        "llm": {"model": "openai/gpt-4o", "api_key": "value-acp-key", "aws_session_token": "value-acp-session"},
        "mcp_config": SECRET_SETTINGS["mcp_config"],
    },
}


class RoundTripTests(CofferTestCase):
    def plain(self):
        document = self.settings("plaintext")
        self.assertIsNotNone(document["agent_settings"])
        return {name: document[name] for name in ("agent_settings", "conversation_settings", "misc_settings")}

    def back(self, document, ask=None):
        return self.patch({
            "agent_settings_diff": document["agent_settings"],
            "conversation_settings_diff": document["conversation_settings"],
            "misc_settings_diff": document["misc_settings"],
            "active_profile": document["active_profile"],
            "active_agent_profile_id": document["active_agent_profile_id"],
        })  # fmt: skip

    def test_whole_document(self):
        for kind, diff in KINDS.items():
            self.patch({"agent_settings_diff": diff, "misc_settings_diff": {"ui": {"api_key": "value-in-misc"}}})
            before = self.plain()
            for mode in (None, "encrypted", "plaintext", "true"):
                with self.subTest(kind=kind, mode=mode):
                    self.back(self.settings(mode))
                    self.assertEqual(self.plain(), before)

    def test_one_branch_at_a_time(self):
        self.patch({"agent_settings_diff": SECRET_SETTINGS})
        before = self.plain()
        for mode in (None, "encrypted", "plaintext"):
            document = self.settings(mode)["agent_settings"]
            for path in secret_paths():
                with self.subTest(mode=mode, path="/".join(map(str, path))):
                    if any(isinstance(step, int) for step in path):
                        continue  # lists are replaced whole: sent back with their branch above
                    value = at(document, path)
                    for step in reversed(path):
                        value = {step: value}
                    self.patch({"agent_settings_diff": value})
                    self.assertEqual(self.plain(), before)

    def test_mask_where_nothing_is_stored_stays_unset(self):
        self.patch({"agent_settings_diff": {"llm": {"api_key": None}}})
        self.patch({"agent_settings_diff": {"llm": {"api_key": "**********"}}})
        self.assertIsNone(self.settings("plaintext")["agent_settings"]["llm"]["api_key"])

    def test_clearing_still_clears(self):
        for nothing in ("", "  ", None):
            self.patch({"agent_settings_diff": {"llm": {"api_key": "value-set"}}})
            self.patch({"agent_settings_diff": {"llm": {"api_key": nothing}}})
            self.assertIsNone(self.settings("plaintext")["agent_settings"]["llm"]["api_key"])

    def test_custom_secrets(self):
        self.put("KEPT", "value-custom", description="d")
        for body in ({"value": "**********"}, {"value": "**********", "description": "e"}, {"description": "f"}):
            answer = self.ask("PUT", "/api/settings/secrets", {"name": "KEPT", **copy.deepcopy(body)})
            self.assertEqual(answer.status, 200)
            self.assertEqual(self.value("KEPT"), b"value-custom")


if __name__ == "__main__":
    unittest.main()
