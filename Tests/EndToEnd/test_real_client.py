"""The OpenHands client library and agent server, unchanged, against Coffer. Runs in the environment that
Tests/RealServer/environment.sh makes, not with the system's Python."""

import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["OPENHANDS_SUPPRESS_BANNER"] = "1"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from openhands.sdk.secret import LookupSecret  # noqa: E402
from openhands.sdk.settings.api_models import SettingsResponse  # noqa: E402
from openhands.sdk.utils.cipher import Cipher  # noqa: E402
from pydantic import SecretStr  # noqa: E402

from coffer_harness import MASK, SECRET_KEY, SECRET_SETTINGS, Client, CofferTestCase, at, end_with_parent, free_port, leaves, secret_paths  # noqa: E402


def plain_settings(document):
    """The settings without what each server writes anew by itself."""
    document = {key: value for key, value in document.items() if key in ("agent_settings", "conversation_settings", "misc_settings")}
    document["agent_settings"].get("agent_context", {}).pop("current_datetime", None)
    return document


class RealClientTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.cipher = Cipher(SECRET_KEY)
        self.patch({"agent_settings_diff": SECRET_SETTINGS, "conversation_settings_diff": {"max_iterations": 77}})

    def test_its_models_read_every_mode(self):
        for mode in (None, "encrypted", "plaintext"):
            with self.subTest(mode=mode):
                response = SettingsResponse.model_validate(self.settings(mode))
                agent = response.get_agent_settings()
                self.assertEqual(agent.llm.model, "openai/gpt-4o")
                self.assertTrue(response.llm_api_key_is_set)
                self.assertEqual(response.get_conversation_settings().max_iterations, 77)
                if mode == "plaintext":
                    self.assertEqual(agent.llm.api_key.get_secret_value(), "value-llm-api-key")
                    self.assertEqual(agent.verification.critic_api_key.get_secret_value(), "value-critic-key")

    def test_its_models_read_the_other_agent_kind(self):
        self.patch({"agent_settings_diff": {"agent_kind": "acp", "acp_server": "codex"}})
        try:
            agent = SettingsResponse.model_validate(self.settings("plaintext")).get_agent_settings()
            self.assertEqual((agent.agent_kind, agent.acp_server), ("acp", "codex"))
        finally:
            self.patch({"agent_settings_diff": {"agent_kind": "openhands"}})

    def test_its_models_write_what_we_take(self):
        before = self.settings("plaintext")
        agent = SettingsResponse.model_validate(before).get_agent_settings()
        self.patch({"agent_settings_diff": agent.model_dump(mode="json", context={"expose_secrets": True})})
        after = self.settings("plaintext")
        for path in secret_paths():
            self.assertEqual(at(after["agent_settings"], path), at(before["agent_settings"], path), path)

    def test_its_cipher_opens_our_tokens(self):
        shown = self.settings("encrypted")["agent_settings"]
        opened = 0
        for path in secret_paths():
            token = at(shown, path)
            if isinstance(token, str) and token.startswith("gAAAAA"):
                self.assertEqual(self.cipher.decrypt(token).get_secret_value(), at(SECRET_SETTINGS, path), path)
                opened += 1
        self.assertGreaterEqual(opened, 10)

    def test_we_open_its_tokens(self):
        values = {"api_key": "sk-äöü 🙂", "aws_secret_access_key": "x" * 5000}
        self.patch({"agent_settings_diff": {"llm": {name: self.cipher.encrypt(SecretStr(value)) for name, value in values.items()}}})
        llm = self.settings("plaintext")["agent_settings"]["llm"]
        self.assertEqual({name: llm[name] for name in values}, values)

    def test_ten_thousand_values_pass_both_ciphers(self):
        """T02: its tokens in, our tokens out, opened by it: each value as it was."""
        generator = random.Random(20261124)
        alphabet = [chr(code) for code in range(0x20, 0x7F)] + list("äß漢字🙂\n\t\u0301")
        for _ in range(10):
            values = {"V%d" % number: "".join(generator.choices(alphabet, k=generator.randint(1, 120))) for number in range(1000)}
            # A value of blanks alone counts as empty for both servers.
            values = {name: value if value.strip() else "v" + value for name, value in values.items()}
            env = {name: self.cipher.encrypt(SecretStr(value)) for name, value in values.items()}
            self.patch({"agent_settings_diff": {"mcp_config": {"many": None}}})
            self.patch({"agent_settings_diff": {"mcp_config": {"many": {"command": "x", "env": env}}}})
            shown = self.settings("encrypted")["agent_settings"]["mcp_config"]["many"]["env"]
            self.assertEqual({name: self.cipher.decrypt(token).get_secret_value() for name, token in shown.items()}, values)

    def test_a_lookup_secret_reads_our_url(self):
        for name, value in (("PLAIN", "abc"), ("UNICODE", "ä漢🙂"), ("LINES", "one\ntwo\r\n\tthree "), ("JSON", '{"a": "b"}')):
            self.put(name, value)
            source = LookupSecret(
                url="http://127.0.0.1:%d/api/settings/secrets/%s" % (self.coffer.port, name),
                headers={"X-Session-API-Key": self.coffer.keys["sessionKey"]})  # fmt: skip
            self.assertEqual(source.get_value(), value)

    def test_a_lookup_secret_resolves_a_relative_url(self):
        self.put("RELATIVE", "value")
        os.environ["OH_INTERNAL_SERVER_URL"] = "http://127.0.0.1:%d" % self.coffer.port
        try:
            source = LookupSecret(
                url="/api/settings/secrets/RELATIVE", headers={"X-Session-API-Key": self.coffer.create_key("lookup")})  # fmt: skip
            self.assertEqual(source.get_value(), "value")
        finally:
            del os.environ["OH_INTERNAL_SERVER_URL"]


