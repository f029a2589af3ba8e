"""In from an agent server's own folder, and out into one that it starts on. Runs in the environment that
Tests/RealServer/environment.sh makes, not with the system's Python."""

import json
import os
import pathlib
import stat
import tempfile

from coffer_harness import MASK, SECRET_KEY, SECRET_SETTINGS, Client
from test_real_client import RealServer, RealServerTestCase, plain_settings

CUSTOM = (("ONE", "value-one"), ("UNICODE", "v ä漢🙂"), ("LINES", "a\nb "), ("LONG", "x" * 60000))
SHOWN = (
    ("/api/settings", "plaintext"), ("/api/profiles/own", "plaintext"), ("/api/profiles/linked", "plaintext"), ("/api/profiles", None),
    ("/api/agent-profiles", None), ("/api/agent-profiles/coder", None), ("/api/workspaces", None), ("/api/llm/provider-connections", None),
    ("/api/settings/secrets", None),
)  # fmt: skip


class MovingTests(RealServerTestCase):
    def fill(self, ask):
        """Something of everything, through the API that both servers have."""
        self.assertEqual(
            ask("PATCH", "/api/settings", {"agent_settings_diff": SECRET_SETTINGS, "misc_settings_diff": {"a": 1}}).status, 200)  # fmt: skip
        for name, value in CUSTOM:
            self.assertEqual(ask("PUT", "/api/settings/secrets", {"name": name, "value": value, "description": "of " + name}).status, 200)
        made = ask("POST", "/api/llm/provider-connections", {"display_name": "Work", "api_key": "value-shared", "base_url": "http://127.0.0.1:9/v1"})
        self.assertEqual(made.status, 201)
        linked = {"llm": {"model": "openai/gpt-4o", "provider_connection_id": made.json()["id"], "aws_secret_access_key": "value-aws"}}
        self.assertEqual(ask("POST", "/api/profiles/linked", linked).status, 201)
        self.assertEqual(ask("POST", "/api/profiles/own", {"llm": {"model": "m", "api_key": "value-own"}}).status, 201)
        self.assertEqual(ask("POST", "/api/agent-profiles/coder", {"llm_profile_ref": "own", "tools": [{"name": "terminal"}]}).status, 201)
        self.assertEqual(ask("POST", "/api/workspaces", {"workspaces": [{"id": "1", "name": "w", "path": "/w"}]}).status, 200)

    def everything(self, ask):
        """What a server answers, with the tokens opened that only one of the two keeps as they are (docs/decisions/0004)."""
        found = {}
        for path, mode in SHOWN:
            answer = ask("GET", path, headers={"X-Expose-Secrets": mode} if mode else {})
            self.assertEqual(answer.status, 200, path)
            found[path] = answer.json()
        self.open_tokens(found["/api/settings"]["agent_settings"]["llm"], ("extra_headers", "litellm_extra_body"))
        found["/api/settings"] = plain_settings(found["/api/settings"])
        for name, _ in CUSTOM:
            answer = ask("GET", "/api/settings/secrets/" + name)
            self.assertEqual(answer.status, 200, name)
            found[name] = answer.body.decode()
        return found

    def assertSame(self, first, second):
        for key in first:
            self.assertEqual(first[key], second[key], key)
        self.assertEqual({name: first[name] for name, _ in CUSTOM}, dict(CUSTOM))

    def client_of(self, coffer):
        ask = coffer.client()
        self.addCleanup(ask.close)
        return ask

    def test_its_folder_is_imported_whole(self):
        """Written by the agent server itself, sealed with its key; read into a Coffer with another wire key."""
        self.fill(self.real)
        theirs = self.everything(self.real)
        self.server.stop()
        folder = self.server.folder
        try:
            coffer = self.fresh(environment={})
            ask = self.client_of(coffer)
            # Without its key nothing opens: it says where, and imports nothing.
            refused = coffer.command("import", "openhands", folder, "--dir", coffer.folder, check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("does not open: secrets.json#/custom_secrets/ONE", refused.stdout)
            self.assertEqual(ask("GET", "/api/settings/secrets").json()["secrets"], [])

            coffer.environment["OH_SECRET_KEY"] = SECRET_KEY
            plan = coffer.command("import", "openhands", folder, "--dir", coffer.folder, "--dry-run")
            self.assertNotIn("value-", plan.stdout + plan.stderr)
            self.assertEqual(ask("GET", "/api/settings/secrets").json()["secrets"], [])
            for _ in range(2):
                coffer.command("import", "openhands", folder, "--dir", coffer.folder)
            self.assertSame(self.everything(ask), theirs)
            self.assertEqual([entry["action"] for entry in coffer.audit()].count("import.openhands"), 2)
        finally:
            self.server.start()

    def test_it_starts_on_what_is_exported(self):
        coffer = self.fresh()
        ask = self.client_of(coffer)
        self.fill(ask)
        ours = self.everything(ask)
        home = tempfile.TemporaryDirectory(prefix="coffer-moved-")
        self.addCleanup(home.cleanup)
        folder = home.name + "/store"
        result = coffer.command("export", "openhands", folder, "--dir", coffer.folder)
        self.assertIn("OH_SECRET_KEY", result.stdout)
        self.assertIn("settings.json#/agent_settings/llm/extra_headers", result.stdout)
        self.assertEqual(coffer.audit()[-1]["action"], "export.openhands")
        for path in [pathlib.Path(folder), *pathlib.Path(folder).rglob("*")]:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o700 if path.is_dir() else 0o600, path)
            if path.is_file():
                text = path.read_text("ascii")
                self.assertNotIn("value-", text)
                self.assertEqual(json.dumps(json.loads(text), indent=2), text, "as the agent server writes it")
        server = RealServer(home.name, folder)
        self.addCleanup(server.stop)
        server.start()
        real = Client(server.port, timeout=60)
        self.addCleanup(real.close)
        theirs = self.everything(real)
        self.assertSame(ours, theirs)
        self.assertNotIn(MASK, json.dumps(theirs["/api/settings"]))
        # What it writes into the folder from now on comes back as well.
        changed = {"llm": {"api_key": "value-changed-there"}}
        self.assertEqual(real("PATCH", "/api/settings", {"agent_settings_diff": changed}).status, 200)
        server.stop()
        back = self.fresh()
        back.command("import", "openhands", folder, "--dir", back.folder)
        again = self.client_of(back)
        self.assertEqual(
            again("GET", "/api/settings", headers={"X-Expose-Secrets": "plaintext"}).json()["agent_settings"]["llm"]["api_key"],
            "value-changed-there")  # fmt: skip
