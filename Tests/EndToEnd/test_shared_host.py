"""Apache with mod_fcgid starts programs as it likes; all of them carry to one cofferd."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import unittest

import canaries
import fastcgi
from apache_harness import SharedHost
from coffer_harness import MASK
from scoped_harness import seal, unseal


class SharedHostTestCase(unittest.TestCase):
    def setUp(self):
        self.host = SharedHost()
        self.addCleanup(self.host.destroy)
        self.host.init()

    def client(self, key=...):
        client = self.host.client(self.host.keys["sessionKey"] if key is ... else key)
        self.addCleanup(client.close)
        return client


class ServingTests(SharedHostTestCase):
    def setUp(self):
        super().setUp()
        self.host.start()

    def test_settings_dialect(self):
        client = self.client()
        secret = "canary-shared-host-1"
        answer = client("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"model": "m", "api_key": secret}}})
        self.assertEqual(answer.status, 200, answer.body + self.host.errors().encode())
        shown = client("GET", "/api/settings")
        self.assertEqual(shown.json()["agent_settings"]["llm"]["api_key"], MASK)
        self.assertEqual((shown.header("Cache-Control"), shown.header("X-Content-Type-Options")), ("no-store", "nosniff"))
        # No id from the web server: one of Coffer's own.
        self.assertRegex(shown.header("X-Request-Id"), "^req_[0-9a-hjkmnp-tv-z]{26}$")
        etag = shown.header("ETag")
        self.assertEqual(client("GET", "/api/settings", headers={"If-None-Match": etag}).status, 304)
        self.assertEqual(client("PUT", "/api/settings/secrets", {"name": "A B", "value": secret}).status, 422)
        self.assertEqual(client("PUT", "/api/settings/secrets", {"name": "TOKEN", "value": secret}).status, 200)
        self.assertEqual(client("GET", "/api/settings/secrets/TOKEN", headers={"Range": "bytes=0-3"}).body.decode(), secret)
        self.assertEqual(client("GET", "/api/settings", headers={"X-Expose-Secrets": "plaintext"}).json()["agent_settings"]["llm"]["api_key"], secret)
        self.assertEqual(client("GET", "/api/settings", key="csk_wrong").status, 401)
        self.assertEqual(client("GET", "/coffer.fcgi").status, 404)
        for file in ("/.htaccess", "/coffer.fcgi/", "/api/../coffer.fcgi"):
            self.assertNotIn(b"exec", client("GET", file).body)
        # The longest body passes, one byte more is refused in Coffer's words.
        long = json.dumps({"name": "LONG", "value": "x"}).encode()
        self.assertEqual(client("PUT", "/api/settings/secrets", long + b" " * ((1 << 20) - len(long))).status, 200)
        self.assertEqual(client("PUT", "/api/settings/secrets", long + b" " * ((1 << 20) + 1 - len(long))).status, 413)
        self.assertEqual(client("PUT", "/api/settings/secrets", long, headers={"Content-Encoding": "gzip"}).status, 415)
        self.host.process.terminate()
        self.host.process.wait(20)
        for name in ("error.log", "access.log", "apache.out"):
            data = pathlib.Path(self.host.home, name).read_bytes()
            self.assertEqual(canaries.search(data, [secret, self.host.keys["sessionKey"]]), [], name)
        self.assertEqual(canaries.search_folder(self.host.store, [secret, self.host.keys["sessionKey"]]), [])

    def test_scoped_dialect(self):
        def do(*words):
            return self.host.command(*words, "--dir", self.host.store).stdout.strip()

        agent = do("agent", "create", "Reviewer")
        key = do("agent", "key", "create", agent)
        client = self.client(None)
        bearer = {"Authorization": "Bearer " + key}

        def call(method, target, body=None):
            answer = client(method, target, body, headers=bearer)
            self.assertEqual(answer.status, 200, answer.body)
            return answer.json()["data"]

        place = {"scope": "agent", "scopeId": agent, "secretId": "acme-api", "fieldKey": "token"}
        secret = "/agent/secrets/agent/%s/acme-api" % agent
        call("PUT", secret, {"name": "Acme", "category": "api_key"})
        envelope = seal(call("POST", "/agent/secrets/generate-data-key", place), b"sk-example")
        call("PUT", secret + "/fields/token", {"sensitivity": "encrypted", "envelope": envelope})
        kept = call("GET", secret + "/fields/token")["envelope"]
        unwrapped = call("POST", "/agent/secrets/decrypt-data-key", {**place, "dataKeyCiphertext": kept["dataKeyCiphertext"]})
        self.assertEqual(unseal(kept, unwrapped["plaintextKey"]), b"sk-example")

    def test_many_at_once_share_one_responder(self):
        answers, lock = [], threading.Lock()

        def work(number):
            client = self.client()
            for turn in range(10):
                name = "K%d_%d" % (number, turn)
                put = client("PUT", "/api/settings/secrets", {"name": name, "value": name}).status
                got = client("GET", "/api/settings/secrets/" + name)
                with lock:
                    answers.append((put, got.status, got.body.decode() == name))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [(200, 200, True)] * 160, self.host.errors())
        self.assertGreater(len(self.host.programs_of("coffer")), 1)
        self.assertEqual(self.host.programs_of("cofferd"), [self.host.responder()])

    def test_what_the_host_ends_comes_again(self):
        client = self.client()
        self.assertEqual(client("PUT", "/api/settings/secrets", {"name": "KEPT", "value": "one"}).status, 200)
        first = self.host.responder()
        self.assertIn(self.host.programs + "/libfcgi.so.0", pathlib.Path("/proc/%d/maps" % first).read_text())
        # Idle programs go, cofferd stays.
        deadline = time.monotonic() + 30
        while self.host.programs_of("coffer"):
            self.assertLess(time.monotonic(), deadline, "mod_fcgid ends no idle program")
            time.sleep(0.1)
        self.assertEqual(client("GET", "/api/settings/secrets/KEPT").body, b"one")
        self.assertEqual(self.host.responder(), first)
        # A host that ends everything of the account.
        self.host.end_responder(signal.SIGKILL)
        self.assertEqual(client("GET", "/api/settings/secrets/KEPT").body, b"one")
        self.assertNotEqual(self.host.responder(), first)
        # Nothing is left of those that ended.
        states = [pathlib.Path("/proc", str(pid), "stat").read_text().rsplit(") ", 1)[1][0] for pid in self.host.programs_of("coffer")]
        self.assertNotIn("Z", states)
        # A restart replaces it under the web server's eyes.
        self.host.command("restart", "--dir", self.host.store)
        self.assertEqual(client("GET", "/api/settings/secrets/KEPT").body, b"one")

    def test_a_responder_that_cannot_start(self):
        client = self.client()
        pathlib.Path(self.host.store, "keys", "root.key").rename(os.path.join(self.host.home, "away.key"))
        answer = client("GET", "/api/settings")
        self.assertEqual((answer.status, answer.json()["code"], answer.header("Retry-After")), (503, "unavailable", "5"))
        self.assertNotIn(self.host.store.encode(), answer.body)
        self.assertIn("cofferd did not start (exit 66)", self.host.errors())
        self.assertIn("root.key", pathlib.Path(self.host.store, "run", "cofferd.log").read_text())
        pathlib.Path(self.host.home, "away.key").rename(os.path.join(self.host.store, "keys", "root.key"))
        self.assertEqual(client("GET", "/api/settings").status, 200)
        self.host.end_responder()
        with open(os.path.join(self.host.store, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("\nthread = 2\n")
        self.assertEqual(client("GET", "/api/settings").status, 503)
        self.assertIn("thread", self.host.errors() + pathlib.Path(self.host.store, "run", "cofferd.log").read_text())

    def test_no_key_over_plain_http(self):
        # TLS ends here as far as Apache knows: the same files without the engine.
        path = pathlib.Path(self.host.home, "apache.conf")
        self.host.process.terminate()
        self.host.process.wait(20)
        path.write_text(path.read_text().replace("SSLEngine on", "SSLEngine off"))
        os.unlink(self.host.apache_log)
        self.host.restart()
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=20)
        self.addCleanup(connection.close)
        key = {"X-Session-API-Key": self.host.keys["sessionKey"]}
        for headers, wanted in ((key, 403), ({**key, "X-Forwarded-Proto": "https"}, 200)):
            connection.request("GET", "/api/settings", headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            self.assertEqual(answer.status, wanted, body)
            if wanted == 403:
                self.assertEqual(body, b"Coffer answers over HTTPS only.")


class StartTests(SharedHostTestCase):
    def program(self, number):
        """`coffer fcgi` with a listening socket of its own, as a web server starts it; the socket's path."""
        path = os.path.join(self.host.home, "program-%d" % number)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(16)
            process = subprocess.Popen(
                [os.path.join(self.host.programs, "coffer"), "fcgi", "--dir", self.host.store], stdin=listener, env={"PATH": "/usr/bin:/bin"},
                **self.host.as_account())  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.chmod(path, 0o777)
        return path

    def test_programs_that_find_none_at_once(self):
        programs = [self.program(number) for number in range(8)]
        request = fastcgi.settings_params("GET", "/api/settings", [("X-Session-API-Key", self.host.keys["sessionKey"])], b"")
        for _ in range(8):
            answers, threads = [], []
            for path in programs:
                threads.append(threading.Thread(target=lambda path=path: answers.append(fastcgi.exchange(path, request, b"")[0])))
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(answers, [200] * 8, pathlib.Path(self.host.store, "run", "cofferd.log").read_text()[-2000:])
            self.assertEqual(self.host.programs_of("cofferd"), [self.host.responder()])
            self.host.end_responder(signal.SIGKILL)

    def test_connections_at_once(self):
        """More than one request at a time, kept connections and a client that sends nothing: other servers do so."""
        path = self.program(0)
        silent = socket.socket(socket.AF_UNIX)
        self.addCleanup(silent.close)
        silent.connect(path)
        request = fastcgi.settings_params("GET", "/health", [], b"")
        answers = []

        def work():
            for _ in range(50):
                answers.append(fastcgi.exchange(path, request, b"")[0])

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(answers, [200] * 400)


