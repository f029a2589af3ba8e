"""Kills, wrong keys and full disks: an acknowledged write is there, and nothing else is touched.

COFFER_ROUNDS sets the rounds of T20 (25 by default)."""

import contextlib
import hashlib
import http.client
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time
import unittest

from coffer_harness import CofferTestCase

ROUNDS = int(os.environ.get("COFFER_ROUNDS", "25"))
NOT_ANSWERED = (OSError, http.client.HTTPException)


def fingerprints(folder):
    """Every file below the folder with the SHA-256 of its contents. Left out: sockets, logs, and the
    WAL's shared index, which holds nothing that lasts and is written by whoever opens to read."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file() and "/run/" not in str(path) and not path.name.endswith((".log", "-shm"))
    }


class Writer(threading.Thread):
    """Writes its own secrets until told to stop, and remembers what was acknowledged."""

    def __init__(self, coffer, number):
        super().__init__(daemon=True)
        self.ask, self.number = coffer.client(timeout=5), number
        self.acknowledged, self.attempted = {}, {}
        self.stopping = threading.Event()

    def run(self):
        count = 0
        while not self.stopping.is_set():
            count += 1
            name, value = "W%d_%d" % (self.number, count % 20), "%d-%s" % (count, "x" * random.randrange(400))
            self.attempted.setdefault(name, set()).add(value)
            try:
                if self.ask("PUT", "/api/settings/secrets", {"name": name, "value": value}).status == 200:
                    self.acknowledged[name] = value
                    self.attempted[name] = {value}
            except NOT_ANSWERED:
                time.sleep(0.005)


class KillTests(CofferTestCase):
    def test_no_acknowledged_write_is_lost(self):
        """T20."""
        for round_number in range(ROUNDS):
            writers = [Writer(self.coffer, round_number * 4 + number) for number in range(4)]
            for writer in writers:
                writer.start()
            time.sleep(random.uniform(0.05, 0.5))
            self.assertLess(self.coffer.kill_responder(), 10)
            for writer in writers:
                writer.stopping.set()
            for writer in writers:
                writer.join(20)
                writer.ask.close()
            self.ask.close()
            with self.subTest(round=round_number):
                for writer in writers:
                    self.check(writer)
        verdict = self.coffer.command("audit", "verify", "--dir", self.coffer.folder).stdout
        self.assertNotIn("false", verdict)

    def check(self, writer):
        for name, value in writer.acknowledged.items():
            stored = self.value(name).decode()
            # an unanswered later write may have happened; a torn or an older value may not be there
            self.assertTrue(stored == value or stored in writer.attempted[name], "%s lost its acknowledged value" % name)

    def test_acknowledged_writes_are_audited(self):
        for number in range(20):
            self.put("AUDITED_%d" % number, "v")
        self.ask.close()
        self.coffer.kill_responder()
        subjects = [str(entry) for entry in self.coffer.audit()]
        for number in range(20):
            self.assertTrue(any("AUDITED_%d'" % number in subject for subject in subjects), number)


class KeyTests(CofferTestCase):
    """T50 and T51: a start without the right root key is refused and changes no byte."""

    def setUp(self):
        self.coffer = self.fresh()
        self.ask = self.coffer.client()
        self.addCleanup(lambda: self.ask.close())
        self.put("KEPT", "value")
        self.ask.close()
        self.coffer.stop()
        self.key_file = self.find_key()

    def find_key(self):
        """The root key's file: named so, readable by its owner alone, outside the database."""
        names = [path for path in pathlib.Path(self.coffer.folder).rglob("*") if path.is_file() and "root" in path.name]
        self.assertEqual(len(names), 1, names)
        self.assertEqual(names[0].stat().st_mode & 0o777, 0o400)
        return names[0]

    def replace(self, contents):
        os.chmod(self.key_file, 0o600)
        if contents is None:
            self.key_file.unlink()
        else:
            self.key_file.write_bytes(contents)
            os.chmod(self.key_file, 0o400)

    def refused(self):
        before, start = fingerprints(self.coffer.folder), time.monotonic()
        self.coffer.up(wait=False)
        status = self.coffer.process.wait(20)
        self.coffer.process = None
        self.assertNotEqual(status, 0)
        self.assertLess(time.monotonic() - start, 10)
        after = fingerprints(self.coffer.folder)
        self.assertEqual({path for path in {*before, *after} if before.get(path) != after.get(path)}, set())
        self.assertNotIn("KEPT", self.coffer.output())

    def test_another_key(self):
        other = self.fresh(start=False)
        name = self.key_file.relative_to(self.coffer.folder)
        original = self.key_file.read_bytes()
        self.replace(pathlib.Path(other.folder, name).read_bytes())
        self.refused()
        self.replace(original)
        self.coffer.up()
        self.assertEqual(self.value("KEPT"), b"value")

    def test_missing_key(self):
        self.replace(None)
        self.refused()
        self.assertIn("root.key", self.coffer.output())

    def test_empty_and_short_keys(self):
        original = self.key_file.read_bytes()
        for contents in (b"", b"\n", original[: len(original) // 2], b"short"):
            with self.subTest(len(contents)):
                self.replace(contents)
                self.refused()
        self.replace(original)
        self.coffer.up()
        self.assertEqual(self.value("KEPT"), b"value")


@unittest.skipIf(os.geteuid() != 0, "needs root to mount")
class DiskTests(CofferTestCase):
    """T23 and T24 on a small file system in memory."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="coffer-disk-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", self.disk], check=True)
        self.addCleanup(os.rmdir, self.disk)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)
        self.coffer = self.fresh(folder=os.path.join(self.disk, "store"))
        self.ask = self.coffer.client()
        self.addCleanup(self.ask.close)

    def test_full_disk(self):
        self.put("FIRST", "before")
        acknowledged, refusals = {}, set()
        for number in range(400):
            name, value = "N%d" % number, "%d-" % number + "x" * 30000
            answer = self.ask("PUT", "/api/settings/secrets", {"name": name, "value": value})
            if answer.status == 200:
                acknowledged[name] = value.encode()
            else:
                refusals.add(answer.status)
                if len(refusals) and number > len(acknowledged) + 5:
                    break
        self.assertTrue(refusals, "the disk never filled")
        self.assertLessEqual(refusals, {503, 507})
        # What exposes no value is readable as before; what must be audited may be refused.
        self.assertEqual(self.ask("GET", "/api/settings").status, 200)
        self.assertEqual(self.ask("GET", "/api/settings/secrets").status, 200)
        self.assertIn(self.ask("GET", "/api/settings/secrets/FIRST").status, (200, 503, 507))
        subprocess.run(["mount", "-o", "remount,size=32m", self.disk], check=True)
        end = time.monotonic() + 5
        while self.ask("PUT", "/api/settings/secrets", {"name": "AFTER", "value": "space"}).status != 200:
            self.assertLess(time.monotonic(), end, "not recovered 5 seconds after the space came back")
            time.sleep(0.2)
        for name, value in acknowledged.items():
            self.assertEqual(self.value(name), value, name)

    def test_read_only_disk(self):
        self.put("FIRST", "before")
        self.ask.close()
        self.coffer.stop()
        subprocess.run(["mount", "-o", "remount,ro", self.disk], check=True)
        self.coffer.up(wait=False)
        try:
            self.coffer.wait_ready(10)
        except RuntimeError:
            self.assertIsNotNone(self.coffer.process.poll(), "neither serves nor ends")
            self.assertTrue(self.coffer.output().strip(), "refused without a word")
            self.coffer.process = None
        else:
            self.assertEqual(self.ask("PUT", "/api/settings/secrets", {"name": "N", "value": "v"}).status, 503)
            self.ask.close()
            self.coffer.stop()
        subprocess.run(["mount", "-o", "remount,rw", self.disk], check=True)
        self.coffer.up()
        self.assertEqual(self.value("FIRST"), b"before")

    def test_two_at_once(self):
        """A second cofferd on the same store is refused and does not disturb the first."""
        self.put("FIRST", "one")
        second = type(self.coffer)(folder=self.coffer.folder, environment=self.environment)
        try:
            second.up(wait=False)
            self.assertNotEqual(second.process.wait(20), 0)
            second.process = None
        finally:
            with contextlib.suppress(AssertionError):
                second.stop()
        self.assertEqual(self.value("FIRST"), b"one")
        self.put("FIRST", "two")


if __name__ == "__main__":
    unittest.main()
