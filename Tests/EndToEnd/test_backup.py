"""Backup, restore and verify against real processes: T28, T05 and the refusals of T27, T30 and T50.

COFFER_ROUNDS_BACKUP sets the rounds of T28 (5 by default)."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

from coffer_harness import Coffer, CofferTestCase, binaries
from test_crash import Writer, fingerprints

ROUNDS = int(os.environ.get("COFFER_ROUNDS_BACKUP", "5"))
FLIPS = 40


def newest(writer):
    """The number in front of each value that was acknowledged, by name."""
    return {name: int(value.partition("-")[0]) for name, value in list(writer.acknowledged.items())}


class KeepingTestCase(CofferTestCase):
    def backup(self, coffer, *options, check=True):
        path = os.path.join(coffer.home, "backup")
        return path, coffer.command("backup", "--dir", coffer.folder, "--to", path, *options, check=check)

    def elsewhere(self, coffer, backup):
        """Another machine: nothing but the keys, and the backup restored there."""
        other = Coffer(environment=self.environment)
        self.addCleanup(other.destroy)
        os.mkdir(other.folder, 0o700)
        shutil.copytree(os.path.join(coffer.folder, "keys"), os.path.join(other.folder, "keys"))
        other.keys = coffer.keys
        other.command("restore", "--dir", other.folder, "--from", backup)
        return other

    def verify(self, coffer, *options, sound=True):
        """The findings, as `PLACE PROBLEM`."""
        result = coffer.command("verify", "--dir", coffer.folder, "--json", *options, check=False)
        self.assertEqual(result.returncode, 0 if sound else 1, result.stdout + result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual(report["ok"], sound)
        return ["%s %s" % (finding["place"], finding["problem"]) for finding in report["findings"]]

    def refused(self, coffer, *arguments):
        """What the command says against it, after every file was found as it was."""
        before = fingerprints(coffer.home)
        result = coffer.command(*arguments, "--dir", coffer.folder, check=False)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(fingerprints(coffer.home), before)
        self.assertEqual([name for name in os.listdir(coffer.folder) if name.startswith("store.")], [])
        return result.stderr


class LoadTests(KeepingTestCase):
    def test_backups_under_load(self):
        """T28: each holds every write that was acknowledged before it began, restored elsewhere with the same keys."""
        writers = [Writer(self.coffer, number) for number in range(4)]
        for writer in writers:
            writer.start()
        self.addCleanup(lambda: [writer.stopping.set() for writer in writers])
        keys = pathlib.Path(self.coffer.folder, "keys")
        needles = [keys.joinpath("wire.key").read_bytes().strip(), keys.joinpath("root.key").read_bytes().split()[2]]
        taken = []
        for number in range(ROUNDS):
            time.sleep(random.uniform(0.05, 0.3))
            before = [newest(writer) for writer in writers]
            path = os.path.join(self.coffer.home, "backup-%d" % number)
            report = json.loads(self.coffer.command("backup", "--dir", self.coffer.folder, "--to", path, "--json").stdout)
            self.assertEqual(report["bytes"], os.path.getsize(path))
            taken.append((path, before, report))
        after = [newest(writer) for writer in writers]
        self.assertTrue(all(sum(after[n].values()) > sum(taken[-1][1][n].values()) for n in range(4)), "the writers stood still")
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join(20)
            writer.ask.close()
        self.assertEqual(self.verify(self.coffer), [])
        for path, before, report in taken:
            with self.subTest(path):
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                contents = pathlib.Path(path).read_bytes()
                for needle in needles:
                    self.assertNotIn(needle, contents)
                with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % path, uri=True)) as connection:
                    self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                    self.assertEqual(connection.execute("PRAGMA journal_mode").fetchone(), ("delete",))
                self.assertEqual(self.verify(self.coffer, "--file", path), [])
                other = self.elsewhere(self.coffer, path).up()
                ask = other.client()
                self.addCleanup(ask.close)
                for acknowledged in before:
                    for name, count in acknowledged.items():
                        self.assertGreaterEqual(int(self.value(name, ask).partition(b"-")[0]), count, name)
                self.assertEqual(self.verify(other), [])
                entries = other.audit()
                restored = [entry for entry in entries if entry["action"] == "backup.restore"]
                self.assertEqual(len(restored), 1)
                head = report["heads"][0]
                self.assertEqual(restored[0]["sequence"], head["sequence"] + 1)
                self.assertEqual(next(entry["hash"] for entry in entries if entry["sequence"] == head["sequence"]), head["hash"])
                ask.close()
                other.stop()
        leftovers = [name for name in os.listdir(self.coffer.home) if name.startswith("backup") and not name[7:].isdigit()]
        self.assertEqual(leftovers, [])
        print("\nT28 reached: %d backups under load, each whole, restored and verified elsewhere" % len(taken))


class RestoreTests(KeepingTestCase):
    def setUp(self):
        self.coffer = self.fresh()
        self.ask = self.coffer.client()
        self.addCleanup(lambda: self.ask.close())
        self.put("KEPT", "first")
        self.path, _ = self.backup(self.coffer)

    def stop(self):
        self.ask.close()
        self.coffer.stop()

    def test_back_and_forth(self):
        self.put("KEPT", "second")
        self.put("LATER", "value")
        text = self.refused(self.coffer, "restore", "--from", self.path)
        self.assertIn("stop it first", text)
        self.stop()
        self.coffer.command("restore", "--dir", self.coffer.folder, "--from", self.path, "--dry-run")
        self.coffer.command("restore", "--dir", self.coffer.folder, "--from", self.path)
        self.coffer.up()
        self.assertEqual(self.value("KEPT"), b"first")
        self.assertEqual(self.ask("GET", "/api/settings/secrets/LATER").status, 404)
        self.put("KEPT", "third")
        self.assertEqual(self.verify(self.coffer), [])
        self.stop()
        (aside,) = [name for name in os.listdir(self.coffer.folder) if name.startswith("store.")]
        self.assertRegex(aside, r"\Astore\.before-restore-\d{8}T\d{6}\.\d{3}Z\Z")
        store = os.path.join(self.coffer.folder, "store")
        shutil.rmtree(store)
        os.rename(os.path.join(self.coffer.folder, aside), store)
        self.coffer.up()
        self.assertEqual(self.value("KEPT"), b"second")
        self.assertEqual(self.value("LATER"), b"value")

    def test_what_is_refused(self):
        """Nothing is changed by a file that is no whole backup of this store's keys."""
        self.put("KEPT", "second")
        self.stop()
        whole = pathlib.Path(self.path).read_bytes()
        bad = os.path.join(self.coffer.home, "bad")

        def refused(contents, text):
            pathlib.Path(bad).write_bytes(contents)
            self.assertIn(text, self.refused(self.coffer, "restore", "--from", bad))

        for length in (0, 1, 63, 64, 512, 4096, len(whole) // 2, len(whole) - 4096, len(whole) - 64, len(whole) - 1):
            with self.subTest(length=length):
                refused(whole[:length], "no backup made by")
        seed = random.randrange(1 << 32)
        generator = random.Random(seed)
        for _ in range(FLIPS):
            bit = generator.randrange(len(whole) * 8)
            with self.subTest(seed=seed, bit=bit):
                changed = bytearray(whole)
                changed[bit // 8] ^= 1 << bit % 8
                refused(bytes(changed), bad)
        refused(b"x" * 5000, "no backup made by")
        refused(whole[:60] + (99).to_bytes(4, "big") + whole[64:], "newer Coffer")
        refused(pathlib.Path(self.coffer.folder, "store", "coffer.db").read_bytes(), "no backup made by")
        other = self.fresh(start=False)
        foreign, _ = self.backup(other)
        refused(pathlib.Path(foreign).read_bytes(), "another root key")
        os.unlink(bad)
        self.assertIn("no regular file", self.refused(self.coffer, "restore", "--from", bad))
        self.assertIn("no regular file", self.refused(self.coffer, "restore", "--from", self.coffer.home))
        self.coffer.up()
        self.assertEqual(self.value("KEPT"), b"second")

    def test_backups_are_not_written_over(self):
        before = pathlib.Path(self.path).read_bytes()
        self.assertIn("is there already", self.backup(self.coffer, check=False)[1].stderr)
        self.assertEqual(pathlib.Path(self.path).read_bytes(), before)
        self.backup(self.coffer, "--force")
        self.assertNotEqual(pathlib.Path(self.path).read_bytes(), before)
        key = os.path.join(self.coffer.folder, "keys", "root.key")
        result = self.coffer.command("backup", "--dir", self.coffer.folder, "--to", key, "--force", check=False)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.verify(self.coffer), [])

    def test_killed_while_restoring(self):
        """Whenever it ends, the store that stands is a whole one."""
        self.put("KEPT", "second")
        self.stop()
        kept = []
        for _ in range(12):
            process = subprocess.Popen(
                [str(binaries() / "coffer"), "restore", "--dir", self.coffer.folder, "--from", self.path],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.coffer.environment)  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(random.uniform(0.005, 0.08))
            process.send_signal(signal.SIGKILL)
            process.wait(20)
            self.assertEqual(self.verify(self.coffer), [])
            kept.append(len([name for name in os.listdir(self.coffer.folder) if name.startswith("store.")]))
        self.assertEqual(kept, sorted(kept), "a store that was moved aside is gone")
        self.coffer.up()
        self.assertIn(self.value("KEPT"), (b"first", b"second"))


class VerifyTests(KeepingTestCase):
    """What a hand in the database does, each on a copy of one store."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ask = cls.coffer.client()

        def put(name, value, **more):
            assert ask("PUT", "/api/settings/secrets", {"name": name, "value": value, **more}).status == 200

        put("OLD", "older", description="d")
        put("GONE", "value")
        ask("PATCH", "/api/settings", {"misc_settings_diff": {"a": 1}})
        revoked = json.loads(cls.coffer.command("key", "create", "--dir", cls.coffer.folder, "--json").stdout)["id"]
        cls.earlier = cls.copy(cls)
        put("OLD", "newer", description="d")
        ask("DELETE", "/api/settings/secrets/GONE")
        ask("PATCH", "/api/settings", {"misc_settings_diff": {"a": 2}})
        cls.coffer.command("key", "revoke", "--dir", cls.coffer.folder, revoked)
        ask.close()
        cls.coffer.stop()
        cls.revoked = revoked

    def setUp(self):
        pass

    def copy(self):
        """The whole folder while nothing writes to it."""
        home = os.path.join(self.coffer.home, "copy-%d" % time.monotonic_ns())
        shutil.copytree(self.coffer.folder, home, ignore=shutil.ignore_patterns("*.sock", "*.pid"))
        return home

    def tampered(self, *statements):
        """A copy of the store after those statements; `earlier` is the store as it was before."""
        folder = self.copy()
        connection = sqlite3.connect(os.path.join(folder, "store", "coffer.db"), isolation_level=None)
        connection.create_function("flipped", 1, lambda sealed: sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:])
        connection.execute("ATTACH ? AS earlier", (os.path.join(self.earlier, "store", "coffer.db"),))
        for statement in statements:
            self.assertGreater(connection.execute(statement).rowcount, 0, statement)
        connection.close()
        coffer = Coffer(folder=folder, environment=self.environment)
        self.addCleanup(coffer.destroy)
        return coffer

    def test_untouched(self):
        self.assertEqual(self.verify(self.tampered()), [])

    def test_tampering_is_found(self):
        for statement, expected in (
            ("REPLACE INTO secrets SELECT * FROM earlier.secrets WHERE name = 'OLD'", ["secrets/OLD not_the_newest"]),
            ("INSERT INTO secrets SELECT * FROM earlier.secrets WHERE name = 'GONE'", ["secrets/GONE deleted_before"]),
            ("REPLACE INTO documents SELECT * FROM earlier.documents", ["settings/current not_the_newest"]),
            ("REPLACE INTO api_keys SELECT * FROM earlier.api_keys", ["api_keys/%s not_the_newest" % self.revoked]),
            ("UPDATE secrets SET description = 'x'", ["secrets/OLD changed"]),
            ("UPDATE secrets SET sealed = flipped(sealed)", ["secrets/OLD does_not_open"]),
            ("DELETE FROM secrets", ["secrets/OLD missing"]),
            ("DELETE FROM audit WHERE sequence = 5", ["audit/5 broken_chain"]),
            ("UPDATE audit SET action = 'x' WHERE sequence = 5", ["audit/5 broken_chain"]),
            # The row that the lost entry named is newer than what is left of the chain.
            ("DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)", ["api_keys/%s not_the_newest" % self.revoked]),
        ):
            with self.subTest(statement):
                self.assertLessEqual(set(expected), set(self.verify(self.tampered(statement), sound=False)))

    def test_a_kept_head_finds_a_whole_store_put_back(self):
        kept = os.path.join(self.coffer.home, "heads.json")
        pathlib.Path(kept).write_text(self.coffer.command("verify", "--dir", self.coffer.folder, "--json").stdout)
        self.assertEqual(self.verify(self.coffer, "--heads", kept), [])
        older = Coffer(folder=self.earlier, environment=self.environment)
        self.addCleanup(shutil.rmtree, older.home, True)
        self.assertEqual(self.verify(older), [])
        (finding,) = self.verify(older, "--heads", kept, sound=False)
        self.assertRegex(finding, r"\Aaudit/\d+ cut_off\Z")

    def test_a_running_server_says_the_same(self):
        coffer = self.tampered("REPLACE INTO secrets SELECT * FROM earlier.secrets WHERE name = 'OLD'").up()
        self.assertEqual(self.verify(coffer, sound=False), ["secrets/OLD not_the_newest"])
        path, _ = self.backup(coffer)
        self.assertEqual(self.verify(coffer, "--file", path, sound=False), ["secrets/OLD not_the_newest"])
        coffer.stop()
        self.assertIn("nothing was changed", self.refused(coffer, "restore", "--from", path))

    def test_a_newer_store_is_left_alone(self):
        coffer = self.tampered()
        database = pathlib.Path(coffer.folder, "store", "coffer.db")
        contents = database.read_bytes()
        database.write_bytes(contents[:60] + (int.from_bytes(contents[60:64], "big") + 1).to_bytes(4, "big") + contents[64:])
        for command in (("verify",), ("audit", "list"), ("key", "list"), ("backup", "--to", os.path.join(coffer.home, "b"))):
            self.assertIn("a newer Coffer has written this store", self.refused(coffer, *command), command)
        before = fingerprints(coffer.folder)
        coffer.up(wait=False)
        self.assertNotEqual(coffer.process.wait(20), 0)
        coffer.process = None
        self.assertIn("a newer version has written this store", coffer.output())
        after = fingerprints(coffer.folder)
        self.assertEqual({path for path in before if before[path] != after.get(path)}, set())


if __name__ == "__main__":
    unittest.main()
