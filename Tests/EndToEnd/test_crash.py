"""Kills, wrong keys and full disks: an acknowledged write is there, and nothing else is touched.

COFFER_ROUNDS sets the rounds of T20 (25 by default), COFFER_CUTS those of T21 (10), COFFER_FAULTS those of T22 (10), COFFER_MINT_KILLS the
kills of T03 (10)."""

import base64
import contextlib
import fcntl
import hashlib
import http.client
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from coffer_harness import CofferTestCase, binaries, may_trace, running, working
from scoped_harness import ScopedTestCase

ROUNDS = int(os.environ.get("COFFER_ROUNDS", "25"))
MINT_KILLS = int(os.environ.get("COFFER_MINT_KILLS", "10"))
CUTS = int(os.environ.get("COFFER_CUTS", "10"))
FAULTS = int(os.environ.get("COFFER_FAULTS", "10"))
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


class WritersTestCase(CofferTestCase):
    def writers(self, round_number):
        """Four that write while the body runs."""
        return working([Writer(self.coffer, round_number * 4 + number) for number in range(4)])

    def check(self, acknowledged, attempted, ask=None):
        for name, value in acknowledged.items():
            stored = self.value(name, ask).decode()
            # an unanswered later write may have happened; a torn or an older value may not be there
            self.assertTrue(stored == value or stored in attempted[name], "%s lost its acknowledged value" % name)


class KillTests(WritersTestCase):
    def test_no_acknowledged_write_is_lost(self):
        """T20."""
        count = 0
        for round_number in range(ROUNDS):
            with self.writers(round_number) as writers:
                time.sleep(random.uniform(0.05, 0.5))
                self.assertLess(self.coffer.kill_responder(), 10)
            self.ask.close()
            with self.subTest(round=round_number):
                for writer in writers:
                    self.check(writer.acknowledged, writer.attempted)
                    count += len(writer.acknowledged)
        verdict = self.coffer.command("audit", "verify", "--dir", self.coffer.folder).stdout
        self.assertNotIn("false", verdict)
        print("\nT20 reached: %d kills, %d secrets looked at, 0 acknowledged writes lost" % (ROUNDS, count))

    def test_acknowledged_writes_are_audited(self):
        for number in range(20):
            self.put("AUDITED_%d" % number, "v")
        self.ask.close()
        self.coffer.kill_responder()
        subjects = [str(entry) for entry in self.coffer.audit()]
        for number in range(20):
            self.assertTrue(any("AUDITED_%d'" % number in subject for subject in subjects), number)


class Minter(threading.Thread):
    """Mints data keys until told to stop, and keeps the id and the nonce of each."""

    def __init__(self, test, agent):
        super().__init__(daemon=True)
        self.ask, self.agent = test.coffer.client(None, timeout=5), agent
        self.body, self.minted = agent.binding("s", "f"), []
        self.stopping = threading.Event()

    def run(self):
        headers = {"Authorization": "Bearer " + self.agent.key}
        while not self.stopping.is_set():
            try:
                answer = self.ask("POST", "/agent/secrets/generate-data-key", self.body, headers)
            except NOT_ANSWERED:
                time.sleep(0.005)
                continue
            if answer.status == 200:
                wrapped = base64.b64decode(answer.json()["data"]["dataKeyCiphertext"])
                self.minted.append((wrapped[26:42], wrapped[50:62]))


class MintKillTests(ScopedTestCase):
    def test_no_nonce_comes_again_and_every_use_is_counted(self):
        """T03, across kills: uses of a key are reserved before they are taken, so that a crash skips some and repeats none."""
        agent, minted = self.agent(), []
        for _ in range(MINT_KILLS):
            with working([Minter(self, agent) for _ in range(4)]) as minters:
                time.sleep(random.uniform(0.05, 0.5))
                self.coffer.kill_responder()
            minted += [pair for minter in minters for pair in minter.minted]
        self.ask.close()
        for part in (0, 1):
            self.assertEqual(len({pair[part] for pair in minted}), len(minted))
        reserved = sum(row["usesReserved"] for row in self.operator("GET", self.below("keks")))
        self.assertGreaterEqual(reserved, len(minted))
        print("\nT03 reached: %d data keys across %d kills, no id and no nonce twice, %d uses reserved" % (len(minted), MINT_KILLS, reserved))


