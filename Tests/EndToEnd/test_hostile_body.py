"""T10, T15, T25, T35 and T41 on the running server: bodies and peers that mean no good."""

import base64
import concurrent.futures
import json
import os
import pathlib
import resource
import socket
import struct
import time
import unittest

import fastcgi
from coffer_harness import CofferTestCase
from nginx_harness import ROOT, read_all
from scoped_harness import ScopedTestCase

OWN_VECTORS = ROOT / "Tests" / "Vectors" / "json"
JSON_VECTORS = ROOT.parent / "shared" / "vectors" / "json"


def memory(pid):
    """Resident bytes of a process."""
    fields = pathlib.Path("/proc/%d/statm" % pid).read_text().split()
    return int(fields[1]) * resource.getpagesize()


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def json_cases():
    """(name, bytes, whether every parser must refuse them) of the project's own cases, and of the published sets where they lie beside the project."""
    cases = [(case["name"], case_bytes(case), False) for case in json.loads((OWN_VECTORS / "project_cases.json").read_text())["cases"]]
    for name in ("jsontestsuite_parsing.json", "jsontestsuite_transform.json"):
        if (JSON_VECTORS / name).exists():
            published = json.loads((JSON_VECTORS / name).read_text())["cases"]
            cases += [(case["name"], case_bytes(case), case.get("expect") == "reject") for case in published]
    return cases


def case_bytes(case):
    if "b64" in case:
        return base64.b64decode(case["b64"])
    if "repeat" in case:
        unit, tail = (base64.b64decode(case["repeat"][part]) for part in ("unit_b64", "tail_b64"))
        return unit * case["repeat"]["count"] + tail
    if "parts" in case:
        return "".join(part["text"] * part.get("times", 1) if isinstance(part, dict) else part[0] * part[1] for part in case["parts"]).encode()
    return case["text"].encode("utf-8", "surrogatepass")


