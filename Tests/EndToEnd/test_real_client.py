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


class RealServer:
    """An agent server with its state below `home` and what it keeps in `folder`."""

    def __init__(self, home, folder, key=SECRET_KEY):
        self.port = free_port()
        self.home, self.folder = home, folder
        self.environment = {
            "PATH": str(pathlib.Path(sys.executable).parent) + ":/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENHANDS_SUPPRESS_BANNER": "1", "OH_SECRET_KEY": key,
            "OH_PERSISTENCE_DIR": folder, "OH_CONVERSATIONS_PATH": home + "/conversations", "OH_BASH_EVENTS_DIR": home + "/bash",
            "OH_ENABLE_VSCODE": "false", "OH_ENABLE_VNC": "false", "TMUX_TMPDIR": home,
        }  # fmt: skip
        self.process = None

    def start(self):
        with open(self.home + "/log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "openhands.agent_server", "--host", "127.0.0.1", "--port", str(self.port)],
                env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)  # fmt: skip
        for _ in range(600):
            client = Client(self.port, timeout=5)
            try:
                if client("GET", "/ready").status == 200:
                    return self
            except OSError:
                pass
            finally:
                client.close()
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("the agent server did not become ready: " + pathlib.Path(self.home, "log").read_text()[-2000:])

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class RealServerTestCase(CofferTestCase):
    """An agent server of its own beside Coffer, with the same OH_SECRET_KEY on both."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.state = tempfile.TemporaryDirectory(prefix="coffer-real-")
        cls.addClassCleanup(cls.state.cleanup)
        cls.server = RealServer(cls.state.name, cls.state.name + "/store")
        cls.addClassCleanup(cls.server.stop)
        cls.server.start()

    def setUp(self):
        super().setUp()
        self.real = Client(self.server.port, timeout=60)
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
