"""Where the root key may come from: a file, a systemd credential, a program; and what is refused."""

import os
import pathlib
import shutil
import subprocess
import time
import unittest

from coffer_harness import CofferTestCase, binaries


class KeySourceTests(CofferTestCase):
    def setUp(self):
        self.coffer = self.fresh(start=False)
        self.key = pathlib.Path(self.coffer.folder, "keys", "root.key")
        self.text = self.key.read_text()
        self.away = os.path.join(self.coffer.home, "kept apart")
        os.mkdir(self.away, 0o700)
        self.elsewhere = os.path.join(self.away, "coffer-root-key")
        shutil.move(self.key, self.elsewhere)

    def serves(self):
        self.coffer.up()
        ask = self.coffer.client()
        self.addCleanup(ask.close)
        self.put("TOKEN", "value", ask)
        self.assertEqual(self.value("TOKEN", ask), b"value")
        # The commands beside a running server, and without one.
        self.coffer.command("verify", "--dir", self.coffer.folder)
        ask.close()
        self.coffer.stop()
        self.coffer.command("verify", "--dir", self.coffer.folder)

    def refusal(self):
        """What cofferd says when it does not start; the seconds it took."""
        start = time.monotonic()
        done = subprocess.run(
            [str(binaries() / "cofferd"), "--dir", self.coffer.folder], env=self.coffer.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 66, done.stderr)
        self.assertNotIn(self.text.split()[2], done.stdout + done.stderr)
        return done.stderr + done.stdout, time.monotonic() - start

    def program(self, script):
        path = os.path.join(self.coffer.home, "print-key")
        pathlib.Path(path).write_text("#!/bin/sh\n" + script)
        os.chmod(path, 0o700)
        return path

    def test_no_key(self):
        self.assertIn("does not exist", self.refusal()[0])

    def test_a_named_file(self):
        self.coffer.environment["COFFER_ROOT_KEY_FILE"] = self.elsewhere
        self.serves()
        os.chmod(self.elsewhere, 0o440)
        self.assertIn("open to other users", self.refusal()[0])
        os.chmod(self.elsewhere, 0o600)
        pathlib.Path(self.elsewhere).write_text(self.text.replace(self.text.split()[3], "00000000"))
        self.assertIn("its check does not fit", self.refusal()[0])
        pathlib.Path(self.elsewhere).write_text("no key at all\n")
        self.assertIn("is none", self.refusal()[0])

    def test_a_credential(self):
        self.coffer.environment["CREDENTIALS_DIRECTORY"] = self.away
        self.serves()

    def test_a_program(self):
        # It gets its words, PATH and HOME, and nothing else; what it says on standard error goes nowhere.
        seen = os.path.join(self.coffer.home, "seen")
        script = 'echo "$1 $2" > "%s"; env >> "%s"; echo noise >&2; cat "%s"\n' % (seen, seen, self.elsewhere)
        self.coffer.environment["COFFER_ROOT_KEY_COMMAND"] = self.program(script) + "  of  coffer"
        self.coffer.environment["HOME"] = self.coffer.home
        self.serves()
        words, *variables = pathlib.Path(seen).read_text().splitlines()
        self.assertEqual(words, "of coffer")
        self.assertEqual({line.split("=")[0] for line in variables} - {"PWD", "_", "SHLVL", "OLDPWD"}, {"PATH", "HOME"})
        self.assertNotIn("noise", self.coffer.output())
        self.coffer.environment["COFFER_ROOT_KEY_FILE"] = self.elsewhere
        self.assertIn("both set", self.refusal()[0])

    def test_programs_that_fail(self):
        for script, expected in (
            ("cat '%s'; exit 7" % self.elsewhere, "failed with 7"), ("kill -9 $$", "failed with 137"), ("echo no key", "is none"),
            ("true", "is none"), ("yes", "more than a key"), ("head -c 5000 /dev/zero; sleep 100", "more than a key"),
        ):  # fmt: skip
            with self.subTest(script):
                self.coffer.environment["COFFER_ROOT_KEY_COMMAND"] = self.program(script + "\n")
                said, seconds = self.refusal()
                self.assertIn(expected, said)
                self.assertLess(seconds, 20)
        self.coffer.environment["COFFER_ROOT_KEY_COMMAND"] = "/no/such/program"
        self.assertIn("cannot be started", self.refusal()[0])
        self.coffer.environment["COFFER_ROOT_KEY_COMMAND"] = "print-key"
        done = subprocess.run(
            [str(binaries() / "cofferd"), "--dir", self.coffer.folder], env=self.coffer.environment, capture_output=True, text=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("absolute path", done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
