"""T27: one bit of the database or of its log is flipped; what is read afterwards is the right value or an error. A log is only
good up to its first bad bit (SQLite's file format, section 4.1), so that a flip there may bring back the state of an earlier commit, whole; a head of
the audit chain that is kept elsewhere tells that.

COFFER_FLIPS sets how many (1,000 by default)."""

import os
import pathlib
import random
import shutil
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
        self.coffer.kill_responder()
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
                self.coffer.up(wait=False)
                try:
                    self.coffer.wait_ready(20)
                except RuntimeError:
                    self.assertIn(self.coffer.process.poll(), range(1, 100), "ended by a signal, or did not end")
                    self.coffer.process = None
                    unstarted += 1
                    continue
                for number in chance.sample(range(SECRETS), 8):
                    answer = self.ask("GET", "/api/settings/secrets/S%d" % number)
                    if answer.status == 200 and name.endswith("-wal") and answer.body.decode() == "right-%d" % number:
                        older += number < SECRETS // 2
                        right += number >= SECRETS // 2
                    elif answer.status == 200:
                        self.assertEqual(answer.body.decode(), ("newer-%d" if number < SECRETS // 2 else "right-%d") % number)
                        right += 1
                    else:
                        self.assertIn(answer.status, (404, 500, 503))
                        refused += 1
                self.ask.close()
                self.assertIn(self.coffer.stop(), (0, 1))
        print("\nT27 reached: %d flips: %d right values, %d of an earlier commit, %d errors, %d starts refused, 0 wrong values, 0 crashes" % (
            FLIPS, right, older, refused, unstarted))  # fmt: skip


if __name__ == "__main__":
    unittest.main()
