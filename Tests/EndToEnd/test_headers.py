"""T61, and T11 and T12 on the whole stack: what every answer carries, and what the request vectors
of Tests/Vectors/paths must come to."""

import json
import socket
import unittest

import fastcgi
from coffer_harness import CofferTestCase
from nginx_harness import ROOT, read_all

VECTORS = ROOT / "Tests" / "Vectors" / "paths"

# Where the settings dialect decided otherwise than the table, which was made for both dialects.
TRAILING_SLASH = {"/api/settings/secrets/NAME/": 307, "/api/settings/secrets/": 307}


def raw(port, data):
    """(status, header pairs, body) of one raw request; 100 Continue is passed over."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)
        answer = read_all(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 "):
        return 0, [], answer
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0][9:12]), [tuple(line.split(": ", 1)) for line in lines[1:]], body


class HeaderTests(CofferTestCase):
    def check(self, status, headers, what):
        values = {}
        for name, value in headers:
            values.setdefault(name.lower(), []).append(value)
        self.assertEqual(values.get("cache-control"), ["no-store"], "%s: %d" % (what, status))
        self.assertEqual(values.get("x-content-type-options"), ["nosniff"], "%s: %d" % (what, status))
        self.assertEqual(len(values.get("content-length", [])), 1, what)
        self.assertNotIn("set-cookie", values)
        if values.get("content-length") != ["0"]:
            self.assertEqual(len(values.get("content-type", [])), 1, what)

    def test_every_answer(self):
        self.put("NAME", "value")
        targets = ["/", "/alive", "/health", "/ready", "/server_info", "/docs", "/redoc", "/openapi.json", "/api/init",
                   "/api/settings", "/api/settings/agent-schema", "/api/settings/conversation-schema", "/api/settings/secrets",
                   "/api/settings/secrets/NAME", "/api/settings/secrets/NONE", "/api/settings/secrets/bad-name", "/nothing",
                   "/api/nothing", "/api/settings/", "//api", "/api/settings/%2e%2e", "/a%00"]  # fmt: skip
        statuses = set()
        for target in targets:
            for method in ("GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE", "TRACE", "ODD"):
                if (method, target) == ("DELETE", "/api/settings/secrets/NAME"):
                    continue
                for key in (self.coffer.keys["sessionKey"], None, "sk_wrong"):
                    for body in (None, b"{", b"{}"):
                        answer = self.ask(method, target, body, key=key)
                        self.check(answer.status, answer.headers, "%s %s" % (method, target))
                        statuses.add(answer.status)
        self.assertLessEqual({200, 307, 400, 401, 404, 405, 422}, statuses)
        self.assertFalse([status for status in statuses if status >= 500 and status != 501])

    def test_answers_of_nginx_itself(self):
        for data in (b"GET /%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                     b"PUT /api/settings/secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999999\r\n\r\n",
                     b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
                     b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):  # fmt: skip
            status, headers, body = raw(self.coffer.port, data)
            self.assertIn(status, (400, 405, 413, 414))
            self.check(status, headers, "nginx")
            self.assertIn("detail", json.loads(body))

    def test_error_bodies_are_the_responders_own(self):
        answer = self.ask("GET", "/api/settings/secrets/NONE")
        self.assertEqual((answer.status, answer.json()), (404, {"detail": "Secret not found"}))
        self.assertNotIn("requestId", answer.json())


class VectorTests(CofferTestCase):
    def setUp(self):
        super().setUp()
        self.put("NAME", "value-of-name")

    def cases(self, name, count):
        with open(VECTORS / name, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        self.assertEqual(len(cases), count)
        return cases

    def lines(self, key=...):
        key = self.coffer.keys["sessionKey"] if key is ... else key
        return "Host: 127.0.0.1\r\nConnection: close\r\n" + ("X-Session-API-Key: %s\r\n" % key if key else "")

    def judge(self, case, status, body, where):
        """`policy` and `reject` by the statuses listed; `route` by what the route gives."""
        if case["target"] in TRAILING_SLASH:
            self.assertEqual(status, TRAILING_SLASH[case["target"]], where)
        elif case["expect"] != "route":
            # 421: nginx refuses the foreign authority before the key is looked at
            self.assertIn(status, case["status_any_of"], where)
        elif case["endpoint"].startswith("settings"):
            self.assertEqual(status, 200, where)
            if case["endpoint"] == "settings.secret":
                self.assertEqual(body, b"value-of-name")
        self.assertLess(status, 500, where)
        if case["expect"] != "route":
            self.assertNotIn(b"value-of-name", body)

    def key_for(self, case):
        return None if "X-Session-API-Key" in case["target"] else ...

    def test_targets_through_nginx(self):
        for case in self.cases("request_targets.json", 99):
            with self.subTest(case["target"][:60]):
                if case["target"].startswith("/agent/"):
                    continue  # judged in test_scoped_contract, with an agent's key
                target = case["target"].replace("http://h/", "http://127.0.0.1/")
                data = "GET %s HTTP/1.1\r\n%s\r\n" % (target, self.lines(self.key_for(case)))
                status, _, body = raw(self.coffer.port, data.encode("latin-1"))
                self.judge(case, status, body, "through nginx")

    def test_targets_straight_to_the_socket(self):
        """As nginx would pass them with and without merge_slashes; it need not be nginx that asks."""
        for case in self.cases("request_targets.json", 99):
            for setting, measured in case["nginx_1_22_1"].items():
                with self.subTest(case["target"][:60], merge=setting):
                    if measured["status"] != 200:
                        target = document = case["target"]
                    else:
                        target, document = measured["REQUEST_URI"], measured["PATH_INFO_from_uri_var"]
                    if case["target"].startswith(("/agent/", "http://evil")) or (case["target"].startswith("http") and measured["status"] != 200):
                        continue
                    key = self.coffer.keys["sessionKey"] if self.key_for(case) is ... else None
                    pairs = fastcgi.settings_params("GET", "/", [("X-Session-API-Key", key)] if key else [],
                                                    REQUEST_URI=target, DOCUMENT_URI=document)  # fmt: skip
                    status, _, body = fastcgi.exchange(self.coffer.socket_path, pairs)
                    self.judge(case, status, body, "at the socket")

    def test_headers(self):
        good = self.coffer.keys["sessionKey"]
        refused_by_nginx = {"HTTP/1.0 without Host": (200, 400, 401, 421), "HTTP/0.9": (0,)}
        for case in self.cases("request_headers.json", 42):
            with self.subTest(case["name"]):
                text = case["request"].replace(": good", ": " + good).replace(" /a HTTP", " /api/settings HTTP")
                text = text.replace("  good  ", "  %s  " % good).replace("Host: h\r\n", "Host: 127.0.0.1\r\n").replace("Host: h\n", "Host: 127.0.0.1\n")
                if case["name"].startswith("header of"):
                    size = 8100 if "8100" in case["name"] else 9000
                    text = "GET /api/settings HTTP/1.1\r\n%sX-A: %s\r\n\r\n" % (self.lines(), "a" * size)
                if case["name"].startswith("expose"):
                    text = text.replace("X-Expose", "X-Session-API-Key: %s\r\nX-Expose" % good, 1)
                status, headers, body = raw(self.coffer.port, text.encode("latin-1"))
                expected = refused_by_nginx.get(case["name"]) or EXPECTED[case["name"]]
                self.assertIn(status, expected)
                self.assertNotIn(good.encode(), body)


# By the `expect` texts of the table: the key is good where the request carries it as it must.
EXPECTED = {
    "one key": (200,), "underscore name only": (401,), "underscore then dash": (200,), "same header twice": (401,),
    "empty key": (401,), "key with spaces around": (200,), "lower-case name": (200,), "dots in name": (401,),
    "Proxy header": (401,), "client sends Https and Remote-User": (401,), "forwarded for": (401,),
    "expose upper case": (200,), "expose twice": (200,), "expose unknown": (400,), "expose legacy true": (200,),
    "expose comma list": (400,), "bytes above 7F in key": (401,), "NUL in value": (400,), "space before colon": (400,),
    "folded line": (400,), "bare CR": (400,), "bare LF line ends": (200,), "no Host": (400,), "two Hosts": (400,),
    "length and chunked": (400,), "two equal lengths": (400,), "signed length": (400,), "chunked": (405,),
    "chunked, bad size": (400,), "unknown coding": (501,), "GET with body": (401, 400), "gzip body": (415,),
    "expect continue": (405,), "header of 8100 bytes": (200,), "header of 9000 bytes": (400,), "odd method": (405,),
    "lower-case method": (400,), "TRACE": (405,), "HEAD": (401,), "method override header": (405,),
}  # fmt: skip


if __name__ == "__main__":
    unittest.main()
