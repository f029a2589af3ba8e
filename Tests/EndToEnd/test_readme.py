"""The README's transcripts, pasted into a shell as they stand, but for the port."""

import os
import re
import subprocess
import unittest

from coffer_harness import Coffer, binaries
from nginx_harness import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(heading):
    """The indented blocks below a heading, without their indentation."""
    section = re.search(r"^## %s\n(.*?)(?=^## )" % re.escape(heading), README, re.M | re.S).group(1)
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section, re.M)
    return ["\n".join(line[4:] for line in block.strip("\n").split("\n")) for block in found]


class ReadmeTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.coffer = Coffer(tls=True)
        cls.addClassCleanup(cls.coffer.destroy)
        # Where the README keeps it: ~/.coffer.
        cls.coffer.folder = os.path.join(cls.coffer.home, ".coffer")
        cls.coffer.init()
        cls.coffer.up()

    def paste(self, script):
        """Stops at the first command that fails; its output."""
        script = script.replace("127.0.0.1:8443", "127.0.0.1:%d" % self.coffer.port)
        environment = {
            "HOME": self.coffer.home, "PATH": "%s:%s" % (binaries(), os.environ["PATH"]), "LANG": "C.UTF-8",
        }  # fmt: skip
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.coffer.home, env=environment, capture_output=True, text=True, timeout=120,
            check=False)  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_settings_and_secrets(self):
        script = next(block for block in blocks("Try it") if block.startswith("KEY="))
        output = self.paste(script.replace("KEY=csk_…", "KEY=" + self.coffer.keys["sessionKey"]).replace("curl -k", "curl -skf"))
        self.assertIn('{"status":"ready"}', output)
        self.assertIn("ghp_example", output)
        self.assertIn("**********", output)
        self.assertIn("gAAAAA", output)
        self.assertIn("sk-example", output)

    def test_agents(self):
        # Stop at an answer that is no success.
        output = self.paste("\n".join(blocks("Agents")).replace("curl -sk ", "curl -skf "))
        self.assertIn("sk-example", output)
        self.assertIn("https://api.acme.example\n", output)
        self.assertIn("data_key.decrypted", output)
        self.assertIn('"plaintextKey":"', output)
        self.assertEqual(output.count('"deleted":true'), 1)
        self.assertIn("is deleted", output)


if __name__ == "__main__":
    unittest.main()
