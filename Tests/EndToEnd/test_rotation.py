"""Tenant keys are rotated while everything goes on: T03, T52, T53, T54.

COFFER_ROUNDS_ROTATION sets the kills of T52 (20 by default)."""

import base64
import json
import os
import pathlib
import random
import signal
import sqlite3
import struct
import subprocess
import threading
import time
import unittest

from coffer_harness import SECRET_SETTINGS, binaries
from scoped_harness import ScopedTestCase, seal, unseal

ROUNDS = int(os.environ.get("COFFER_ROUNDS_ROTATION", "20"))
TABLES = ("documents", "secrets", "fields", "data_keys")


def kek_of(blob):
    """(KEK version, data key id, issue time) of a wrapped data key (scoped spec, section 6.2)."""
    bytes_ = base64.b64decode(blob)
    return struct.unpack(">I", bytes_[22:26])[0], bytes_[26:42].hex(), bytes_[42:50].hex()


class RotationTestCase(ScopedTestCase):
    """A Coffer for each test, with something of every kind in the default tenant."""

    def setUp(self):
        self.coffer = self.fresh(options=self.options)
        self.ask = self.coffer.client()
        self.addCleanup(self.ask.close)
        self.headers = [("Authorization", "Bearer " + self.coffer.keys["adminKey"])]
        self.tenant = "default"
        self.mine = self.agent(capabilities=None)
        self.secret = self.mine.path("s")
        self.envelopes = {}
        self.fill()

    def fill(self):
        for number in range(40):
            self.put("S%d" % number, "value-%d" % number)
        self.assertEqual(self.ask("PATCH", "/api/settings", {"agent_settings_diff": SECRET_SETTINGS}).status, 200)
        self.assertEqual(self.ask("POST", "/api/profiles/work", {"llm": {"model": "m", "api_key": "value-profile"}}).status, 201)
        for secret in ("s", "t", "deleted", "purged"):
            self.mine.call("PUT", self.mine.path(secret), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "value-" + secret}]})
            for number in range(7):
                self.envelopes[secret] = self.mine.store(secret, "f", b"sealed in %s %d" % (secret.encode(), number))
        self.mine.call("DELETE", self.mine.path("t") + "/fields/p")
        for secret in ("deleted", "purged"):
            self.mine.call("DELETE", self.mine.path(secret))
        self.operator("POST", self.below("secrets/agent/%s/purged/purge?confirm=purged" % self.mine.id))

    def reads(self):
        """What clients see of everything, with the tags, but for the wrapped keys: those may change."""
        seen = {}
        for number in range(40):
            answer = self.ask("GET", "/api/settings/secrets/S%d" % number)
            seen["S%d" % number] = (answer.status, answer.body, answer.header("ETag"))
        for target in ("/api/settings", "/api/profiles/work"):
            answer = self.ask("GET", target, headers={"X-Expose-Secrets": "plaintext"})
            seen[target] = (answer.status, answer.body, answer.header("ETag"))
        for target in ("s", "s/fields/p", "s/fields/f", "s/fields/f?version=5", "s/fields/f/versions", "t", "t/fields/f"):
            answer = self.mine.ask("GET", self.mine.path(target))
            data = answer.json()["data"]
            self.without_wrapped_keys(data)
            seen[target] = (answer.status, json.dumps(data, sort_keys=True), answer.header("ETag"))
        for secret in ("s", "t"):
            envelope = self.mine.call("GET", self.mine.path(secret) + "/fields/f")["envelope"]
            for blob in (envelope, self.envelopes[secret]):
                key = self.mine.unwrap(secret, "f", blob)["plaintextKey"]
                self.assertEqual(unseal(envelope, key), b"sealed in %s 6" % secret.encode())
        self.assertTrue(all(row[0] == 200 for row in seen.values()), seen)
        return seen

    def without_wrapped_keys(self, data):
        for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
            self.without_wrapped_keys(value)
        if isinstance(data, dict):
            data.pop("dataKeyCiphertext", None)

    def kek(self, *words, check=True):
        return self.coffer.command("kek", *words, "--dir", self.coffer.folder, check=check)

    def rotate(self):
        return self.operator("POST", self.below("keks/rotate"), status=201)

    def wait_for_rewrap(self, timeout=60):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            progress = json.loads(self.kek("rewrap", "--json").stdout)
            if progress["isDone"]:
                return progress
            time.sleep(0.1)
        self.fail("the re-wrap did not end: %r" % progress)

    def stop(self):
        self.ask.close()
        self.mine.client.close()
        self.coffer.stop()

    def versions_in_use(self):
        """By table, as the database has them."""
        database = sqlite3.connect("file:%s/store/coffer.db?mode=ro" % self.coffer.folder, uri=True)
        try:
            return {table: {row[0] for row in database.execute("SELECT DISTINCT kek_version FROM " + table)} for table in TABLES}
        finally:
            database.close()


