"""T27: one bit of the database or of its log is flipped; what is read afterwards is the right value or an error. A log is only
good up to its first bad bit (SQLite's file format, section 4.1), so that a flip there may bring back the state of an earlier commit, whole; a head of
the audit chain that is kept elsewhere tells that.

COFFER_FLIPS sets how many (1,000 by default)."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
from coffer_harness import CofferTestCase  # noqa: E402

FLIPS = int(os.environ.get("COFFER_FLIPS", "1000"))
SECRETS = 40


class FlipTests(CofferTestCase):
    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.coffer = self.fresh()
        self.ask = self.coffer.client()
        self.addCleanup(lambda: self.ask.close())

    def test_no_wrong_value(self):
        for number in range(SECRETS):
            self.put("S%d" % number, "right-%d" % number)
        # Half of it goes from the log into the database, so that there is something in both.
        self.ask.close()
        self.coffer.stop()
        self.coffer.up()
        for number in range(SECRETS // 2):
            self.put("S%d" % number, "newer-%d" % number)
        self.ask.close()
        # A kill leaves the log.
        os.kill(self.coffer.responder(), signal.SIGKILL)
        with contextlib.suppress(AssertionError):
            self.coffer.stop()
        store, kept = pathlib.Path(self.coffer.folder, "store"), pathlib.Path(self.coffer.home, "kept")
        shutil.copytree(store, kept)
        sizes = {name: (kept / name).stat().st_size for name in ("coffer.db", "coffer.db-wal") if (kept / name).exists()}
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        right = older = refused = unstarted = 0
        for flip in range(FLIPS):
            shutil.rmtree(store)
            shutil.copytree(kept, store)
            name = chance.choices(list(sizes), list(sizes.values()))[0]
            bit = chance.randrange(sizes[name] * 8)
            with open(store / name, "r+b") as file:
                file.seek(bit // 8)
                byte = file.read(1)[0]
                file.seek(bit // 8)
                file.write(bytes([byte ^ 1 << bit % 8]))
            with self.subTest(seed=seed, flip=flip, file=name, bit=bit):
                try:
                    self.coffer.up()
                except RuntimeError:
                    status, self.coffer.process = self.coffer.process.poll(), None
                    self.assertIn(status, range(1, 100), "ended by a signal, or did not end")
                    unstarted += 1
                    continue
                try:
                    for number in chance.sample(range(SECRETS), 8):
                        answer = self.ask("GET", "/api/settings/secrets/S%d" % number)
                        before, now = "right-%d" % number, ("newer-%d" if number < SECRETS // 2 else "right-%d") % number
                        if answer.status != 200:
                            # The row of the key itself may be the damaged one.
                            self.assertGreaterEqual(answer.status, 400)
                            refused += 1
                        elif answer.body.decode() == now:
                            right += 1
                        else:
                            self.assertEqual((answer.body.decode(), name), (before, "coffer.db-wal"))
                            older += 1
                finally:
                    self.ask.close()
                    self.coffer.stop()
        print("\nT27 reached: %d flips: %d right values, %d of an earlier commit, %d errors, %d starts refused, 0 wrong values, 0 crashes" % (
            FLIPS, right, older, refused, unstarted))  # fmt: skip


if __name__ == "__main__":
    unittest.main()
