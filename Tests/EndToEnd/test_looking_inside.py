"""What the server shows of itself: figures, log lines, settings. Counts are right, access is an operator's, and nothing a client
words gets out (T63, T92)."""

import contextlib
import json
import os
import pathlib
import pty
import re
import select
import socket
import sqlite3
import subprocess
import time
import unittest

import fastcgi
from coffer_harness import CofferTestCase, binaries

SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\})? ([0-9]+(?:\.[0-9]+)?)$')
# As bytes in latin-1, without NUL, which ends a parameter.
HOSTILE = ["line\nbreak", "\x1b[2J\x1b[31m", '"},{"level":"error"', "\u202e\u2028", "x" * 4000, "\x7f\x9b", "é☃🔑"]
HOSTILE = [word.encode().decode("latin-1") for word in HOSTILE]


def samples(text):
    """{(name, labels): value}, with the form of every line checked against the format."""
    found, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            if name in types:
                raise AssertionError("%s comes twice" % name)
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.match(line)
            if not match:
                raise AssertionError("not a sample: %r" % line)
            name, labels, value = match.groups()
            if name not in types and re.sub("_(bucket|sum|count)$", "", name) not in types:
                raise AssertionError("%s has no type" % name)
            key = (name, labels or "")
            if key in found:
                raise AssertionError("%s{%s} comes twice" % key)
            found[key] = float(value)
    return found


class Lines:
    """The JSON lines that cofferd has logged since."""

    def __init__(self, coffer):
        self.coffer, self.start = coffer, len(coffer.output())

    def all(self):
        lines = [line for line in self.coffer.output()[self.start :].splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]

    def wait(self, *conditions, seconds=5):
        """One line for each condition, in any order."""
        end = time.monotonic() + seconds
        while True:
            found = [next((line for line in self.all() if condition(line)), None) for condition in conditions]
            if all(found):
                return found
            if time.monotonic() > end:
                raise AssertionError("not logged: %r" % self.all())
            time.sleep(0.02)