class RotationTests(RotationTestCase):
    def test_everything_goes_under_the_new_version_and_nobody_sees_it(self):
        before = self.reads()
        early = self.mine.mint("s", "early")
        old = self.mine.call("GET", self.secret + "/fields/f")["envelope"]["dataKeyCiphertext"]
        self.assertEqual(self.rotate()["version"], 2)
        progress = self.wait_for_rewrap()
        self.assertEqual((progress["activeVersion"], [row["version"] for row in progress["versions"]]), (2, [2]))
        self.assertEqual(self.versions_in_use(), {table: {2} for table in TABLES})
        self.assertEqual(self.reads(), before)
        new = self.mine.call("GET", self.secret + "/fields/f")["envelope"]["dataKeyCiphertext"]
        self.assertNotEqual(new, old)
        self.assertEqual((kek_of(old)[0], kek_of(new)), (1, (2, *kek_of(old)[1:])))
        # What a client kept from before is the same envelope still, and stores nothing new.
        again = self.mine.call("PUT", self.secret + "/fields/f", {"sensitivity": "encrypted", "envelope": self.envelopes["s"]})
        self.assertFalse(again["changed"])
        # Minted before, stored after: it goes in, under the new version.
        self.mine.store("s", "early", b"value", minted=early)
        stored = self.mine.call("GET", self.secret + "/fields/early")["envelope"]
        self.assertEqual(kek_of(stored["dataKeyCiphertext"]), (2, *kek_of(early["dataKeyCiphertext"])[1:]))
        self.assertEqual(unseal(stored, self.mine.unwrap("s", "early", stored)["plaintextKey"]), b"value")
        # An earlier version with its content, and a secret that was deleted, come back.
        self.mine.call("POST", self.secret + "/fields/f/rollback", {"fieldVersion": 5})
        envelope = self.mine.call("GET", self.secret + "/fields/f")["envelope"]
        self.assertEqual(unseal(envelope, self.mine.unwrap("s", "f", envelope)["plaintextKey"]), b"sealed in s 4")
        self.operator("POST", self.below("secrets/agent/%s/deleted/restore" % self.mine.id))
        self.assertEqual(self.mine.call("GET", self.mine.path("deleted") + "/fields/p")["value"], "value-deleted")
        self.mine.unwrap("deleted", "f", self.envelopes["deleted"])
        # A key that was used for a purged secret is used up for good.
        self.mine.call("PUT", self.mine.path("purged"), {})
        self.mine.call("PUT", self.mine.path("purged") + "/fields/f",
                       {"sensitivity": "encrypted", "envelope": self.envelopes["purged"]}, 409, "data_key_reused")  # fmt: skip
        self.assertIn('"ok":true', self.coffer.command("verify", "--dir", self.coffer.folder, "--json").stdout.replace(" ", ""))
        actions = [entry["action"] for entry in self.coffer.audit()]
        self.assertEqual([action for action in actions if action.startswith("kek.")][:2], ["kek.rotated", "kek.rewrapped"])

    def test_an_old_version_ends_once_nothing_needs_it(self):
        """T53, and T54 for a version of the key."""
        before = self.reads()
        first = json.loads(self.kek("list", "--json").stdout)
        self.assertEqual((first["version"], first["state"]), (1, "active"))
        refused = self.kek("disable", first["id"], "1", check=False)
        self.assertIn("That version seals", refused.stderr)
        database = sqlite3.connect("file:%s/store/coffer.db?mode=ro" % self.coffer.folder, uri=True)
        wrapped = database.execute("SELECT wrapped FROM keks WHERE tenant = (SELECT tenant FROM secrets LIMIT 1)").fetchone()[0]
        database.close()
        self.assertTrue(self.found(wrapped))
        unused = self.mine.mint("s", "late")
        # While rows are under it: cofferd would soon re-wrap them, so it stands still.
        self.stop()
        self.coffer.command("kek", "rotate", "--dir", self.coffer.folder)
        refused = self.kek("disable", first["id"], "1", check=False)
        self.assertIn("rows are still under that version", refused.stderr)
        self.coffer.up()
        self.wait_for_rewrap()
        self.mine.unwrap("s", "f", self.envelopes["s"])
        done = self.kek("disable", first["id"], "1")
        self.assertEqual((done.stdout, done.stderr), ("version 1 is disabled\n", ""))
        self.assertFalse(self.found(wrapped))
        # What a client kept from before the re-wrap opens no longer, nor is a data key of then stored; everything else is as it was.
        self.mine.unwrap("s", "f", self.envelopes["s"], 400, "invalid_data_key")
        late = {"sensitivity": "encrypted", "envelope": seal(unused, b"late")}
        self.mine.call("PUT", self.mine.path("s") + "/fields/late", late, 400, "invalid_data_key")
        for secret in ("s", "t"):
            self.envelopes[secret] = self.mine.call("GET", self.mine.path(secret) + "/fields/f")["envelope"]
        self.assertEqual(self.reads(), before)
        states = [json.loads(line)["state"] for line in self.kek("list", "--json").stdout.splitlines()]
        self.assertEqual(states, ["disabled", "active"])
        self.assertIn('"ok":true', self.coffer.command("verify", "--dir", self.coffer.folder, "--json").stdout.replace(" ", ""))
        self.mine.store("s", "late", b"late")
        # Again is no error, and another name is no version of this tenant.
        self.kek("disable", first["id"], "1")
        self.assertIn("There is no such thing", self.kek("disable", first["id"], "2", check=False).stderr)

    def found(self, needle):
        return any(needle in path.read_bytes() for path in pathlib.Path(self.coffer.folder, "store").iterdir() if path.is_file())

    def test_old_keys_are_replaced_by_age(self):
        self.operator("PATCH", self.below("settings"), {"kekMaxAgeDays": 1})
        self.stop()
        self.coffer.up()
        time.sleep(1.5)
        self.assertEqual(len(self.kek("list").stdout.splitlines()), 1)
        self.stop()
        words = ["faketime", "-f", "+2d", str(binaries() / "cofferd"), "--dir", self.coffer.folder]
        # The clock that only counts on stays: threads wait by it.
        environment = {**self.coffer.environment, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 20
            while len(self.kek("list").stdout.splitlines()) < 2:
                self.assertLess(time.monotonic(), end, "no new version was made")
                time.sleep(0.2)
        finally:
            # faketime waits for it; a signal to faketime itself would leave it behind.
            os.kill(self.coffer.responder(), signal.SIGTERM)
            process.wait(20)
        self.assertIn("age", json.dumps([entry for entry in self.coffer.audit() if entry["action"] == "kek.rotated"]))


class KillTests(RotationTestCase):
    def test_rotations_that_are_killed_go_on(self):
        """T52: kill -9 at random moments of rotations and re-wraps; everything reads at each restart."""
        before = self.reads()
        for _ in range(ROUNDS):
            self.rotate()
            time.sleep(random.uniform(0, 0.8))
            self.ask.close()
            self.mine.client.close()
            self.coffer.kill_responder()
            self.assertEqual(self.reads(), before)
        self.assertEqual(self.rotate()["version"], ROUNDS + 2)
        self.wait_for_rewrap()
        self.assertEqual(self.versions_in_use(), {table: {ROUNDS + 2} for table in TABLES})
        self.assertEqual(self.reads(), before)
        self.assertIn('"ok":true', self.coffer.command("verify", "--dir", self.coffer.folder, "--json").stdout.replace(" ", ""))
        print("\nT52 reached: %d kills of rotations of tenant keys, everything reads after each" % ROUNDS)


class LoadTests(RotationTestCase):
    def test_nobody_notices_under_load(self):
        stop, failures, counts, tags = threading.Event(), [], [], {}
        lock = threading.Lock()

        def read(number):
            ask = self.coffer.client()
            bearer = {"Authorization": "Bearer " + self.mine.key}
            count = 0
            try:
                while not stop.is_set():
                    for target, options in (
                        ("/api/settings/secrets/S%d" % (count % 40), {}), ("/api/settings", {"headers": {"X-Expose-Secrets": "plaintext"}}),
                        (self.secret + "/fields/f", {"key": None, "headers": bearer}), (self.secret, {"key": None, "headers": bearer}),
                    ):  # fmt: skip
                        answer = ask("GET", target, **options)
                        count += 1
                        tag = answer.header("ETag")
                        with lock:
                            if answer.status != 200 or tags.setdefault(target, tag) != tag:
                                failures.append((target, answer.status, tag, tags[target]))
            except Exception as error:  # noqa: BLE001
                failures.append((number, repr(error)))
            finally:
                counts.append(count)
                ask.close()

        def write():
            """Other secrets, of each dialect."""
            ask = self.coffer.client()
            count = 0
            try:
                while not stop.is_set():
                    count += 1
                    body = {"name": "W%d" % (count % 20), "value": "value-%d" % count}
                    field = self.mine.path("t") + "/fields/w%d" % (count % 10)
                    sealed = {"sensitivity": "encrypted", "envelope": seal(self.mine.mint("t", "w%d" % (count % 10)), b"value")}
                    for answer in (ask("PUT", "/api/settings/secrets", body), self.mine.ask("PUT", field, sealed)):
                        if answer.status != 200:
                            failures.append(("write", answer.status, answer.body[:200]))
            except Exception as error:  # noqa: BLE001
                failures.append(("write", repr(error)))
            finally:
                counts.append(count)
                ask.close()

        threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(6)] + [threading.Thread(target=write, daemon=True)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                self.rotate()
                time.sleep(random.uniform(0.1, 0.9))
            self.wait_for_rewrap()
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        self.assertEqual(failures[:5], [])
        self.assertGreater(min(counts), 10)
        self.assertEqual(self.versions_in_use(), {table: {6} for table in TABLES})
        self.assertIn('"ok":true', self.coffer.command("verify", "--dir", self.coffer.folder, "--json").stdout.replace(" ", ""))


if __name__ == "__main__":
    unittest.main()