class InstallTests(SharedHostTestCase):
    def test_a_folder_below_the_site(self):
        folder = os.path.join(self.host.site, "secrets")
        self.host.command("fcgi", "--dir", self.host.store, "--install", self.host.site)  # again: the same files
        os.makedirs(folder)
        os.chown(folder, self.host.account.pw_uid, self.host.account.pw_gid)
        self.host.command("fcgi", "--dir", self.host.store, "--install", folder)
        os.unlink(os.path.join(self.host.site, ".htaccess"))
        with open(os.path.join(self.host.store, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("\nweb-url = https://localhost/secrets\n")
        self.host.start()
        client = self.client()
        self.assertEqual(client("GET", "/secrets/api/settings").status, 200, self.host.errors())
        self.assertEqual(client("GET", "/api/settings").status, 404)

    def test_refusals(self):
        def refused(*words):
            result = self.host.command("fcgi", *words, check=False)
            self.assertNotEqual(result.returncode, 0)
            return result.stderr

        self.assertIn("no store", refused("--dir", self.host.home, "--install", self.host.site))
        self.assertIn("lies below", refused("--dir", self.host.store, "--install", self.host.home))
        self.assertIn("lies below", refused("--dir", self.host.store, "--install", self.host.store))
        pathlib.Path(self.host.site, ".htaccess").write_text("Options -Indexes\n", encoding="utf-8")
        self.assertIn("something else", refused("--dir", self.host.store, "--install", self.host.site))
        self.assertEqual(pathlib.Path(self.host.site, ".htaccess").read_text(encoding="utf-8"), "Options -Indexes\n")
        self.assertIn("no listening socket", refused("--dir", self.host.store))


if __name__ == "__main__":
    unittest.main()
