"""The root key is changed while everything goes on, and proves itself; the half of T52 that concerns it.

COFFER_ROUNDS_ROTATION sets the kills of T52 (20 by default)."""

import json
import os
import pathlib
import random
import signal
import sqlite3
import stat
import subprocess
import threading
import time
import unittest

from coffer_harness import binaries
from contract_harness import Operator
from test_rotation import ROUNDS, RotationTestCase


class RootTestCase(RotationTestCase):
    def setUp(self):
        super().setUp()
        self.keys = pathlib.Path(self.coffer.folder, "keys")
        self.key = self.keys / "root.key"

    def root(self, *words, check=True, **options):
        return self.coffer.command("root", *words, "--dir", self.coffer.folder, check=check, **options)

    def rotate_root(self):
        return json.loads(self.root("rotate", "--json").stdout)

    def key_id(self, path=None):
        return (path or self.key).read_text().split()[1]

    def verify(self):
        self.assertIn('"ok":true', self.coffer.command("verify", "--dir", self.coffer.folder, "--json").stdout.replace(" ", ""))

    def database(self, readonly=True):
        database = sqlite3.connect("file:%s/store/coffer.db%s" % (self.coffer.folder, "?mode=ro" if readonly else ""), uri=True)
        self.addCleanup(database.close)
        return database

    def found(self, needle):
        return any(needle in path.read_bytes() for path in pathlib.Path(self.coffer.folder, "store").iterdir() if path.is_file())


