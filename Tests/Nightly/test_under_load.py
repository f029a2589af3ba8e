"""T32, T33, T34 and T37: nginx changed under load, slow and idle clients, and a million requests."""

import os
import pathlib
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
from coffer_harness import CofferTestCase, working  # noqa: E402
from test_crash import WritersTestCase  # noqa: E402

RELOADS = int(os.environ.get("COFFER_RELOADS", "20"))
SLOW_SECONDS = int(os.environ.get("COFFER_SLOW_SECONDS", "300"))
REQUESTS = int(os.environ.get("COFFER_REQUESTS", "1000000"))
SLOW, IDLE = 1000, 10_000


def resident(pid):
    """Bytes in memory."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path("/proc/%d/status" % pid).read_text())[1]) * 1024


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class Reader(threading.Thread):
    """Reads the settings at a steady pace, over a connection of its own for each request where `keeps` is false."""

    def __init__(self, coffer, keeps=True, pause=0.01):
        super().__init__(daemon=True)
        self.ask, self.keeps, self.pause = coffer.client(timeout=20), keeps, pause
        self.times, self.failures = [], []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            start = time.monotonic()
            try:
                status = self.ask("GET", "/api/settings").status
            except OSError as error:
                status = type(error).__name__
            self.times.append(time.monotonic() - start)
            if status != 200:
                self.failures.append(status)
            if not self.keeps:
                self.ask.close()
            time.sleep(self.pause)

    @classmethod
    def beside(cls, coffer, count=2, **options):
        return working([cls(coffer, **options) for _ in range(count)])


class NginxTests(WritersTestCase):
    def test_reload_and_restart(self):
        """T32."""
        nginx = int(pathlib.Path(self.coffer.folder, "run", "nginx.pid").read_text())
        with Reader.beside(self.coffer, 8, keeps=False, pause=0) as readers:
            for _ in range(RELOADS):
                os.kill(nginx, signal.SIGHUP)
                time.sleep(0.5)
        requests = sum(len(reader.times) for reader in readers)
        self.assertEqual([failure for reader in readers for failure in reader.failures], [])
        self.ask.close()
        with self.writers(0) as writers:
            for _ in range(5):
                time.sleep(0.3)
                self.coffer.stop()
                self.coffer.up()
        for writer in writers:
            self.check(writer.acknowledged, writer.attempted)
        print("\nT32 reached: %d reloads of nginx under %d requests, 0 failed; 5 restarts of everything, 0 acknowledged writes lost" % (
            RELOADS, requests))  # fmt: skip


class ManyClientsTests(CofferTestCase):
    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < IDLE + 2000:
            raise AssertionError("needs %d file descriptors" % (IDLE + 2000))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        super().setUpClass()

    def connect(self, first, receive_buffer=None):
        connection = socket.socket()
        self.addCleanup(connection.close)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(("127.0.0.1", self.coffer.port))
        connection.sendall(first)
        connection.setblocking(False)
        return connection

    def test_slow_clients(self):
        """T33: of their heads, of their bodies, and of their answers. The files' limits end most of them; each that ends comes again."""
        key = self.coffer.keys["sessionKey"]
        head = "%s HTTP/1.1\r\nHost: localhost\r\nX-Session-API-Key: " + key + "\r\n"
        kinds = (
            ((head % "GET /api/settings").encode(), b"X-Slow: 1\r\n"),
            ((head % "PATCH /api/settings").encode() + b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n", b" "),
            ((head % "GET /api/settings/agent-schema").encode() + b"\r\n", None),
        )
        made = [0]

        def slow(number):
            made[0] += 1
            first, more = kinds[number % len(kinds)]
            return self.connect(first, None if more else 2048), more

        connections = dict(enumerate(slow(number) for number in range(SLOW)))
        end, beat = time.monotonic() + SLOW_SECONDS, 0
        with Reader.beside(self.coffer) as readers:
            while time.monotonic() < end:
                beat += 1
                for number in range(beat % 10, SLOW, 10):
                    connection, more = connections[number]
                    try:
                        if more:
                            connection.send(more)
                        elif connection.recv(64) == b"":
                            raise ConnectionError
                    except BlockingIOError:
                        pass
                    except OSError:
                        connection.close()
                        connections[number] = slow(number)
                time.sleep(0.1)
        times = [one for reader in readers for one in reader.times]
        self.assertEqual([failure for reader in readers for failure in reader.failures], [])
        p99 = percentile(times, 0.99) * 1000
        print("\nT33 reached: %d slow connections at a time, %d in all, for %d s: p99 of %d normal requests %.1f ms" % (
            SLOW, made[0], SLOW_SECONDS, len(times), p99))  # fmt: skip
        self.assertLess(p99, 100)

    def test_idle_connections(self):
        """T34: each has asked once and is kept."""
        pid = self.coffer.responder()
        before = resident(pid)
        request = b"GET /alive HTTP/1.1\r\nHost: localhost\r\n\r\n"
        answered, idle = 0, []
        selector = selectors.DefaultSelector()
        self.addCleanup(selector.close)
        for _ in range(IDLE):
            connection = self.connect(request)
            idle.append(connection)
            selector.register(connection, selectors.EVENT_READ)
            for key, _ in selector.select(0):
                answered += key.fileobj.recv(4096).startswith(b"HTTP/1.1 200")
                selector.unregister(key.fileobj)
        end = time.monotonic() + 20
        while answered < IDLE and time.monotonic() < end and selector.get_map():
            for key, _ in selector.select(1):
                answered += key.fileobj.recv(4096).startswith(b"HTTP/1.1 200")
                selector.unregister(key.fileobj)
        self.assertEqual(answered, IDLE)
        with Reader.beside(self.coffer) as readers:
            time.sleep(20)
        still = 0
        for connection in idle:
            try:
                still += connection.recv(1) != b""
            except BlockingIOError:
                still += 1
            except OSError:
                pass
        times = [one for reader in readers for one in reader.times]
        self.assertEqual([failure for reader in readers for failure in reader.failures], [])
        p99, growth = percentile(times, 0.99) * 1000, resident(pid) - before
        print("\nT34 reached: %d connections answered, %d of them kept 20 s: p99 of %d requests %.1f ms, cofferd grew by %.1f MB" % (
            answered, still, len(times), p99, growth / 1e6))  # fmt: skip
        self.assertGreater(still, IDLE * 0.99)
        self.assertLess(p99, 100)
        self.assertLess(growth, 8 << 20)


class MillionRequestsTests(CofferTestCase):
    def run_requests(self, count):
        """So many at least, by wrk."""
        done, failed = 0, 0
        script = pathlib.Path(self.coffer.home, "key.lua")
        script.write_text('wrk.headers["X-Session-API-Key"] = "%s"\n' % self.coffer.keys["sessionKey"])
        script.chmod(0o600)
        while done < count:
            said = subprocess.run(
                ["wrk", "-t1", "-c16", "-d5s", "-s", script, "http://127.0.0.1:%d/api/settings" % self.coffer.port],
                capture_output=True, text=True, check=True).stdout  # fmt: skip
            done += int(re.search(r"(\d+) requests in", said)[1])
            failed += int((re.search(r"Non-2xx or 3xx responses: (\d+)", said) or [0, 0])[1])
            failed += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", said)))
        return done, failed

    def test_memory_and_descriptors_stay(self):
        """T37."""
        self.put("KEPT", "value")
        self.ask.close()
        pid = self.coffer.responder()
        first, failed = self.run_requests(REQUESTS // 10)
        time.sleep(4)
        before, open_before = resident(pid), descriptors(pid)
        second, more = self.run_requests(REQUESTS - first)
        time.sleep(4)
        growth, opened = resident(pid) - before, descriptors(pid) - open_before
        print("\nT37 reached: %d requests, %d failed; after the first %d memory grew by %.2f MB, descriptors by %d" % (
            first + second, failed + more, first, growth / 1e6, opened))  # fmt: skip
        self.assertEqual(failed + more, 0)
        self.assertLess(growth, 5 << 20)
        self.assertLessEqual(opened, 0)


if __name__ == "__main__":
    unittest.main()
