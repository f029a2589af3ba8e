"""A copy of the root key under a passphrase: written, tried, and brought back on a machine that has lost the key."""

import os
import pathlib
import stat
import unittest

from coffer_harness import Coffer, CofferTestCase

WORDS = "correct horse battery staple"


class EscrowTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.put("TOKEN", "value-kept")
        self.copy = os.path.join(self.coffer.home, self.id() + ".escrow")
        self.words = os.path.join(self.coffer.home, "words")
        pathlib.Path(self.words).write_text(WORDS + "\n")
        os.chmod(self.words, 0o600)
        self.key = pathlib.Path(self.coffer.folder, "keys", "root.key")

    def root(self, *words, dir=None, **options):
        return self.coffer.command("root", *words, "--dir", dir or self.coffer.folder, **options)

    def escrow(self):
        return self.root("escrow", "--out", self.copy, "--passphrase-file", self.words)

    def test_a_copy_is_written_and_tried(self):
        before = sorted(os.listdir(self.coffer.folder))
        self.escrow()
        text = pathlib.Path(self.copy).read_text()
        self.assertRegex(text, r"^coffer-root-escrow-v1 \w{16} 17 8 1 \S{24} \S{80} [0-9a-f]{8}\n$")
        self.assertEqual(stat.S_IMODE(os.stat(self.copy).st_mode), 0o400)
        self.assertNotIn(self.key.read_text().split()[2], text)
        # Nothing is written over, and standard input is as good as a file.
        self.assertIn("exists already", self.root("escrow", "--out", self.copy, input=WORDS, check=False).stderr)
        self.assertNotEqual(self.root("escrow", input=WORDS).stdout, text)
        drill = self.root("drill", self.copy, input=WORDS + "\n")
        self.assertIn("it opens this store", drill.stdout)
        # Stopped, too; and nothing is left behind either way.
        self.ask.close()
        self.coffer.stop()
        try:
            self.assertIn("it opens this store", self.root("drill", self.copy, "--passphrase-file", self.words).stdout)
        finally:
            self.coffer.up()
        self.assertEqual(sorted(os.listdir(self.coffer.folder)), before)

    def test_what_does_not_open_says_so(self):
        self.escrow()
        wrong = self.root("drill", self.copy, input="incorrect horse battery", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("another passphrase", wrong.stderr)
        self.assertNotIn("incorrect", wrong.stderr + wrong.stdout)
        self.assertIn("at least 12 bytes", self.root("escrow", input="short", check=False).stderr)
        os.chmod(self.words, 0o644)
        self.assertIn("open to other users", self.root("drill", self.copy, "--passphrase-file", self.words, check=False).stderr)
        slip = pathlib.Path(self.coffer.home, "slip")
        slip.write_text(pathlib.Path(self.copy).read_text().replace("8 1", "8 2"))
        self.assertIn("a slip in it", self.root("drill", str(slip), input=WORDS, check=False).stderr)
        # The copy of another store's key.
        other = self.fresh(start=False)
        theirs = other.command("root", "escrow", "--dir", other.folder, input=WORDS).stdout
        slip.write_text(theirs)
        refused = self.root("drill", str(slip), input=WORDS, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("this store is under another", refused.stderr)

    def test_a_lost_key_comes_back(self):
        self.escrow()
        self.ask.close()
        self.coffer.stop()
        kept = self.key.read_bytes()
        self.assertIn("exists already", self.root("restore", self.copy, input=WORDS, check=False).stderr)
        os.remove(self.key)
        self.assertIn("does not exist", self.coffer.command("verify", "--dir", self.coffer.folder, check=False).stderr)
        restored = self.root("restore", self.copy, input=WORDS)
        self.assertNotIn("wire key", restored.stdout)
        self.assertEqual(self.key.read_bytes(), kept)
        self.assertEqual(stat.S_IMODE(os.stat(self.key).st_mode), 0o400)
        self.coffer.up()
        self.assertEqual(self.value("TOKEN"), b"value-kept")


    def test_a_new_machine_with_a_backup_and_the_copy(self):
        self.escrow()
        backup = os.path.join(self.coffer.home, "backup")
        self.coffer.command("backup", "--dir", self.coffer.folder, "--to", backup)
        other = Coffer(environment=self.environment_without_wire_key())
        self.addCleanup(other.destroy)
        os.mkdir(other.folder, 0o700)
        restored = other.command("root", "restore", self.copy, "--dir", other.folder, input=WORDS)
        self.assertIn("a new wire key", restored.stdout)
        other.command("restore", "--dir", other.folder, "--from", backup)
        other.keys = self.coffer.keys
        other.up()
        ask = other.client()
        self.addCleanup(ask.close)
        self.assertEqual(self.value("TOKEN", ask), b"value-kept")

    def environment_without_wire_key(self):
        return {name: value for name, value in self.environment.items() if name != "OH_SECRET_KEY"}


if __name__ == "__main__":
    unittest.main()
