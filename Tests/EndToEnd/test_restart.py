"""T31 and T39: restarts under load without a failed request, and signals.

COFFER_ROUNDS_RESTART sets the rounds of T31 (5 by default)."""

import http.client
import os
import signal
import threading
import time
import unittest

from coffer_harness import CofferTestCase, running, working

ROUNDS = int(os.environ.get("COFFER_ROUNDS_RESTART", "5"))
CLIENTS = 8


class Load(threading.Thread):
    """Reads and writes over one connection; every request must be answered 200."""

    def __init__(self, coffer, number, stopping):
        super().__init__(daemon=True)
        self.ask, self.number, self.stopping = coffer.client(), number, stopping
        self.requests, self.failures, self.slowest = 0, [], 0.0

    def run(self):
        while not self.stopping.is_set():
            self.once("GET", "/api/settings/secrets/LOAD")
            self.once("GET", "/api/settings")
            body = {"name": "LOAD%d" % self.number, "value": str(self.requests)}
            if self.once("PUT", "/api/settings/secrets", body):
                self.written = body["value"]

    def once(self, method, target, body=None):
        self.requests += 1
        start = time.monotonic()
        try:
            answer = self.ask(method, target, body)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append("%s %s: %s" % (method, target, type(error).__name__))
            return False
        self.slowest = max(self.slowest, time.monotonic() - start)
        if answer.status != 200:
            self.failures.append("%s %s: %d" % (method, target, answer.status))
        return answer.status == 200


class RestartTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.put("LOAD", "value")

    def load(self, work):
        """Runs `work` under load; the loads afterwards."""
        stopping = threading.Event()
        loads = [Load(self.coffer, number, stopping) for number in range(CLIENTS)]
        with working(loads, seconds=60):
            time.sleep(0.3)
            work()
            time.sleep(0.3)
        return loads

    def wait_for_another(self, old, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.coffer.responder() != old:
                    return
            except OSError:
                self.fail("the socket was not served")
            time.sleep(0.02)
        self.fail("no successor after %d seconds" % seconds)

    def wait_for_end(self, pid, seconds=20):
        end = time.monotonic() + seconds
        while running(pid):
            self.assertLess(time.monotonic(), end, "the old process still runs")
            time.sleep(0.05)

    def check_no_failure(self, start_successor):
        def work():
            for _ in range(ROUNDS):
                old = self.coffer.responder()
                start_successor(old)
                self.wait_for_another(old)
                self.wait_for_end(old)

        loads = self.load(work)
        self.assertEqual([failure for load in loads for failure in load.failures], [])
        self.assertGreater(sum(load.requests for load in loads), 500)
        # It has been idle for longer than nginx keeps a connection.
        self.ask.close()
        for load in loads:
            self.assertEqual(self.value("LOAD%d" % load.number).decode(), load.written)
        print("\nT31 reached: %d restarts under %d requests, slowest answer %.2f s" % (
            ROUNDS, sum(load.requests for load in loads), max(load.slowest for load in loads)))  # fmt: skip

    def test_restart_command_under_load(self):
        self.check_no_failure(lambda old: self.coffer.command("restart", "--dir", self.coffer.folder))

    def test_hangup_under_load(self):
        self.check_no_failure(lambda old: os.kill(old, signal.SIGHUP))


class SignalTests(CofferTestCase):
    def test_term_ends_everything(self):
        """Exit status 0 within 5 seconds, the socket gone or dead, what was in flight answered."""
        coffer = self.fresh()
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.put("A", "v", ask)
        responder = coffer.responder()
        start = time.monotonic()
        self.assertEqual(coffer.stop(), 0)
        self.assertLess(time.monotonic() - start, 12)
        self.assertFalse(os.path.exists("/proc/%d" % responder))
        with self.assertRaises(OSError):
            coffer.responder()

    def test_interrupt_ends_everything(self):
        coffer = self.fresh()
        coffer.process.send_signal(signal.SIGINT)
        self.assertEqual(coffer.process.wait(15), 0)

    def test_an_end_in_the_middle_of_a_restart(self):
        """Neither of the two processes is left behind with the store."""
        coffer = self.fresh()
        for pause in (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3):
            os.kill(coffer.responder(), signal.SIGHUP)
            time.sleep(pause)
            self.assertEqual(coffer.stop(), 0)
            coffer.up()

    def test_other_signals_change_nothing(self):
        pid = self.coffer.responder()
        for number in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGWINCH):
            os.kill(pid, number)
        time.sleep(0.3)
        self.assertEqual(self.coffer.responder(), pid)
        self.put("AFTER", "signals")

    def test_broken_configuration_keeps_the_old_process(self):
        """A successor that cannot start leaves the server as it is."""
        coffer = self.fresh()
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.put("A", "v", ask)
        old = coffer.responder()
        with open(os.path.join(coffer.folder, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("\nno.such.key = 1\n")
        coffer.command("restart", "--dir", coffer.folder, check=False)
        time.sleep(1.5)
        self.assertEqual(coffer.responder(), old)
        self.assertEqual(self.value("A", ask), b"v")
        self.put("A", "w", ask)


if __name__ == "__main__":
    unittest.main()