@unittest.skipUnless(may_trace(), "strace may not trace here: failing disks are not tried")
class FaultTests(WritersTestCase):
    """T22: a call to the disk fails, and every later one too."""

    @staticmethod
    def wait_for_end(pid, seconds):
        end = time.monotonic() + seconds
        while running(pid) and time.monotonic() < end:
            time.sleep(0.02)
        return not running(pid)

    def test_what_was_not_written_is_not_acknowledged(self):
        ended = 0
        for round_number in range(FAULTS):
            call = random.choice(("fdatasync", "fdatasync", "pwrite64"))
            when = random.randrange(1, 60)
            self.ask.close()
            with self.subTest(call=call, when=when), self.writers(round_number) as writers:
                pid = self.coffer.responder()
                with failing(pid, call, when):
                    self.wait_for_end(pid, 10)
                # The tracer itself may have held up the end.
                ended += self.wait_for_end(pid, 2)
                with contextlib.suppress(AssertionError):
                    self.coffer.stop()
                self.coffer.up()
                for writer in writers:
                    writer.stopping.set()
                    writer.join(20)
                    self.check(writer.acknowledged, writer.attempted)
        self.assertEqual(ended, FAULTS, "a process went on with a store that cannot be written")
        self.coffer.command("verify", "--dir", self.coffer.folder)
        print("\nT22 reached: %d failing calls, each time the process ended, 0 acknowledged writes lost" % FAULTS)


@contextlib.contextmanager
def failing(pid, call, when):
    """Lets a system call of a running process fail with EIO from the given time on."""
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=%s:error=EIO:when=%d+" % (call, when)]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    tracer = subprocess.Popen([*words, "-p", str(pid)], **streams)
    try:
        yield
    finally:
        # It may miss the end of a process whose threads end at once, and then does not listen to SIGTERM.
        tracer.kill()
        tracer.wait(20)


@unittest.skipIf(os.geteuid() != 0, "needs root to mount")
class PowerCutTests(WritersTestCase):
    """T21: the power goes. Only what the disk was made to keep is there afterwards: the store lies on a file system of its own in an
    image, and the image is copied while what the kernel has not written to it is only in memory."""

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-power-"))
        self.addCleanup(shutil.rmtree, self.folder)
        disk = self.folder / "disk"
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", disk], check=True)
        try:
            self.mount(disk, self.folder / "before")
        except subprocess.CalledProcessError:
            self.skipTest("no loop device can be mounted here: power cuts are not tried")
        self.coffer = self.fresh(folder=self.folder / "before" / "store")

    def mount(self, image, at):
        at.mkdir(exist_ok=True)
        subprocess.run(["mount", "-o", "loop", image, at], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", at], check=False, stderr=subprocess.DEVNULL)

    def test_what_was_acknowledged_is_on_the_disk(self):
        count = 0
        for round_number in range(CUTS):
            with self.subTest(round=round_number):
                with self.writers(round_number) as writers:
                    time.sleep(random.uniform(0.05, 0.5))
                    pid = self.coffer.responder()
                    os.kill(pid, signal.SIGSTOP)
                    # Answers that are on their way arrive.
                    time.sleep(0.05)
                    acknowledged = [dict(writer.acknowledged) for writer in writers]
                    attempted = [{name: set(values) for name, values in list(writer.attempted.items())} for writer in writers]
                    subprocess.run(["cp", "--sparse=always", self.folder / "disk", self.folder / "copy"], check=True)
                    os.kill(pid, signal.SIGCONT)
                count += self.check_copy(acknowledged, attempted)
        self.assertGreater(count, CUTS * 10)
        print("\nT21 reached: %d power cuts, %d secrets looked at, 0 acknowledged writes lost" % (CUTS, count))

    def check_copy(self, acknowledged, attempted):
        self.mount(self.folder / "copy", self.folder / "after")
        other = type(self.coffer)(folder=self.folder / "after" / "store", environment=self.environment)
        try:
            other.command("verify", "--dir", other.folder)
            other.keys = self.coffer.keys
            other.up()
            ask = other.client()
            for known, tried in zip(acknowledged, attempted, strict=True):
                self.check(known, tried, ask)
            ask.close()
        finally:
            other.destroy()
            subprocess.run(["umount", self.folder / "after"], check=True)
        return sum(map(len, acknowledged))


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

    def test_a_start_and_a_command_take_turns(self):
        """Whoever has the store for a moment keeps neither a start nor a command from it; who has it for good does."""
        coffer = self.fresh(start=False)
        with open(pathlib.Path(coffer.folder, "store", "coffer.lock"), "wb") as lock:
            for begin in (lambda: coffer.up(wait=False), lambda: self.command(coffer)):
                fcntl.flock(lock, fcntl.LOCK_EX)
                started = begin()
                time.sleep(0.7)
                fcntl.flock(lock, fcntl.LOCK_UN)
                if started is coffer:
                    coffer.wait_ready()
                    coffer.stop()
                else:
                    out, errors = started.communicate(timeout=20)
                    self.assertEqual((started.returncode, errors), (0, ""))
                    self.assertIn("admin", out)
            fcntl.flock(lock, fcntl.LOCK_EX)
            started = self.command(coffer)
            errors = started.communicate(timeout=20)[1]
            self.assertEqual(started.returncode, 1)
            self.assertIn("another process has the store", errors)
            coffer.up(wait=False)
            self.assertNotEqual(coffer.process.wait(20), 0)
            coffer.process = None

    def command(self, coffer):
        return subprocess.Popen(
            [str(binaries() / "coffer"), "key", "list", "--dir", coffer.folder], env=coffer.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)  # fmt: skip


if __name__ == "__main__":
    unittest.main()
