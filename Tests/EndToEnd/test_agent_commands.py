"""`coffer` with an agent's key, against a server behind TLS: values are sealed and opened on this side."""

import json
import os
import pathlib
import pty
import subprocess
import tempfile
import time
import unittest

from coffer_harness import Coffer, binaries
from contract_harness import Operator, World

VALUE = "first line\nsecond 'quoted' \"line\" $HOME \u00e9"


class AgentCommandTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.coffer = Coffer(tls=True)
        cls.addClassCleanup(cls.coffer.destroy)
        cls.coffer.init()
        cls.coffer.up()
        cls.operator = Operator(cls.coffer)
        cls.addClassCleanup(cls.operator.close)
        cls.world = World(cls.coffer, cls.operator)
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.agent = self.world.agent("agent-" + self.id().rpartition(".")[2][:40])
        self.folder = tempfile.TemporaryDirectory(prefix="coffer-agent-")
        self.addCleanup(self.folder.cleanup)
        self.key_file = pathlib.Path(self.folder.name, "agent.key")
        self.key_file.write_text(self.agent.key + "\n")
        self.key_file.chmod(0o600)
        self.environment = {
            "PATH": os.environ["PATH"], "COFFER_URL": "https://127.0.0.1:%d" % self.coffer.port,
            "COFFER_CA_FILE": os.path.join(self.coffer.folder, "tls", "certificate.pem"), "COFFER_AGENT_KEY_FILE": str(self.key_file),
        }  # fmt: skip

    def run_command(self, *words, input=None, status=0, **environment):
        result = subprocess.run(
            [str(binaries() / "coffer"), *words], input=input, capture_output=True, env={**self.environment, **environment}, timeout=60,
            check=False)  # fmt: skip
        self.assertEqual(result.returncode, status, result.stderr)
        return result

    def set(self, *words, value=VALUE):
        return self.run_command("set", *words, input=value.encode())

    def test_the_walk(self):
        facts = json.loads(self.run_command("whoami", "--json").stdout)
        self.assertEqual((facts["agentId"], facts["tenantId"]), (self.agent.id, self.world.id))
        self.assertIn(self.agent.id.encode(), self.run_command("scopes").stdout)
        self.set("acme-api", "token")
        self.set("acme-api", "base_url", "--plaintext", value="https://api.acme.example")
        self.assertEqual(self.run_command("get", "acme-api", "token").stdout, VALUE.encode())
        self.assertEqual(self.run_command("get", "acme-api", "base_url").stdout, b"https://api.acme.example")
        self.assertIn(b"name a field", self.run_command("get", "acme-api", status=2).stderr)
        field = self.agent.data("GET", self.agent.own + "/acme-api/fields/token")
        self.assertEqual(field["sensitivity"], "encrypted")
        self.assertNotIn("first line", json.dumps(field))
        self.assertIn(b"base_url,token*", self.run_command("list").stdout)
        self.assertIn(b"data_key.decrypted", self.run_command("history", "acme-api").stdout)
        self.assertIn(b"is deleted", self.run_command("rm", "acme-api", "base_url").stdout)
        self.assertEqual(self.run_command("get", "acme-api").stdout, VALUE.encode(), "the only field needs no name")
        self.run_command("rm", "acme-api")
        self.assertIn(b"secret_not_found", self.run_command("get", "acme-api", "token", status=5).stderr)

    def test_a_tenant_that_demands_conditions(self):
        """Whoever says `set` or `rm` means what is stored."""
        self.set("asked", "f", value="one")
        self.operator("PATCH", self.world.path + "/settings", {"requireIfMatch": True})
        self.addCleanup(self.operator, "PATCH", self.world.path + "/settings", {"requireIfMatch": False})
        self.set("asked", "f", value="two")
        self.assertEqual(self.run_command("get", "asked", "f").stdout, b"two")
        self.run_command("rm", "asked", "f")
        self.run_command("rm", "asked")
        self.run_command("get", "asked", "f", status=5)

    def test_values_stay_what_they_are(self):
        values = [b"", b"\x01\x02", bytes(range(1, 256)), b"x" * 65536, "\u00e9\u4e2d".encode()]
        for value in values:
            self.run_command("set", "exact", "f", "--exact", input=value)
            self.assertEqual(self.run_command("get", "exact", "f").stdout, value)
        self.run_command("set", "exact", "f", "--exact", input=b"x" * 65537, status=2)
        refused = self.run_command("set", "exact", "f", input=b"with a line end\n", status=2)
        self.assertIn(b"--trim", refused.stderr)
        self.assertNotIn(b"with a line", refused.stderr)
        self.run_command("set", "exact", "f", "--trim", input=b" padded \r\n")
        self.assertEqual(self.run_command("get", "exact", "f").stdout, b"padded")
        self.run_command("set", "exact", "f", "--exact", input=b" padded \r\n")
        self.assertEqual(self.run_command("get", "exact", "f").stdout, b" padded \r\n")
        source = pathlib.Path(self.folder.name, "value")
        source.write_bytes(b"from a file")
        self.run_command("set", "exact", "f", "--from", str(source))
        self.assertEqual(self.run_command("get", "exact", "f").stdout, b"from a file")

    def test_a_prompt_shows_nothing(self):
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [str(binaries() / "coffer"), "set", "typed", "f"], stdin=follower, stdout=follower, stderr=follower, env=self.environment,
            start_new_session=True)  # fmt: skip
        os.close(follower)
        shown = b""
        deadline = time.monotonic() + 30
        while b"value:" not in shown and time.monotonic() < deadline:
            shown += os.read(leader, 1024)
        time.sleep(0.2)
        os.write(leader, b"typed in the dark\n")
        while time.monotonic() < deadline:
            try:
                part = os.read(leader, 1024)
            except OSError:
                break
            if not part:
                break
            shown += part
        self.assertEqual(process.wait(30), 0, shown)
        os.close(leader)
        self.assertNotIn(b"typed in", shown)
        self.assertEqual(self.run_command("get", "typed", "f").stdout, b"typed in the dark")

    def test_running_a_command(self):
        self.set("acme-api", "token")
        self.set("acme-api", "base-url", "--plaintext", value="https://x")
        self.set("other", "token", value="another")
        child = ["--", "/usr/bin/env", "-0"]
        def variables(*words, **environment):
            output = self.run_command("run", *words, *child, **environment).stdout
            return dict(entry.split(b"=", 1) for entry in output.split(b"\0") if entry)
        found = variables("--secret", "acme-api", "--secret", "other:CI_", KEPT="1", COFFER_AGENT_KEY="")
        self.assertEqual(found[b"ACME_API_TOKEN"], VALUE.encode())
        self.assertEqual(found[b"ACME_API_BASE_URL"], b"https://x")
        self.assertEqual((found[b"CI_TOKEN"], found[b"KEPT"]), (b"another", b"1"))
        self.assertNotIn(b"COFFER_AGENT_KEY_FILE", found)
        self.assertNotIn(b"COFFER_AGENT_KEY", found)
        self.assertEqual(variables("--secret", "other:")[b"TOKEN"], b"another")
        clash = self.run_command("run", "--secret", "acme-api:", "--secret", "other:", *child, status=6)
        self.assertIn(b"TOKEN", clash.stderr)
        self.assertEqual(self.run_command("run", "--secret", "other", "--", "sh", "-c", "exit 41", status=41).stdout, b"")
        self.run_command("run", "--secret", "other", "--", "/no/such/program", status=2)
        self.run_command("set", "zero", "f", "--exact", input=b"a\0b")
        self.assertIn(b"zero byte", self.run_command("run", "--secret", "zero", *child, status=2).stderr)

    def test_resolving(self):
        team = self.world.team("team-" + self.agent.id[-6:])
        self.world.join(self.agent, "team", team, "manager")
        self.set("shared", "f", "--scope", "team:" + team, value="team's")
        self.assertEqual(self.run_command("resolve", "shared", "f").stdout, b"team's")
        self.assertIn(b"team", self.run_command("resolve", "shared").stdout)
        self.set("shared", "f", value="own")
        self.assertEqual(self.run_command("resolve", "shared", "f").stdout, b"own")
        found = json.loads(self.run_command("resolve", "shared", "--json").stdout)
        self.assertEqual((found["resolvedFrom"]["scope"], [row["scope"] for row in found["shadowed"]]), ("agent", ["team"]))
        self.assertIn(b"shared", self.run_command("resolve").stdout)
        self.run_command("list", "--scope", "team:nowhere", status=4)

    def test_exit_codes(self):
        self.run_command("get", "nothing", "f", status=5)
        self.run_command("get", status=2)
        self.run_command("get", "bad name!", "f", status=2)
        self.run_command("whoami", status=3, COFFER_AGENT_KEY_FILE="", COFFER_AGENT_KEY="agk_wrong")
        self.run_command("whoami", status=3, COFFER_AGENT_KEY_FILE="")
        self.run_command("whoami", status=2, COFFER_URL="http://example.org")
        self.run_command("whoami", status=2, COFFER_URL="")
        self.run_command("whoami", status=8, COFFER_URL="https://127.0.0.1:1")
        untrusted = self.run_command("whoami", status=8, COFFER_CA_FILE="")
        self.assertIn(b"not trusted", untrusted.stderr)
        self.key_file.chmod(0o644)
        self.assertIn(b"chmod", self.run_command("whoami", status=3).stderr)

    def test_the_key_is_in_no_argument_and_leaves_the_environment(self):
        leaked = self.run_command("whoami", COFFER_AGENT_KEY_FILE="", COFFER_AGENT_KEY=self.agent.key)
        self.assertNotIn(self.agent.key.encode(), leaked.stdout + leaked.stderr)


if __name__ == "__main__":
    unittest.main()
