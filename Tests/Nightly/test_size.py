"""T29 and T36: others at the store's files while it is written, and a million secrets beside a clock."""

import contextlib
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

TESTS = pathlib.Path(__file__).resolve().parents[1]
for folder in ("EndToEnd", "Benchmarks"):
    sys.path.insert(0, str(TESTS / folder))
from coffer_harness import Client, binaries, working  # noqa: E402
from growth import fill, growing_rows  # noqa: E402
from rig import Rig  # noqa: E402
from test_crash import WritersTestCase  # noqa: E402
from test_under_load import percentile  # noqa: E402

# Taken out of the environment: cofferd and coffer refuse variables they do not know.
HAMMER_SECONDS = int(os.environ.pop("COFFER_HAMMER_SECONDS", "60"))
SECRETS = int(os.environ.pop("COFFER_SECRETS", "1000000"))
PACED_SECONDS = int(os.environ.pop("COFFER_PACED_SECONDS", "60"))


class Other(threading.Thread):
    """Does `work` again and again while the body runs; what it gave is in `results`."""

    def __init__(self, coffer, work):
        super().__init__(daemon=True)
        self.ask, self.work, self.results, self.failures = coffer.client(), work, [], []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.results.append(self.work())
            except Exception as error:  # noqa: BLE001 - told by the test
                self.failures.append(repr(error))


class HammerTests(WritersTestCase):
    def test_other_processes_at_the_files(self):
        """T29. Only the writing process may move the log into the file: the others read, back up, and try to become a second one."""
        database = "file:%s/store/coffer.db?mode=ro" % self.coffer.folder
        self.ask.close()

        def read():
            with contextlib.closing(sqlite3.connect(database, uri=True, timeout=20)) as connection:
                return connection.execute("SELECT count(*) FROM audit").fetchone()[0]

        def second():
            words = [str(binaries() / "cofferd"), "--dir", self.coffer.folder]
            words += ["--socket", self.coffer.home + "/second.sock", "--control-socket", self.coffer.home + "/second-control.sock"]
            return subprocess.run(words, env=self.environment, capture_output=True, timeout=60, check=False).returncode

        def back_up():
            path = os.path.join(self.coffer.home, "a.backup")
            self.coffer.command("backup", "--dir", self.coffer.folder, "--to", path)
            os.unlink(path)

        begun = time.monotonic()
        with self.writers(0) as writers:
            others = [Other(self.coffer, work) for work in (read, read, second, back_up)]
            with working(others, 90):
                time.sleep(HAMMER_SECONDS)
        for other in others:
            self.assertEqual(other.failures, [])
        self.assertEqual(set(others[2].results), {66}, "a second cofferd was not refused")
        # What was counted only grew.
        self.assertEqual(others[0].results, sorted(others[0].results))
        for writer in writers:
            self.check(writer.acknowledged, writer.attempted)
        self.coffer.command("verify", "--dir", self.coffer.folder, timeout=600)
        self.coffer.stop()
        with contextlib.closing(sqlite3.connect(database, uri=True)) as connection:
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            entries = connection.execute("SELECT count(*) FROM audit").fetchone()[0]
        print("\nT29 reached: %d s, %d entries written beside %d readings, %d backups and %d refused second processes; integrity ok" % (
            time.monotonic() - begun, entries, len(others[0].results) + len(others[1].results), len(others[3].results), len(others[2].results)))  # fmt: skip


class Paced(threading.Thread):
    """Sends a request every `pause` seconds whether or not the last one was quick: a time counts from when it was due."""

    def __init__(self, server, requests, pause):
        super().__init__(daemon=True)
        self.client, self.requests, self.pause = Client(server.port, tls=True), requests, pause
        self.times, self.failures = [], []

    def run(self):
        due = time.monotonic() + random.uniform(0, self.pause)
        end = due + PACED_SECONDS
        while due < end:
            time.sleep(max(0, due - time.monotonic()))
            method, path, body, headers = self.requests()
            answer = self.client(method, path, body, headers=headers)
            self.times.append(time.monotonic() - due)
            if answer.status != 200:
                self.failures.append((path, answer.status))
            due += self.pause
        self.client.close()


class MillionTests(unittest.TestCase):
    def test_beside_a_clock(self):
        """T36."""
        with Rig() as rig:
            coffer = rig.coffer
            rows = {row.name: row for row in growing_rows(coffer, SECRETS)}
            fill(rig, coffer, SECRETS, rows)
            start = max(coffer.start_time(3)) / 1000
            coffer.wait_ready()
            half = SECRETS // 2

            def of(*names):
                def one():
                    request = rows[random.choice(names)].request
                    number = "%07d" % random.randrange(half)
                    body = request.body and request.body.replace("@", number).replace("#", "%020d" % random.randrange(10**18))
                    return request.method, request.path.replace("@", number), body and body.encode(), request.headers

                return one

            # 500 readings, 50 writes and 10 pages a second.
            kinds = {
                "GET": [Paced(coffer, of("GET a secret", "GET a field", "GET settings"), 0.016) for _ in range(8)],
                "PUT": [Paced(coffer, of("PUT a secret", "PUT a field"), 0.04) for _ in range(2)],
                "list": [Paced(coffer, of("list 50 scoped secrets"), 0.1)],
            }
            for threads in kinds.values():
                for thread in threads:
                    thread.start()
            for threads in kinds.values():
                for thread in threads:
                    thread.join(PACED_SECONDS + 60)
            self.assertEqual([failure for threads in kinds.values() for thread in threads for failure in thread.failures], [])
            times = {kind: [one for thread in threads for one in thread.times] for kind, threads in kinds.items()}
            slowest = {kind: percentile(found, 0.99) * 1000 for kind, found in times.items()}
            resident = coffer.resident() / (1 << 20)
            print("\nT36 reached: %d secrets; p99 of %d GET %.1f ms, of %d PUT %.1f ms, of %d pages %.1f ms; start %.2f s; %.0f MB" % (
                SECRETS, len(times["GET"]), slowest["GET"], len(times["PUT"]), slowest["PUT"], len(times["list"]), slowest["list"],
                start, resident))  # fmt: skip
            self.assertLess(slowest["GET"], 5)
            self.assertLess(slowest["PUT"], 20)
            self.assertLess(slowest["list"], 50)
            self.assertLess(start, 2)
            self.assertLess(resident, 200)


if __name__ == "__main__":
    unittest.main()