class RootRotationTests(RootTestCase):
    def test_everything_goes_under_the_new_key_and_nobody_sees_it(self):
        before, old = self.reads(), self.key_id()
        operator = Operator(self.coffer)
        self.addCleanup(operator.close)
        wrapped = self.database().execute("SELECT wrapped FROM keks").fetchall()
        self.assertTrue(all(self.found(row[0]) for row in wrapped))
        page = self.mine.ask("GET", self.mine.path("").rstrip("/") + "?limit=1").json()
        keys = "/tenants/default/keys?limit=1"
        theirs = operator.raw("GET", keys).json()["cursor"]
        export = "/tenants/default/audit/export?limit=1"
        part = operator.raw("GET", export).header("X-Next-Cursor")
        shown = self.root("rotate").stdout
        new = self.key_id()
        self.assertNotEqual(new, old)
        self.assertIn("root key %s is in use" % new, shown)
        self.assertIn("open with it alone", shown)
        retired = self.keys / ("root.key.retired-" + old)
        self.assertIn(str(retired), shown)
        for path in (self.key, retired):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o400)
            self.assertNotIn(path.read_text().split()[2], shown + self.coffer.output())
        self.assertEqual(self.key_id(retired), old)
        self.assertEqual(self.reads(), before)
        # A list that began before goes on.
        rest = self.mine.ask("GET", self.mine.path("").rstrip("/") + "?limit=1&cursor=" + page["cursor"])
        self.assertEqual((rest.status, rest.json()["data"][0]["secretId"]), (200, "t"))
        self.assertEqual(operator.raw("GET", keys + "&cursor=" + theirs).status, 200)
        # An export begins anew: its first line names the key of its MACs.
        refused = operator.raw("GET", export + "&cursor=" + part)
        self.assertEqual((refused.status, refused.json()["details"]["issues"][0]["pointer"]), (400, "/query/cursor"))
        self.assertFalse(any(self.found(row[0]) for row in wrapped))
        self.assertEqual(json.loads(self.root("status", "--json").stdout)["wrapped"], [{"rootKeyId": new, "keks": len(wrapped)}])
        self.verify()
        self.assertEqual([entry["action"] for entry in self.coffer.audit() if entry["action"].startswith("root.")], ["root.rotate"])
        # Every right is what it was, and writes go on; again, restarted, and after the readers of before are gone.
        self.put("S0", "value-0")
        self.assertEqual(self.rotate()["version"], 2)
        self.assertNotEqual(self.rotate_root()["rootKeyId"], new)
        self.wait_for_rewrap()
        self.coffer.command("restart", "--dir", self.coffer.folder)
        self.assertEqual(self.reads(), before)
        self.stop()
        self.coffer.up()
        self.assertEqual(self.reads(), before)
        self.verify()
        # The keys of before are of no use.
        self.stop()
        kept = self.key.read_bytes()
        for path in self.keys.glob("root.key.retired-*"):
            self.key.unlink()
            self.key.write_bytes(path.read_bytes())
            self.key.chmod(0o400)
            self.assertIn("not the one this store was made with", self.coffer.command("verify", "--dir", self.coffer.folder, check=False).stderr)
        self.key.unlink()
        self.key.write_bytes(kept)
        self.key.chmod(0o400)
        self.coffer.up()
        self.assertEqual(self.reads(), before)

    def test_it_is_for_the_host_alone(self):
        operator = Operator(self.coffer)
        self.addCleanup(operator.close)
        self.assertEqual(operator("GET", "/root")["rootKeyId"], self.key_id())
        self.assertEqual(operator.raw("POST", "/root/rewrap", {}).status, 404)
        self.assertEqual(self.ask("GET", "/admin/v1/root", key=None).status, 401)
        self.assertEqual(sorted(os.listdir(self.keys)), ["root.key", "wire.key"])

    def test_a_stopped_store_and_a_key_that_waits(self):
        before = self.reads()
        self.stop()
        other = self.fresh(start=False)
        given = pathlib.Path(other.folder, "keys", "root.key")
        waiting = self.keys / "root.key.next"
        waiting.write_bytes(given.read_bytes())
        waiting.chmod(0o444)
        self.assertIn("chmod 0400", self.root("rotate", check=False).stderr)
        waiting.chmod(0o400)
        self.assertIn("key %s waits" % self.key_id(given), self.root("status").stdout)
        self.assertIn("root key %s is in use" % self.key_id(given), self.root("rotate").stdout)
        self.assertEqual(self.key_id(), self.key_id(given))
        self.coffer.up()
        self.assertEqual(self.reads(), before)
        self.verify()

    def test_copies_and_exports_name_their_key(self):
        old = self.key_id()
        exports = [os.path.join(self.coffer.home, name) for name in ("before", "after")]
        backups = [path + ".backup" for path in exports]
        words = "correct horse battery staple"
        copies = []
        for round in range(2):
            self.coffer.command("audit", "export", "--dir", self.coffer.folder, "--to", exports[round])
            self.coffer.command("backup", "--dir", self.coffer.folder, "--to", backups[round])
            copies.append(os.path.join(self.coffer.home, "copy-%d" % round))
            self.root("escrow", "--out", copies[round], input=words)
            if round == 0:
                self.rotate_root()
        for path in exports:
            verdict = self.coffer.command("audit", "verify", "--dir", self.coffer.folder, "--file", path, "--json").stdout
            self.assertEqual([json.loads(verdict)[name] for name in ("ok", "macsChecked")], [True, True], path)
        lines = pathlib.Path(exports[1]).read_text().splitlines()
        forged = pathlib.Path(self.coffer.home, "forged")
        forged.write_text("\n".join(lines[:2] + [lines[2].replace("allowed", "denied")] + lines[3:]) + "\n")
        self.assertNotEqual(self.coffer.command("audit", "verify", "--dir", self.coffer.folder, "--file", str(forged), check=False).returncode, 0)
        self.assertIn("it opens this store", self.root("drill", copies[1], input=words).stdout)
        self.assertIn("root key", self.root("drill", copies[0], input=words, check=False).stderr)
        self.stop()
        # A backup of before needs the key of before, and says which.
        refused = self.coffer.command("restore", "--dir", self.coffer.folder, "--from", backups[0], check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(old, refused.stderr)
        self.coffer.command("restore", "--dir", self.coffer.folder, "--from", backups[1])
        self.coffer.up()
        self.assertEqual(self.value("S1", self.ask), b"value-1")

    def test_what_is_damaged_stands_in_the_way(self):
        before, old = self.reads(), self.key_id()
        self.stop()
        database = self.database(readonly=False)
        (tenant,) = database.execute("SELECT value FROM records WHERE name = 'default-tenant'").fetchone()
        place = "tenant = CAST(? AS TEXT) AND sequence = 3"
        (actor,) = database.execute("SELECT actor_id FROM audit WHERE " + place, (tenant,)).fetchone()
        database.execute("UPDATE audit SET actor_id = 'forged' WHERE " + place, (tenant,))
        database.commit()
        self.coffer.up()
        refused = self.root("rotate", check=False)
        self.assertIn("Entry 3 of the audit chain", refused.stderr)
        self.assertEqual((self.key_id(), self.reads()), (old, before))
        self.stop()
        database.execute("UPDATE audit SET actor_id = ? WHERE " + place, (actor, tenant))
        database.commit()
        self.coffer.up()
        self.rotate_root()
        self.verify()
        # Entries of before have MACs that nobody can check; what is changed there is found all the same.
        self.stop()
        for change in ("UPDATE audit SET outcome = 'denied' WHERE " + place, "DELETE FROM audit WHERE " + place.replace("= 3", "> 3")):
            database.execute("SAVEPOINT whole")
            rows = database.execute("SELECT * FROM audit").fetchall()
            database.execute(change, (tenant,))
            database.commit()
            self.assertIn("audit/", self.coffer.command("verify", "--dir", self.coffer.folder, check=False).stdout)
            database.execute("DELETE FROM audit")
            database.executemany("INSERT INTO audit VALUES (%s)" % ",".join("?" * len(rows[0])), rows)
            database.commit()
        self.verify()

    def test_a_key_from_a_program(self):
        """Coffer cannot change what a program gives: the new key waits, and is found there until it was moved."""
        before = self.reads()
        self.stop()
        script = pathlib.Path(self.coffer.home, "give")
        script.write_text("#!/bin/sh\nexec cat %s\n" % (self.keys / "elsewhere"))
        script.chmod(0o700)
        self.key.rename(self.keys / "elsewhere")
        pathlib.Path(self.coffer.folder, "coffer.conf").write_text("root-key-command = %s\n" % script)
        self.coffer.up()
        shown = self.root("rotate").stdout
        waiting = self.keys / "root.key.next"
        self.assertIn("put the new key from %s" % waiting, shown)
        self.assertIn("holds the root key in use", self.root("rotate", check=False).stderr)
        self.stop()
        self.coffer.up()
        self.assertIn("put it there, then remove that file", self.coffer.output())
        self.assertEqual(self.reads(), before)
        words = "correct horse battery staple"
        copy = self.root("escrow", input=words).stdout
        self.assertEqual(copy.split()[1], self.key_id(waiting))
        os.replace(waiting, self.keys / "elsewhere")
        self.stop()
        self.coffer.up()
        self.assertEqual(self.reads(), before)
        self.verify()


class RootKillTests(RootTestCase):
    def start(self):
        return subprocess.Popen(
            [str(binaries() / "coffer"), "root", "rotate", "--dir", self.coffer.folder], env=self.coffer.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def test_changes_that_are_killed_leave_a_key_that_fits(self):
        """T52: kill -9 at random moments of a change of the root key, of cofferd and of coffer by turns; everything reads afterwards."""
        before, changes = self.reads(), 0
        for number in range(ROUNDS):
            old = self.key_id()
            if number % 2 == 0:
                change, victim = self.start(), self.coffer.responder()
            else:
                self.stop()
                change = self.start()
                victim = change.pid
            time.sleep(random.uniform(0, 0.06))
            os.kill(victim, signal.SIGKILL)
            change.wait(30)
            self.stop()
            self.coffer.up()
            self.assertEqual(self.reads(), before)
            changes += self.key_id() != old
        self.rotate_root()
        self.assertFalse((self.keys / "root.key.next").exists())
        self.assertEqual(self.reads(), before)
        self.verify()
        self.assertGreater(changes, 0)
        print("\nT52 reached: %d kills of changes of the root key, everything reads after each" % ROUNDS)


class RootLoadTests(RootTestCase):
    def test_nobody_notices_under_load(self):
        stop, failures, counts, tags = threading.Event(), [], [], {}
        bearer = {"Authorization": "Bearer " + self.mine.key}

        def work(number):
            ask = self.coffer.client()
            count = 0
            try:
                while not stop.is_set():
                    count += 1
                    for method, target, body, options in (
                        ("GET", "/api/settings/secrets/S%d" % (count % 40), None, {}),
                        ("GET", "/api/settings", None, {"headers": {"X-Expose-Secrets": "plaintext"}}),
                        ("GET", self.secret + "/fields/f", None, {"key": None, "headers": bearer}),
                        ("GET", self.secret, None, {"key": None, "headers": bearer}),
                        ("POST", "/agent/secrets/generate-data-key", self.mine.binding("s", "k%d" % number), {"key": None, "headers": bearer}),
                        ("PUT", "/api/settings/secrets", {"name": "W%d" % number, "value": "value-%d" % count}, {}),
                    ):  # fmt: skip
                        answer = ask(method, target, body, **options)
                        if answer.status not in (200, 201):
                            failures.append((target, answer.status, answer.body[:200]))
                        elif method == "GET" and tags.setdefault(target, answer.header("ETag")) != answer.header("ETag"):
                            failures.append((target, tags[target], answer.header("ETag")))
            except Exception as error:  # noqa: BLE001
                failures.append((number, repr(error)))
            finally:
                counts.append(count)
                ask.close()

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(8):
                self.assertTrue(self.rotate_root()["proof"]["ok"])
                time.sleep(random.uniform(0.1, 0.5))
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        self.assertEqual(failures[:5], [])
        self.assertGreater(min(counts), 10)
        self.verify()


if __name__ == "__main__":
    unittest.main()
