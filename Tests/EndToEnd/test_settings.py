"""The settings dialect from end to end: TLS, the shipped nginx files, cofferd, the store."""

import unittest

import fastcgi
from coffer_harness import MASK, SECRET_SETTINGS, CofferTestCase, at, recorded, secret_paths


class SettingsTests(CofferTestCase):
    tls = True

    def test_fresh_document_is_the_recorded_one(self):
        coffer = self.fresh()
        ask = coffer.client()
        self.addCleanup(ask.close)
        got, want = ask("GET", "/api/settings").json(), recorded("settings-read.json", "fresh store, plaintext")["response"]["json"]
        for document in (got, want):
            document["agent_settings"]["agent_context"].pop("current_datetime")
        self.assertEqual(got, want)

    def test_patch_and_every_mode_of_reading(self):
        stored = self.patch({"agent_settings_diff": SECRET_SETTINGS}).json()["agent_settings"]
        redacted = self.settings()["agent_settings"]
        plain = self.settings("plaintext")["agent_settings"]
        sealed = self.settings("encrypted")["agent_settings"]
        for path in secret_paths():
            with self.subTest("/".join(map(str, path))):
                self.assertEqual(at(stored, path), MASK)
                self.assertEqual(at(redacted, path), MASK)
                self.assertEqual(at(plain, path), at(SECRET_SETTINGS, path))
                self.assertTrue(at(sealed, path).startswith("gAAAAA"))
        self.assertTrue(self.settings()["llm_api_key_is_set"])

    def test_tokens_open_with_the_wire_key(self):
        self.patch({"agent_settings_diff": {"llm": {"api_key": "value-for-token"}}})
        token = self.settings("encrypted")["agent_settings"]["llm"]["api_key"]
        self.patch({"agent_settings_diff": {"llm": {"api_key": None}}})
        self.patch({"agent_settings_diff": {"llm": {"api_key": token}}})
        self.assertEqual(self.settings("plaintext")["agent_settings"]["llm"]["api_key"], "value-for-token")
        self.assertEqual(self.settings("true")["agent_settings"]["llm"]["api_key"][:6], "gAAAAA")

    def test_foreign_token_is_refused_and_changes_nothing(self):
        self.patch({"agent_settings_diff": {"llm": {"api_key": "value-kept"}}})
        token = recorded("settings-patch.json", "token of nobody")["request"]["json"]
        answer = self.patch(token, status=422)
        self.assertIn("/llm/api_key", answer.body.decode())
        self.assertEqual(self.settings("plaintext")["agent_settings"]["llm"]["api_key"], "value-kept")

    def test_patch_is_all_or_nothing(self):
        before = self.settings()["misc_settings"]
        self.patch({"misc_settings_diff": {"half": 1}, "conversation_settings_diff": {"max_iterations": 0}}, status=422)
        self.assertEqual(self.settings()["misc_settings"], before)

    def test_patch_without_anything_is_400(self):
        self.assertIn("At least one of", self.patch({}, status=400).json()["detail"])

    def test_revision_guards_a_change(self):
        first = self.ask("GET", "/api/settings").header("ETag")
        self.assertTrue(first)
        self.patch({"misc_settings_diff": {"guarded": 1}}, headers={"If-Match": first})
        self.patch({"misc_settings_diff": {"guarded": 2}}, status=412, headers={"If-Match": first})
        second = self.ask("GET", "/api/settings").header("ETag")
        self.assertNotEqual(first, second)
        self.assertEqual(self.settings()["misc_settings"]["guarded"], 1)

    def test_secrets(self):
        for name, value in (("FIRST", "one"), ("LINES", "-----BEGIN-----\nabc\r\ndef\n"), ("UNICODE", "päss ☃ 🔑"), ("EMPTY", ""),
                            ("NUL", "a\0b"), ("BIG", "b" * 65536)):  # fmt: skip
            self.put(name, value, description="about " + name)
            answer = self.ask("GET", "/api/settings/secrets/" + name)
            self.assertEqual((answer.status, answer.body), (200, value.encode()))
            self.assertEqual(answer.header("Content-Type"), "text/plain; charset=utf-8")
            self.assertIsNone(answer.header("ETag"))
        listed = self.ask("GET", "/api/settings/secrets")
        self.assertIn({"name": "FIRST", "description": "about FIRST"}, listed.json()["secrets"])
        self.assertNotIn(b"-----BEGIN", listed.body)
        self.put("FIRST", "two")
        self.assertIn({"name": "FIRST", "description": "about FIRST"}, self.ask("GET", "/api/settings/secrets").json()["secrets"])
        self.assertEqual(self.value("FIRST"), b"two")
        self.put("FIRST", MASK)
        self.assertEqual(self.value("FIRST"), b"two")
        self.assertEqual(self.ask("DELETE", "/api/settings/secrets/FIRST").json(), {"deleted": True})
        self.assertEqual(self.ask("GET", "/api/settings/secrets/FIRST").status, 404)
        self.assertEqual(self.ask("DELETE", "/api/settings/secrets/FIRST").status, 404)

    def test_secret_names(self):
        for name in ("", "1A", "_A", "A B", "A-B", "é", "N" * 65, "NEWLINE\n"):
            answer = self.ask("PUT", "/api/settings/secrets", {"name": name, "value": "v"})
            self.assertEqual(answer.status, 422, name)

    def test_order_of_judgement(self):
        """Route, then key, then body."""
        for status, method, target, key, body in (
            (404, "GET", "/api/nothing-here", None, None),
            (405, "POST", "/api/settings", None, b"{"),
            (401, "PATCH", "/api/settings", None, b"{"),
            (401, "PATCH", "/api/settings", "sk_wrong", b"{"),
            (422, "PATCH", "/api/settings", ..., b"{"),
        ):
            with self.subTest(target=target, method=method):
                answer = self.ask(method, target, body, key=key)
                self.assertEqual(answer.status, status)
                if status == 405:
                    self.assertEqual(set(answer.header("Allow").replace(" ", "").split(",")) - {"OPTIONS"}, {"GET", "HEAD", "PATCH"})

    def test_keys_are_taken_from_their_header_alone(self):
        key = self.coffer.keys["sessionKey"]
        for headers, target in (
            ({"Authorization": "Bearer " + key}, "/api/settings"),
            ({"Cookie": "oh_workspace_session_key=" + key}, "/api/settings"),
            ({}, "/api/settings?session_api_key=" + key),
            ({"X-Session-API-Key": ""}, "/api/settings"),
            ({"X-Session-API-Key": self.coffer.keys["adminKey"]}, "/api/settings"),
        ):
            self.assertEqual(self.ask("GET", target, key=None, headers=headers).status, 401)

    def test_open_routes(self):
        for target in ("/", "/server_info", "/alive", "/health", "/ready", "/docs", "/redoc", "/openapi.json"):
            self.assertEqual(self.ask("GET", target, key=None).status, 200, target)
            head = self.ask("HEAD", target, key=None)
            self.assertEqual((head.status, head.body), (200, b""), target)
        self.assertEqual(self.ask("GET", "/ready", key=None).json(), {"status": "ready"})

    def test_redirect_of_a_trailing_slash(self):
        answer = self.ask("GET", "/api/settings/secrets/")
        self.assertEqual(answer.status, 307)
        self.assertEqual(answer.header("Location"), "https://127.0.0.1:%d/api/settings/secrets" % self.coffer.port)

    def test_cross_origin(self):
        asked = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x-session-api-key"}
        allowed = self.ask("OPTIONS", "/api/settings", key=None, headers={"Origin": "http://localhost:3000", **asked})
        self.assertEqual((allowed.status, allowed.body), (200, b"OK"))
        self.assertEqual(allowed.header("Access-Control-Allow-Origin"), "http://localhost:3000")
        foreign = self.ask("OPTIONS", "/api/settings", key=None, headers={"Origin": "https://evil.example", **asked})
        self.assertEqual(foreign.status, 400)
        self.assertIsNone(foreign.header("Access-Control-Allow-Origin"))

    def test_schemas(self):
        agent = self.ask("GET", "/api/settings/agent-schema").json()
        self.assertEqual([section["key"] for section in agent["sections"]],
                         ["general", "llm", "agent_context", "condenser", "verification", "acp", "llm"])  # fmt: skip
        self.assertEqual(self.ask("GET", "/api/settings/conversation-schema").json()["model_name"], "ConversationSettings")

    def test_everything_survives_a_restart(self):
        coffer = self.fresh()
        ask = coffer.client()
        self.put("KEPT", "value", ask)
        self.assertEqual(ask("PATCH", "/api/settings", {"misc_settings_diff": {"kept": True}}).status, 200)
        ask.close()
        self.assertEqual(coffer.stop(), 0)
        coffer.up()
        self.assertEqual(self.value("KEPT", ask), b"value")
        self.assertTrue(ask("GET", "/api/settings").json()["misc_settings"]["kept"])
        ask.close()

    def test_levels_of_keys(self):
        """A key made by `coffer key create` does what its level allows, until it is revoked."""
        self.put("LEVELLED", "value")
        self.patch({"agent_settings_diff": {"llm": {"api_key": "value-levelled"}}})
        reads = {
            "masked": (200, 403, 403, 403, 403),
            "frontend": (200, 200, 403, 403, 200),
            "backend": (200, 200, 200, 200, 200),
            "lookup": (403, 403, 403, 200, 403),
        }
        for level, wanted in reads.items():
            with self.subTest(level):
                key = self.coffer.create_key(level)
                got = tuple(
                    self.ask(method, target, body, key=key, headers={"X-Expose-Secrets": mode} if mode else {}).status
                    for method, target, body, mode in (
                        ("GET", "/api/settings", None, None),
                        ("GET", "/api/settings", None, "encrypted"),
                        ("GET", "/api/settings", None, "plaintext"),
                        ("GET", "/api/settings/secrets/LEVELLED", None, None),
                        ("PATCH", "/api/settings", {"misc_settings_diff": {"by": level}}, None),
                    )
                )
                self.assertEqual(got, wanted)
                self.coffer.command("key", "revoke", "--dir", self.coffer.folder, key.split("_")[1])
                self.assertEqual(self.ask("GET", "/api/settings", key=key).status, 401)

    def test_socket_without_nginx(self):
        status, _, body = self.coffer.direct("GET", "/ready", key=None)
        self.assertEqual((status, body), (200, b'{"status":"ready"}'))
        self.assertEqual(self.coffer.direct("GET", "/api/settings", key=None)[0], 401)
        self.assertIn(self.coffer.direct("GET", "/api/settings/secrets/../secrets")[0], (400, 404))

    def test_doubled_parameter_is_refused(self):
        key = self.coffer.keys["sessionKey"].encode()
        params = fastcgi.settings_params("GET", "/api/settings") + [(b"HTTP_X_SESSION_API_KEY", key)] * 2
        self.assertEqual(fastcgi.exchange(self.coffer.socket_path, params)[0], 400)


if __name__ == "__main__":
    unittest.main()