class MetricsTests(CofferTestCase):
    def scrape(self):
        return samples(self.coffer.command("metrics", "--dir", self.coffer.folder).stdout)

    def test_operators_only(self):
        session = {"Authorization": "Bearer " + self.coffer.keys["sessionKey"]}
        unknown = {"Authorization": "Bearer adk_x_y"}
        # A key of another kind is known and may not.
        for headers, status, code in (({}, 401, "unauthenticated"), (unknown, 401, "unauthenticated"), (session, 403, "wrong_key_kind")):
            answer = self.ask("GET", "/metrics", headers=headers)
            self.assertEqual((answer.status, answer.json()["code"]), (status, code))
        answer = self.ask("GET", "/metrics", headers={"Authorization": "Bearer " + self.coffer.keys["adminKey"]}, key=None)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual({name for name, _ in samples(answer.body.decode())}, {name for name, _ in self.scrape()})
        self.assertEqual(self.ask("POST", "/metrics", key=None, headers={"Authorization": "Bearer " + self.coffer.keys["adminKey"]}).status, 405)

    def count(self, figures, route, method, status):
        return figures.get(("coffer_http_requests_total", 'route="%s",method="%s",status="%s"' % (route, method, status)), 0)

    def test_requests_are_counted_by_pattern(self):
        before = self.scrape()
        for number in range(5):
            self.put("COUNTED_%d" % number, "v")
            self.value("COUNTED_%d" % number)
        self.ask("GET", "/api/settings/secrets/UNKNOWN")
        self.ask("HEAD", "/api/settings")
        self.ask("DELETE", "/api/settings")
        self.ask("GET", "/no/such/path")
        self.ask("GET", "/api/settings", key="wrong")
        after = self.scrape()
        grown = {key: after[key] - before.get(key, 0) for key in after if key[0] == "coffer_http_requests_total" and after[key] != before.get(key)}
        grown = {tuple(re.findall('="([^"]*)"', labels)): number for (_, labels), number in grown.items()}
        self.assertEqual(grown.pop(("/metrics", "GET", "200")), 1)
        self.assertEqual(grown, {
            ("/api/settings/secrets", "PUT", "200"): 5, ("/api/settings/secrets/{name}", "GET", "200"): 5,
            ("/api/settings/secrets/{name}", "GET", "404"): 1, ("/api/settings", "HEAD", "200"): 1, ("/api/settings", "DELETE", "405"): 1,
            ("other", "GET", "404"): 1, ("/api/settings", "GET", "401"): 1})  # fmt: skip
        route = 'route="/api/settings/secrets/{name}"'
        buckets = [(labels, value) for (name, labels), value in after.items() if name.endswith("duration_seconds_bucket") and route in labels]
        self.assertEqual(len(buckets), 15)
        self.assertEqual([value for _, value in buckets], sorted(value for _, value in buckets))
        self.assertEqual(buckets[-1], (route + ',le="+Inf"', after["coffer_http_request_duration_seconds_count", route]))
        self.assertGreater(after["coffer_http_request_duration_seconds_sum", route], 0)
        # five writes and five reads with an audit entry each
        self.assertEqual(after["coffer_audit_entries_total", ""] - before["coffer_audit_entries_total", ""], 10)
        self.assertEqual(after["coffer_commit_writes_sum", ""] - before["coffer_commit_writes_sum", ""], 10)
        self.assertEqual(after["coffer_writes_waiting", ""], 0)

    def test_the_process_and_the_store(self):
        figures = self.scrape()
        pid = self.coffer.responder()
        self.assertAlmostEqual(figures["process_start_time_seconds", ""], os.stat("/proc/%d" % pid).st_ctime, delta=30)
        self.assertAlmostEqual(figures["process_open_fds", ""], len(os.listdir("/proc/%d/fd" % pid)), delta=5)
        resident = int(pathlib.Path("/proc/%d/statm" % pid).read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.assertAlmostEqual(figures["process_resident_memory_bytes", ""] / resident, 1, delta=0.3)
        size = os.stat(self.coffer.folder + "/store/coffer.db").st_size
        self.assertEqual(figures["coffer_store_bytes", 'file="database"'], size)
        self.assertGreater(figures["coffer_disk_free_bytes", ""], 0)
        self.assertLess(figures["coffer_kek_age_seconds", 'which="oldest"'], 600)
        self.assertGreaterEqual(figures["coffer_connections_open", ""], 1)

    def test_what_is_refused_before_a_route_is_counted(self):
        before = self.scrape()
        self.coffer.direct("GET", "/api/settings", REQUEST_URI="/%zz")
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(ConnectionResetError):
            connection.connect(self.coffer.socket_path)
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            self.assertEqual(connection.recv(100), b"")
        after = self.scrape()
        for what in ("request", "record"):
            key = ("coffer_refused_total", 'what="%s"' % what)
            self.assertEqual(after[key] - before[key], 1)

    def test_no_label_holds_a_clients_word(self):
        for word in HOSTILE:
            with contextlib.suppress(OSError, fastcgi.ConnectionEnded):
                self.coffer.direct("GET", "/x", REQUEST_METHOD=word)
        self.ask("GET", "/api/settings/secrets/MARKED_NAME")
        text = self.coffer.command("metrics", "--dir", self.coffer.folder).stdout
        samples(text)
        self.assertNotIn("MARKED_NAME", text)
        self.assertTrue(text.isascii())

    def test_without_a_server_there_are_none(self):
        stopped = self.fresh(start=False)
        told = stopped.command("metrics", "--dir", stopped.folder, check=False)
        self.assertEqual((told.returncode, told.stdout), (1, ""))
        self.assertIn("no cofferd runs", told.stderr)


class RequestLogTests(CofferTestCase):
    environment = {"COFFER_LOG_REQUESTS": "true"}

    def test_a_line_for_each_request(self):
        lines = Lines(self.coffer)
        self.ask("PUT", "/api/settings/secrets", {"name": "LOGGED_NAME", "value": "v"}, headers={"X-Request-Id": "test-request-1"})
        self.ask("GET", "/api/settings/secrets/LOGGED_NAME?query=word", headers={"X-Request-Id": "test-request-2", "Referer": "http://word"})
        self.ask("GET", "/api/settings", headers={"X-Request-Id": "test-request-3"}, key="wrong-key-word")
        put, get, refused = lines.wait(*[lambda line, n=n: line.get("requestId") == "test-request-%d" % n for n in (1, 2, 3)])
        self.assertRegex(put.pop("at"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertGreater(put.pop("milliseconds"), 0)
        self.assertEqual(put.pop("key"), self.coffer.keys["sessionKey"].split("_")[1])
        self.assertRegex(put.pop("tenant"), "^ten_")
        self.assertEqual(put, {"level": "info", "message": "request", "requestId": "test-request-1", "method": "PUT",
                               "route": "/api/settings/secrets", "status": 200})  # fmt: skip
        self.assertEqual((get["method"], get["route"], get["status"]), ("GET", "/api/settings/secrets/{name}", 200))
        self.assertEqual((refused["level"], refused["message"], refused["status"]), ("warning", "key refused", 401))
        self.assertNotIn("key", refused)
        text = json.dumps(lines.all())
        for word in ("LOGGED_NAME", "word"):
            self.assertNotIn(word, text)

    def test_hostile_requests_stay_lines_of_ascii(self):
        # What `coffer up` tells people comes a moment after the first answer, and is no JSON.
        end = time.monotonic() + 5
        while "Keys are shown once" not in self.coffer.output() and time.monotonic() < end:
            time.sleep(0.02)
        start = len(self.coffer.output())
        for word in HOSTILE:
            for params in ({"REQUEST_METHOD": word}, {"REQUEST_ID": word}, {"HTTP_X_REQUEST_ID": word}, {"REQUEST_URI": "/" + word},
                           {"REQUEST_URI": "/api/settings/secrets/" + word}, {"HTTP_HOST": word}, {"REMOTE_ADDR": word}):  # fmt: skip
                with contextlib.suppress(OSError, fastcgi.ConnectionEnded):
                    self.coffer.direct("GET", "/x", **{"DOCUMENT_URI": "", **params})
        self.ask("GET", "/alive", headers={"X-Request-Id": "test-request-end"})
        end = time.monotonic() + 5
        while "test-request-end" not in self.coffer.output()[start:] and time.monotonic() < end:
            time.sleep(0.02)
        text = self.coffer.output()[start:]
        self.assertTrue(text.isascii())
        self.assertFalse(re.search("[^\n\x20-\x7e]", text))
        objects = [json.loads(line) for line in text.splitlines()]
        self.assertGreaterEqual(len(objects), 7 * len(HOSTILE))
        methods = {line["method"] for line in objects}
        self.assertLessEqual(methods, {"GET", "OTHER"})
        self.assertLessEqual({line["route"] for line in objects}, {"other", "/alive", "/api/settings/secrets/{name}"})
        for line in objects:
            self.assertRegex(line["requestId"], r"^[A-Za-z0-9._-]{1,64}$")


class RefusalLogTests(CofferTestCase):
    def test_refusals_and_failures_are_lines_and_the_rest_is_none(self):
        lines = Lines(self.coffer)
        masked = self.coffer.create_key("masked")
        self.ask("GET", "/api/settings")
        self.ask("GET", "/nothing")
        self.ask("GET", "/api/settings", key="wrong", headers={"X-Request-Id": "test-request-401"})
        self.ask("GET", "/api/settings", key=masked, headers={"X-Request-Id": "test-request-403", "X-Expose-Secrets": "plaintext"})
        refused, denied = lines.wait(*[lambda line, n=n: line.get("requestId") == "test-request-%d" % n for n in (401, 403)])
        self.assertEqual((refused["message"], refused["status"]), ("key refused", 401))
        self.assertEqual((denied["message"], denied["status"], denied["key"]), ("key refused", 403, masked.split("_")[1]))
        self.assertEqual(len(lines.all()), 2)

    def test_a_failure_is_a_line(self):
        broken = self.fresh()
        broken_client = broken.client()
        self.addCleanup(broken_client.close)
        self.put("BROKEN", "v", ask=broken_client)
        with contextlib.closing(sqlite3.connect(broken.folder + "/store/coffer.db")) as database:
            database.execute("UPDATE secrets SET sealed = zeroblob(100)")
            database.commit()
        lines = Lines(broken)
        self.assertEqual(broken_client("GET", "/api/settings/secrets/BROKEN").status, 503)
        (failed,) = lines.wait(lambda line: line["message"] == "request failed")
        self.assertEqual((failed["level"], failed["status"], failed["route"]), ("error", 503, "/api/settings/secrets/{name}"))

    def test_a_flood_fills_no_disk(self):
        lines = Lines(self.coffer)
        begun = time.monotonic()
        for _ in range(600):
            self.ask("GET", "/api/settings", key="wrong")
        lines.wait(lambda line: line["message"] == "log lines left out")
        time.sleep(1.2)
        seconds = time.monotonic() - begun
        found = lines.all()
        written = [line for line in found if line["message"] == "key refused"]
        left_out = sum(line["count"] for line in found if line["message"] == "log lines left out")
        self.assertLessEqual(len(written), 10 * (seconds + 1))
        self.assertEqual(len(written) + left_out, 600)

    def test_on_a_terminal_lines_are_text(self):
        leader, follower = pty.openpty()
        stopped = self.fresh(start=False)
        process = subprocess.Popen([str(binaries() / "cofferd"), "--dir", stopped.folder], stdin=subprocess.DEVNULL, stdout=follower,
                                   stderr=follower, env=stopped.environment)  # fmt: skip
        try:
            self.assertTrue(select.select([leader], [], [], 10)[0])
            self.assertRegex(os.read(leader, 1000).decode(), r'^info: serving version="')
        finally:
            process.terminate()
            process.wait(20)
            os.close(leader)
            os.close(follower)

    def test_a_reader_that_sleeps_stops_no_request(self):
        """The log goes into a pipe that nobody reads: requests are answered all the same."""
        stopped = self.fresh(start=False)
        process = subprocess.Popen([str(binaries() / "cofferd"), "--dir", stopped.folder, "--log-requests"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=stopped.environment)  # fmt: skip
        try:
            end = time.monotonic() + 10
            while not os.path.exists(stopped.folder + "/run/cofferd.pid") and time.monotonic() < end:
                time.sleep(0.02)
            for _ in range(2000):
                self.assertEqual(stopped.direct("GET", "/alive")[0], 200)
            text = stopped.command("metrics", "--dir", stopped.folder).stdout
            self.assertEqual(samples(text)["coffer_http_requests_total", 'route="/alive",method="GET",status="200"'], 2000)
            # nor its end
            process.terminate()
            self.assertEqual(process.wait(20), 0)
        finally:
            process.stderr.close()
            process.kill()
            process.wait(20)


class ConfigTests(CofferTestCase):
    environment = {"OH_SECRET_KEY": "canary-wire-key-0f3a9b77c1d24e58", "COFFER_THREADS": "3"}

    def show(self, *options):
        return self.coffer.command("config", "show", "--dir", self.coffer.folder, *options).stdout

    def test_values_and_origins(self):
        path = self.coffer.folder + "/coffer.conf"
        with open(path, "a", encoding="utf-8") as file:
            file.write("\nlog.level = warning\n")
        number = len(pathlib.Path(path).read_text().splitlines())
        plain, origins = self.show().splitlines(), self.show("--origin").splitlines()
        self.assertIn("log.level = warning", plain)
        self.assertIn("log.level = warning  (%s:%d)" % (path, number), origins)
        self.assertIn("threads = 3  (COFFER_THREADS)", origins)
        self.assertIn("dir = %s  (--dir)" % self.coffer.folder, origins)
        self.assertIn("socket-mode = 0660  (default)", origins)
        self.assertIn("web-url = <not set>  (default)", origins)
        self.assertIn("wire key = <set>  (OH_SECRET_KEY)", origins)
        self.assertIn("session keys = <not set>  (default)", origins)
        rows = {row["name"]: row for row in json.loads(self.show("--json"))["settings"]}
        self.assertEqual(rows["log.level"], {"name": "log.level", "value": "warning", "origin": "%s:%d" % (path, number)})
        self.assertIsNone(rows["web-url"]["value"])
        self.assertEqual([row.split(" = ")[0] for row in plain], list(rows))
        self.assertNotIn("canary", self.show() + self.show("--origin") + self.show("--json"))

    def test_check(self):
        told = self.coffer.command("config", "check", "--dir", self.coffer.folder)
        self.assertIn("accepted: %s/coffer.conf" % self.coffer.folder, told.stdout)
        stranger = self.fresh(start=False)
        with open(stranger.folder + "/coffer.conf", "a", encoding="utf-8") as file:
            file.write("\nlog.levle = info\n")
        told = stranger.command("config", "check", "--dir", stranger.folder, check=False)
        self.assertEqual((told.returncode, told.stdout), (1, ""))
        self.assertIn("did you mean log.level?", told.stderr)


if __name__ == "__main__":
    unittest.main()
