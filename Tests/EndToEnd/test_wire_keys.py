"""The keys of encrypted values: replaced while the server runs, opened until they are retired."""

import json
import os
import pathlib
import stat
import time

from coffer_harness import SECRET_KEY, CofferTestCase


class WireKeyTests(CofferTestCase):
    environment = {}

    def wire_key(self, coffer, *arguments, **options):
        return coffer.command("wire-key", *arguments, "--dir", coffer.folder, **options)

    def listed(self, coffer):
        return [json.loads(line) for line in self.wire_key(coffer, "list", "--json").stdout.splitlines()]

    def token(self, coffer):
        ask = coffer.client()
        try:
            shown = ask("GET", "/api/settings", headers={"X-Expose-Secrets": "encrypted"}).json()
            return shown["agent_settings"]["llm"]["api_key"]
        finally:
            ask.close()

    def answer_to(self, coffer, token):
        """The status of a PATCH with the token, on a connection of its own."""
        ask = coffer.client()
        try:
            return ask("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"aws_session_token": token}}}).status
        finally:
            ask.close()

    def wait_for(self, coffer, token, status):
        """Kept connections of nginx may reach the old process for some seconds."""
        for _ in range(200):
            if self.answer_to(coffer, token) == status:
                return
            time.sleep(0.05)
        self.fail("no %d" % status)

    def filled(self, **options):
        coffer = self.fresh(**options)
        ask = coffer.client()
        answer = ask("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "value-of-the-token"}}})
        self.assertEqual(answer.status, 200)
        ask.close()
        return coffer

    def key_text(self, coffer):
        return pathlib.Path(coffer.folder, "keys", "wire.key").read_text().strip()

    def test_rotate_and_retire(self):
        coffer = self.filled()
        old_text, old = self.key_text(coffer), self.token(coffer)
        (before,) = self.listed(coffer)
        self.assertTrue(before["isPrimary"] and before["since"])
        pid = coffer.responder()
        output = self.wire_key(coffer, "rotate").stdout
        self.assertNotEqual(coffer.responder(), pid)
        new_text = self.key_text(coffer)
        self.assertNotEqual(new_text, old_text)
        for text in (old_text, new_text):
            self.assertNotIn(text, output + json.dumps(self.listed(coffer)) + coffer.output() + json.dumps(coffer.audit()))
        primary, retired = self.listed(coffer)
        self.assertEqual((primary["isPrimary"], retired["isPrimary"], retired["id"]), (True, False, before["id"]))
        self.assertNotEqual(primary["id"], before["id"])
        for path in pathlib.Path(coffer.folder, "keys").iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o400, path)
        self.assertEqual(self.answer_to(coffer, old), 200)
        new = self.opened_by_the_new_key_only(coffer, old_text, new_text)

        refused = self.wire_key(coffer, "retire", primary["id"], check=False)
        self.assertIn("That key seals; rotate it first.", refused.stderr)
        self.assertEqual(self.wire_key(coffer, "retire", "0" * 16, check=False).returncode, 1)
        self.wire_key(coffer, "retire", before["id"])
        self.wait_for(coffer, old, 422)
        self.assertEqual([key["id"] for key in self.listed(coffer)], [primary["id"]])
        self.assertEqual(self.answer_to(coffer, new), 200)
        self.assertEqual(sorted(os.listdir(coffer.folder + "/keys")), ["root.key", "wire.key"])
        actions = [(entry["action"], entry["secretId"]) for entry in coffer.audit() if entry["action"].startswith("wire_key")]
        self.assertEqual(actions, [("wire_key.rotate", primary["id"]), ("wire_key.retire", before["id"])])

    def opened_by_the_new_key_only(self, coffer, old_text, new_text):
        """A token of now, shown to two other servers that have the old key and the new one."""
        others = {text: self.fresh(environment={"OH_SECRET_KEY": text}) for text in (old_text, new_text)}
        for _ in range(200):
            token = self.token(coffer)
            if self.answer_to(others[new_text], token) == 200:
                break
            time.sleep(0.05)
        self.assertEqual(self.answer_to(others[new_text], token), 200)
        self.assertEqual(self.answer_to(others[old_text], token), 422)
        return token

    def test_while_nothing_runs(self):
        coffer = self.filled()
        old = self.token(coffer)
        coffer.stop()
        for _ in range(2):
            self.assertIn("takes effect at the next start", self.wire_key(coffer, "rotate").stdout)
        first = self.listed(coffer)
        self.assertEqual([key["isPrimary"] for key in first], [True, False, False])
        coffer.up()
        self.assertEqual(self.listed(coffer), first)
        self.assertEqual(self.answer_to(coffer, old), 200)

    def test_a_key_of_the_environment_is_changed_there(self):
        for environment, variable in (({"OH_SECRET_KEY": SECRET_KEY}, "OH_SECRET_KEY"), ({"SESSION_API_KEY": SECRET_KEY}, "SESSION_API_KEY")):
            with self.subTest(variable):
                coffer = self.fresh(environment=environment)
                text = self.key_text(coffer)
                refused = self.wire_key(coffer, "rotate", check=False)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("(%s)" % variable, refused.stderr)
                self.assertIn("OH_SECRET_KEYS_RETIRED_0", refused.stderr)
                self.assertEqual(self.key_text(coffer), text)
                (key,) = self.listed(coffer)
                self.assertEqual((key["id"], key["origin"], key["since"]), (variable, "environment", None))
                coffer.stop()

    def test_what_the_message_says_works(self):
        coffer = self.filled(environment={"OH_SECRET_KEY": SECRET_KEY})
        old = self.token(coffer)
        coffer.stop()
        coffer.environment.update({"OH_SECRET_KEY": "another-secret-key-of-32-bytes-or-so", "OH_SECRET_KEYS_RETIRED_0": SECRET_KEY})
        coffer.up()
        self.assertEqual(self.answer_to(coffer, old), 200)
        self.assertEqual([key["id"] for key in self.listed(coffer)], ["OH_SECRET_KEY", "OH_SECRET_KEYS_RETIRED_0"])
        refused = self.wire_key(coffer, "retire", "OH_SECRET_KEYS_RETIRED_0", check=False)
        self.assertIn("remove OH_SECRET_KEYS_RETIRED_0 there", refused.stderr)

    def test_only_the_host_changes_keys(self):
        admin = [("Authorization", "Bearer " + self.coffer.keys["adminKey"])]
        self.assertEqual(self.ask("GET", "/admin/v1/wire-keys", headers=admin, key=None).status, 200)
        self.assertEqual(self.ask("POST", "/admin/v1/wire-keys/rotate", headers=admin, key=None).status, 404)
        self.assertEqual(self.ask("DELETE", "/admin/v1/wire-keys/0", headers=admin, key=None).status, 404)
        self.assertEqual(self.ask("GET", "/admin/v1/wire-keys", key=None).status, 401)