class BodyTests(ScopedTestCase):
    def answered(self, body, target="/api/settings", method="PATCH", headers=()):
        start = time.monotonic()
        answer = self.ask(method, target, body, headers)
        self.assertLess(answer.status, 500, body[:60])
        self.assertLess(time.monotonic() - start, 1, body[:60])
        return answer

    def test_json_cases(self):
        """T10: never a fault of the server, never long, never large."""
        cases = json_cases()
        print("\nT10 reached: %d of 416 JSON cases in both dialects" % len(cases))
        agent = self.agent()
        key = {"Authorization": "Bearer " + agent.key}
        pid = self.coffer.responder()
        before = memory(pid)
        for name, data, is_broken in cases:
            with self.subTest(name):
                self.answered(data)
                within = self.answered(b'{"misc_settings_diff": {"case": ' + data + b"}}")
                self.answered(data, agent.path("json"), "PUT", key)
                beside = self.answered(b'{"tags": [], "case": ' + data + b"}", agent.path("json"), "PUT", key)
                if is_broken:
                    self.assertEqual((within.status, beside.status), (422, 400))
                    self.assertEqual(beside.json()["code"], "invalid_json")
        self.assertLess(memory(pid) - before, 64 << 20)

    def test_hostile_json(self):
        for data in (b"", b"null", b"[]", b"{", b'{"a":1,}', b'{"a":1}x', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'{"a":1,"a":2}',
                     b"NaN", b'{"a":1e999}', b'{"a":"\\ud800"}', b"[" * 100_000, b'{"a":' * 50_000, b'"' + b"\\u0000" * 100_000 + b'"',
                     b'{"misc_settings_diff":{"a":' + b"[" * 70 + b"]" * 70 + b"}}",
                     b"{" + b",".join(b'"%d":1' % number for number in range(10_001)) + b"}", b'{"a":-}', b'{"a":01}', b"9" * 100_000):  # fmt: skip
            with self.subTest(data[:40]):
                self.assertIn(self.answered(data).status, (400, 413, 422))

    def test_media_types(self):
        for kind, status in (("application/json", 200), ("application/json; charset=utf-8", 200), ("application/merge-patch+json", 200),
                             ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("multipart/form-data", 415)):  # fmt: skip
            answer = self.ask("PATCH", "/api/settings", b'{"misc_settings_diff":{}}', headers={"Content-Type": kind})
            self.assertEqual(answer.status, status, kind)

    def test_body_cut_at_every_byte(self):
        """T15: a body shorter or longer than announced is refused and stores nothing."""
        body = json.dumps({"name": "CUT", "value": "v" * 260}).encode()
        key = [("X-Session-API-Key", self.coffer.keys["sessionKey"])]
        for length in range(len(body)):
            for part, announced in ((body[:length], len(body)), (body, length)):
                pairs = fastcgi.settings_params("PUT", "/api/settings/secrets", key, body, CONTENT_LENGTH=str(announced))
                try:
                    status, _, _ = fastcgi.exchange(self.coffer.socket_path, pairs, part)
                except fastcgi.ConnectionEnded:
                    continue
                self.assertGreaterEqual(status, 400, "%d of %d bytes" % (len(part), announced))
                self.assertLess(status, 500)
        for length in range(0, len(body), 7):  # the connection closed instead
            pairs = fastcgi.settings_params("PUT", "/api/settings/secrets", key, body)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self.coffer.socket_path)
                whole = fastcgi.request_bytes(pairs, body)
                connection.sendall(whole[: len(whole) - len(body) - 16 + length])
        time.sleep(0.3)
        self.assertEqual(self.ask("GET", "/api/settings/secrets/CUT").status, 404)

    def test_one_gigabyte(self):
        """T35: declared and chunked; refused without growth and without a file."""
        pid = self.coffer.responder()
        before = memory(pid)
        common = b"PUT /api/settings/secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Session-API-Key: %s\r\n" % self.coffer.keys["sessionKey"].encode()
        with socket.create_connection(("127.0.0.1", self.coffer.port), 10) as connection:
            connection.sendall(common + b"Content-Length: 1073741824\r\n\r\n" + b"x" * 65536)
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 413"))
        with socket.create_connection(("127.0.0.1", self.coffer.port), 10) as connection:
            chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
            try:
                connection.sendall(common + b"Transfer-Encoding: chunked\r\n\r\n")
                for _ in range(1024):
                    connection.sendall(chunk)
            except OSError:
                pass
            self.assertTrue(read_all(connection).startswith(b"HTTP/1.1 413"))
        self.assertLess(memory(pid) - before, 8 << 20)
        pairs = fastcgi.settings_params(
            "PUT", "/api/settings/secrets", [("X-Session-API-Key", self.coffer.keys["sessionKey"])], CONTENT_LENGTH=str(1 << 30))  # fmt: skip
        self.assertIn(fastcgi.exchange(self.coffer.socket_path, pairs, b"x" * 4096)[0], (400, 413))
        self.assertLess(memory(pid) - before, 8 << 20)

    def test_value_and_body_limits(self):
        self.assertEqual(self.ask("PUT", "/api/settings/secrets", {"name": "L", "value": "v" * 65536}).status, 200)
        self.assertEqual(self.ask("PUT", "/api/settings/secrets", {"name": "L", "value": "v" * 65537}).status, 413)
        self.assertEqual(len(self.value("L")), 65536)


