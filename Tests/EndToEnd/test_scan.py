"""`coffer scan`: keys in files of any kind are found and never shown."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from clients_harness import binaries
from scoped_harness import ScopedTestCase


class ScanTests(ScopedTestCase):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="coffer-scan-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        agent = self.agent("builder")
        child = agent.call("POST", "/agent/identity/tokens", {"name": "run", "ttlSeconds": 600})
        invite = self.operator("POST", self.below("invites"), {
            "label": "x", "memberships": [], "expiresAt": "2099-01-01T00:00:00.000Z", "maxUses": 1}, status=201)  # fmt: skip
        self.keys = {
            "session": self.coffer.keys["sessionKey"], "admin": self.coffer.keys["adminKey"], "agent": agent.key,
            "child": child["token"], "invite": invite["inviteToken"],
        }  # fmt: skip

    def write(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def scan(self, *arguments, status=1, input=b""):
        """(lines found, what was said on standard error); no secret part of any key in either."""
        result = subprocess.run(
            [str(binaries() / "coffer"), "scan", *arguments], input=input, capture_output=True, cwd=self.folder, timeout=120, check=False)  # fmt: skip
        for key in self.keys.values():
            self.assertNotIn(key[21:].encode(), result.stdout + result.stderr)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout.decode().splitlines(), result.stderr.decode()

    def test_every_kind_is_found_where_it_is(self):
        for kind, key in self.keys.items():
            with self.subTest(kind):
                path = self.write(kind, b"\0\xff KEY=" + key.encode() + b"\n")
                self.assertEqual(self.scan(path)[0], ["%s:7  %s  %s" % (path, kind, key[4:20])])
                shown = json.loads(self.scan("--json", path)[0][0])
                self.assertEqual(shown, {"path": path, "offset": 7, "kind": kind, "id": key[4:20]})
        self.assertEqual(len(self.scan(".")[0]), 5)

    def test_long_files_are_read_across_their_pieces(self):
        key = self.keys["agent"].encode()
        piece = 1 << 18
        places = [piece - 70, piece * 2 - 69, piece * 3 - 35, piece * 4 - 1, piece * 5]
        data = bytearray(b"_" * (piece * 6))
        for place in places:
            data[place : place + len(key)] = key
        lines = self.scan(self.write("long", bytes(data)))[0]
        self.assertEqual([int(line.split(":")[1].split()[0]) for line in lines], places)

    def test_nothing_is_passed_over_in_silence(self):
        self.write("deep/er/.hidden", self.keys["session"].encode())
        os.symlink("er", os.path.join(self.folder, "deep", "link"))
        os.mkfifo(os.path.join(self.folder, "deep", "fifo"))
        lines, said = self.scan("deep")
        self.assertEqual([line.split(":")[0] for line in lines], ["deep/er/.hidden"])
        self.assertIn("not scanned: deep/link: a symbolic link", said)
        self.assertIn("not scanned: deep/fifo: neither a file nor a directory", said)
        self.assertIn("not scanned: missing: No such file", self.scan("missing", status=2)[1])
        self.assertEqual(len(self.scan("deep/link")[0]), 1)

    def test_standard_input_and_clean_files(self):
        self.assertEqual(self.scan("-", input=b"+" + self.keys["admin"].encode())[0][0].split("  ")[:2], ["-:1", "admin"])
        wrong = self.keys["admin"][:-1] + ("A" if self.keys["admin"][-1] != "A" else "B")
        self.assertEqual(self.scan(self.write("clean", wrong.encode()), status=0), ([], ""))
        self.scan(status=64)

    def test_key_in_a_name_is_found_and_masked(self):
        key = self.keys["agent"]
        self.write(key + "\x1b.txt", b"")
        self.assertEqual(self.scan(".")[0], ["./%s%s\\x1b.txt: in the name  agent  %s" % (key[:21], "*" * 49, key[4:20])])


if __name__ == "__main__":
    unittest.main()
