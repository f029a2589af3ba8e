"""T40: the clock of the machine jumps while the server runs. libfaketime reads from a file what time it is; the clock that only counts on, by which
threads wait, is left alone, as it is by such a jump."""

import glob
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

from coffer_harness import SECRET_KEY, SECRET_SETTINGS, at, may_trace, secret_paths, traced
from scoped_harness import ScopedTestCase, seal, unseal

LIBRARIES = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
# What the file says, and the year that answers then tell; None = this one.
JUMPS = (("-1d", None), ("-10y", "2016"), ("@1985-10-26 01:21:00", "1985"), ("@2106-02-07 06:28:10", "2106"), ("+0", None))


@unittest.skipUnless(LIBRARIES, "libfaketime is not installed: the clock is not set")
class ClockTests(ScopedTestCase):
    def setUp(self):
        file = tempfile.NamedTemporaryFile(prefix="coffer-clock-", suffix=".txt", mode="w", delete=False)
        self.addCleanup(os.unlink, file.name)
        file.close()
        self.file = pathlib.Path(file.name)
        self.set_clock("+0")
        self.use_fresh(environment={
            "OH_SECRET_KEY": SECRET_KEY, "LD_PRELOAD": LIBRARIES[0], "FAKETIME_TIMESTAMP_FILE": file.name, "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_SHARED": self.shared_memory()}, options=self.options)  # fmt: skip

    def shared_memory(self):
        """The names of what libfaketime shares between processes, made by the command. Without them the library makes its own and changes the
        environment before a program begins, and Swift, which finds the arguments beside it, would find none."""
        script = "import os, sys; print(os.environ['FAKETIME_SHARED'], flush=True); sys.stdin.read()"
        holder = subprocess.Popen(["faketime", "-f", "+0", sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.wait, 20)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.stdin.close)
        return holder.stdout.readline().strip()

    def set_clock(self, text):
        beside = self.file.with_suffix(".next")
        beside.write_text(text + "\n", encoding="ascii")
        # At once: a reader never meets an empty file.
        os.replace(beside, self.file)

    def agent_for_ever(self):
        """One whose key has no end: what ends by the clock is not looked at here."""
        self.operator("PATCH", self.below("settings"), {"allowKeysWithoutExpiry": True})
        return self.agent(expiresAt=None)

    def year(self, agent):
        return agent.ask("GET", "/agent/identity/whoami").json()["timestamp"][:4]

    def test_whatever_the_clock_says_everything_is_served(self):
        agent = self.agent_for_ever()
        now = self.year(agent)
        agent.call("PUT", agent.path("s"), {})
        self.patch({"agent_settings_diff": SECRET_SETTINGS})
        self.put("KEPT", "from before")
        documents, envelopes = [self.settings("encrypted")["agent_settings"]], {"first": agent.store("s", "first", b"value of first")}
        for number, (clock, year) in enumerate(JUMPS):
            with self.subTest(clock=clock):
                self.set_clock(clock)
                self.assertEqual(self.year(agent), year or now)
                # No token is refused, whenever it was made.
                for document in documents:
                    self.patch({"agent_settings_diff": document})
                    plain = self.settings("plaintext")["agent_settings"]
                    for path in secret_paths():
                        self.assertEqual(at(plain, path), at(SECRET_SETTINGS, path))
                documents.append(self.settings("encrypted")["agent_settings"])
                self.assertEqual(self.value("KEPT"), b"from before")
                self.put("KEPT", "from before", description="the clock says " + clock)
                self.put("JUMP%d" % number, clock)
                self.assertEqual(self.value("JUMP%d" % number).decode(), clock)
                # A data key is as good as ever for what it was minted for just now.
                field = "at%d" % number
                envelopes[field] = agent.store("s", field, b"value of " + field.encode())
                for name, envelope in envelopes.items():
                    opened = agent.unwrap("s", name, envelope)
                    self.assertEqual(unseal(envelope, opened["plaintextKey"]), b"value of " + name.encode())
                self.assertEqual(self.operator("POST", self.below("audit/verify"), {})["ok"], True)
        # Entries are in the order in which they were made, whatever time they tell.
        years = [entry["at"][:4] for entry in self.operator("GET", self.below("audit?limit=200"))]
        self.assertLess(years.index("2016"), years.index("1985"))
        self.assertLess(years.index("1985"), years.index("2106"))
        self.assertEqual(years[-1], now)
        rows = agent.call("GET", agent.path("s") + "/history")
        self.assertEqual([row["seq"] for row in rows], sorted((row["seq"] for row in rows), reverse=True))
        self.coffer.stop()
        self.coffer.command("verify", "--dir", self.coffer.folder)

    def test_a_clock_set_back_revives_no_data_key(self):
        agent = self.agent_for_ever()
        agent.call("PUT", agent.path("s"), {})
        minted = agent.mint("s", "late")
        self.set_clock("+2h")
        later = agent.mint("s", "early")
        body = {"sensitivity": "encrypted", "envelope": seal(minted, b"value")}
        # Each refusal is an entry whose time is an earlier one.
        for clock in ("+0", "+0", "-1h", "-1h"):
            self.set_clock(clock)
            agent.call("PUT", agent.path("s") + "/fields/late", body, 409, "data_key_expired")
        agent.store("s", "early", b"value", later)
        agent.store("s", "another", b"value")
        # What a start finds is the newest entry.
        self.set_clock("+2h")
        agent.mint("s", "f")
        agent.client.close()
        self.coffer.stop()
        self.set_clock("+0")
        self.coffer.up()
        agent.call("PUT", agent.path("s") + "/fields/late", body, 409, "data_key_expired")

    @unittest.skipUnless(may_trace(), "strace may not trace here: how threads wait is not looked at")
    def test_no_thread_waits_by_the_clock(self):
        with traced(self.coffer, "futex") as seen:
            time.sleep(2)
        waits = [line for line in seen if "tv_sec" in line]
        self.assertNotEqual(waits, [])
        self.assertEqual([line for line in waits if "CLOCK_REALTIME" in line], [])


if __name__ == "__main__":
    unittest.main()