class PeerTests(CofferTestCase):
    """T41: peers on the socket itself."""

    def hostile(self):
        begin = fastcgi.record(fastcgi.BEGIN_REQUEST, struct.pack("!HB5x", 1, 0))
        role = fastcgi.record(fastcgi.BEGIN_REQUEST, struct.pack("!HB5x", 2, 0))
        params = fastcgi.encode_params(fastcgi.settings_params("GET", "/ready"))
        return [
            b"", b"\0", b"\xff" * 64, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", os.urandom(4096), begin, role, begin[:5],
            begin + fastcgi.record(fastcgi.PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            begin + fastcgi.record(fastcgi.PARAMS, b"\x7f\x7fA"),
            begin + fastcgi.record(fastcgi.PARAMS, struct.pack("!II", 0xFFFFFFFF, 0xFFFFFFFF) + b"x" * 100),
            begin + fastcgi.stream(fastcgi.PARAMS, params) + fastcgi.record(fastcgi.ABORT_REQUEST, b""),
            begin + fastcgi.stream(fastcgi.PARAMS, params * 2) + fastcgi.stream(fastcgi.STDIN, b""),
            begin + fastcgi.record(fastcgi.STDIN, b"before the parameters"),
            struct.pack("!BBHHBB", 9, 1, 1, 8, 0, 0) + b"x" * 8,
            struct.pack("!BBHHBB", 1, 9, 0, 65535, 255, 0) + b"x" * 100,
        ]  # fmt: skip

    def test_hostile_peers(self):
        pid = self.coffer.responder()
        for round_number in range(5):
            for number, data in enumerate(self.hostile()):
                with self.subTest(number), socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(0.2)
                    connection.connect(self.coffer.socket_path)
                    connection.sendall(data)
                    try:
                        connection.shutdown(socket.SHUT_WR)
                        connection.recv(65536)
                    except OSError:
                        pass
        self.assertEqual(self.coffer.responder(), pid, "it was restarted")
        self.put("AFTER", "hostile peers")

    def test_silent_peers(self):
        """100 who say nothing and 100 who stop half-way: others are served in time."""
        begin = fastcgi.record(fastcgi.BEGIN_REQUEST, struct.pack("!HB5x", 1, 0))
        peers = []
        try:
            for number in range(200):
                peers.append(socket.socket(socket.AF_UNIX))
                peers[-1].connect(self.coffer.socket_path)
                if number % 2:
                    peers[-1].sendall(begin[: number % 16] if number % 3 else begin)
            times = []
            for _ in range(200):
                start = time.monotonic()
                self.assertEqual(self.ask("GET", "/ready").status, 200)
                times.append(time.monotonic() - start)
            self.assertLess(sorted(times)[197], 0.5, "99th of 100")
        finally:
            for peer in peers:
                peer.close()

    @unittest.skipIf(os.geteuid() != 0, "needs root to become somebody else")
    def test_another_user_is_refused(self):
        child = os.fork()
        if child == 0:  # pragma: no cover
            status = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                fastcgi.exchange(self.coffer.socket_path, fastcgi.settings_params("GET", "/ready"), timeout=5)
            except (OSError, fastcgi.ConnectionEnded):
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "served a stranger")

    def test_many_connections(self):
        """T25: 600 kept connections, then few descriptors; it says 503 or waits, and recovers."""
        pid = self.coffer.responder()
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.put("BEFORE", "v")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 20, hard))
        peers = []
        try:
            for _ in range(200):
                peers.append(socket.socket(socket.AF_UNIX))
                peers[-1].settimeout(1)
                peers[-1].connect(self.coffer.socket_path)
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                statuses = set(pool.map(lambda _: self.once(), range(16)))
            self.assertLessEqual(statuses, {200, 502, 503, 504, None})
        finally:
            for peer in peers:
                peer.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        end = time.monotonic() + 20
        while self.once() != 200:
            self.assertLess(time.monotonic(), end, "not recovered")
            time.sleep(0.2)
        self.assertEqual(self.coffer.responder(), pid, "it crashed")
        self.assertEqual(self.value("BEFORE"), b"v")
        self.put("AFTER", "v")

    def once(self):
        ask = self.coffer.client(timeout=3)
        try:
            return ask("GET", "/api/settings").status
        except OSError:
            return None
        finally:
            ask.close()

    def test_growth(self):
        """10,000 requests leave memory and descriptors as they were."""
        self.put("GROWTH", "v" * 1000)
        pid = self.coffer.responder()

        def run(count):
            ask = self.coffer.client()
            for number in range(count):
                if number % 10 == 0:
                    ask("PUT", "/api/settings/secrets", {"name": "GROWTH", "value": "v" * (number % 4000)})
                ask("GET", "/api/settings/secrets/GROWTH")
            ask.close()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(run, [500] * 4))
            before, open_before = memory(pid), descriptors(pid)
            list(pool.map(run, [2000] * 4))
        self.assertLess(memory(pid) - before, 5 << 20)
        self.assertLessEqual(descriptors(pid), open_before + 4)

    def test_more_long_bodies_than_reading_threads_are_all_answered(self):
        """Each is longer than a loop looks at, and there are four times as many as may be read at once."""
        body = json.dumps({"name": "LONG", "value": "v" * 900_000}).encode()

        def run(_):
            ask = self.coffer.client()
            try:
                return ask("PUT", "/api/settings/secrets", body).status
            finally:
                ask.close()

        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            self.assertEqual(set(pool.map(run, range(128))), {413})

    def test_no_core_and_no_children(self):
        pid = self.coffer.responder()
        self.assertEqual(resource.prlimit(pid, resource.RLIMIT_CORE)[0], 0)
        children = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid))
        if children.exists():
            self.assertEqual(children.read_text().strip(), "")


if __name__ == "__main__":
    unittest.main()