class RealServerTestCase(CofferTestCase):
    """An agent server of its own beside Coffer, with the same OH_SECRET_KEY on both."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.state = tempfile.TemporaryDirectory(prefix="coffer-real-")
        cls.addClassCleanup(cls.state.cleanup)
        home = cls.state.name
        cls.real_port = free_port()
        environment = {
            "PATH": str(pathlib.Path(sys.executable).parent) + ":/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENHANDS_SUPPRESS_BANNER": "1", "OH_SECRET_KEY": SECRET_KEY,
            "OH_PERSISTENCE_DIR": home + "/store", "OH_CONVERSATIONS_PATH": home + "/conversations", "OH_BASH_EVENTS_DIR": home + "/bash",
            "OH_ENABLE_VSCODE": "false", "OH_ENABLE_VNC": "false", "TMUX_TMPDIR": home,
        }  # fmt: skip
        cls.server_log = open(home + "/log", "wb")
        cls.addClassCleanup(cls.server_log.close)
        cls.server = subprocess.Popen(
            [sys.executable, "-m", "openhands.agent_server", "--host", "127.0.0.1", "--port", str(cls.real_port)],
            env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=cls.server_log, stderr=cls.server_log, preexec_fn=end_with_parent)  # fmt: skip
        cls.addClassCleanup(cls.end_server)
        cls.wait_for_server()

    @classmethod
    def end_server(cls):
        cls.server.terminate()
        try:
            cls.server.wait(20)
        except subprocess.TimeoutExpired:
            cls.server.kill()
            cls.server.wait()

    @classmethod
    def wait_for_server(cls):
        for _ in range(600):
            client = Client(cls.real_port, timeout=5)
            try:
                if client("GET", "/ready").status == 200:
                    return
            except OSError:
                pass
            finally:
                client.close()
            if cls.server.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("the agent server did not become ready: " + pathlib.Path(cls.state.name, "log").read_text()[-2000:])

    def setUp(self):
        super().setUp()
        self.real = Client(self.real_port, timeout=60)
        self.addCleanup(self.real.close)

    def open_tokens(self, llm, members):
        cipher = Cipher(SECRET_KEY)

        def opened(value):
            if isinstance(value, dict):
                return {name: opened(member) for name, member in value.items()}
            if isinstance(value, list):
                return [opened(member) for member in value]
            return cipher.decrypt(value).get_secret_value() if isinstance(value, str) and value.startswith("gAAAAA") else value

        for member in members:
            llm[member] = opened(llm[member])

    def plaintext(self, client):
        return plain_settings(client("GET", "/api/settings", headers={"X-Expose-Secrets": "plaintext"}).json())


class RealServerTests(RealServerTestCase):
    """Settings go over from one server to the other in encrypted form."""

    def move(self, source, target):
        shown = source("GET", "/api/settings", headers={"X-Expose-Secrets": "encrypted"})
        self.assertEqual(shown.status, 200)
        document = shown.json()
        answer = target(
            "PATCH", "/api/settings",
            {"agent_settings_diff": document["agent_settings"], "conversation_settings_diff": document["conversation_settings"],
             "misc_settings_diff": document["misc_settings"]})  # fmt: skip
        self.assertEqual(answer.status, 200, answer.body[:300])

    def test_settings_move_both_ways(self):
        self.patch({"agent_settings_diff": SECRET_SETTINGS, "misc_settings_diff": {"theme": "dark"}})
        self.move(self.ask, self.real)
        ours, theirs = self.plaintext(self.ask), self.plaintext(self.real)
        # The agent server keeps no secrets in headers and extra bodies and passes them on as they are; Coffer seals those
        # with secret-like names (docs/decisions/0004). What it was given there are tokens that its cipher opens.
        self.open_tokens(theirs["agent_settings"]["llm"], ("extra_headers", "litellm_extra_body"))
        self.assertEqual(theirs, ours)
        changed = {"llm": {"api_key": "value-changed"}, "mcp_config": {"files": {"env": {"TOKEN": "value-new-env"}}}}
        self.assertEqual(self.real("PATCH", "/api/settings", {"agent_settings_diff": changed}).status, 200)
        self.move(self.real, self.ask)
        ours, theirs = self.plaintext(self.ask), self.plaintext(self.real)
        self.open_tokens(theirs["agent_settings"]["llm"], ("extra_headers", "litellm_extra_body"))
        self.assertEqual(ours, theirs)
        self.assertEqual(ours["agent_settings"]["llm"]["api_key"], "value-changed")
        self.assertNotIn(MASK, [value for _, value in leaves(ours)])


class RealFolderTests(RealServerTestCase):
    def test_its_folder_is_imported_whole(self):
        """Written by the agent server itself, sealed with its key; read into a Coffer with another wire key."""
        self.assertEqual(self.real("PATCH", "/api/settings", {"agent_settings_diff": SECRET_SETTINGS, "misc_settings_diff": {"a": 1}}).status, 200)
        for name, value in (("ONE", "value-one"), ("UNICODE", "v ä漢🙂"), ("LINES", "a\nb ")):
            answer = self.real("PUT", "/api/settings/secrets", {"name": name, "value": value, "description": "of " + name})
            self.assertEqual(answer.status, 200)
        made = self.real("POST", "/api/llm/provider-connections", {"display_name": "Work", "api_key": "value-shared", "base_url": "http://127.0.0.1:9/v1"})
        self.assertEqual(made.status, 201)
        linked = {"llm": {"model": "openai/gpt-4o", "provider_connection_id": made.json()["id"], "aws_secret_access_key": "value-aws"}}
        self.assertEqual(self.real("POST", "/api/profiles/linked", linked).status, 201)
        self.assertEqual(self.real("POST", "/api/profiles/own", {"llm": {"model": "m", "api_key": "value-own"}}).status, 201)
        self.assertEqual(self.real("POST", "/api/agent-profiles/coder", {"llm_profile_ref": "own", "tools": [{"name": "terminal"}]}).status, 201)
        self.assertEqual(self.real("POST", "/api/workspaces", {"workspaces": [{"id": "1", "name": "w", "path": "/w"}]}).status, 200)

        coffer = self.fresh(environment={})
        folder = self.state.name + "/store"
        # Without its key nothing opens: it says where, and imports nothing.
        refused = coffer.command("import", "openhands", folder, "--dir", coffer.folder, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("does not open: secrets.json#/custom_secrets/ONE", refused.stdout)
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.assertEqual(ask("GET", "/api/settings/secrets").json()["secrets"], [])

        coffer.environment["OH_SECRET_KEY"] = SECRET_KEY
        plan = coffer.command("import", "openhands", folder, "--dir", coffer.folder, "--dry-run")
        self.assertNotIn("value-", plan.stdout + plan.stderr)
        self.assertEqual(ask("GET", "/api/settings/secrets").json()["secrets"], [])
        for _ in range(2):
            coffer.command("import", "openhands", folder, "--dir", coffer.folder)
        for path, mode in (("/api/settings", "plaintext"), ("/api/profiles/own", "plaintext"), ("/api/profiles/linked", "plaintext"),
                           ("/api/profiles", None), ("/api/agent-profiles/coder", None), ("/api/workspaces", None),
                           ("/api/llm/provider-connections", None), ("/api/settings/secrets", None)):  # fmt: skip
            headers = {"X-Expose-Secrets": mode} if mode else {}
            ours, theirs = ask("GET", path, headers=headers).json(), self.real("GET", path, headers=headers).json()
            if path == "/api/settings":
                self.open_tokens(theirs["agent_settings"]["llm"], ("extra_headers", "litellm_extra_body"))
                ours, theirs = plain_settings(ours), plain_settings(theirs)
            self.assertEqual(ours, theirs, path)
        for name, value in (("ONE", "value-one"), ("UNICODE", "v ä漢🙂"), ("LINES", "a\nb ")):
            self.assertEqual(ask("GET", "/api/settings/secrets/" + name).body, value.encode())
        entries = [entry["action"] for entry in coffer.audit()]
        self.assertEqual(entries.count("import.openhands"), 2)
