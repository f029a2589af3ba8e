"""T60, T63 and T64: a value of every secret field and every key is found nowhere but where it was asked
for, whatever goes wrong on the way."""

import base64
import json
import os
import pathlib
import signal
import socket
import tempfile
import time
import unittest

import canaries
import fastcgi
from coffer_harness import SECRET_KEY, SECRET_SETTINGS, Client, CofferTestCase, at, leaves, may_trace, secret_paths, traced
from scoped_harness import ScopedTestCase

KEYS = {"OH_SECRET_KEY": "canary-wire-key-0f3a9b77c1d24e58", "OH_SESSION_API_KEYS_0": "canary-session-key-7c1d24e5890f3a9b"}


def planted(document, texts):
    """SECRET_SETTINGS with an own canary in every secret place; the canaries are put into `texts`."""
    if isinstance(document, dict):
        return {name: planted(value, texts) for name, value in document.items()}
    if isinstance(document, list):
        return [planted(value, texts) for value in document]
    if isinstance(document, str) and "value-" in document:
        texts.append("canary%02d-%s" % (len(texts), os.urandom(12).hex()))
        return document[: document.index("value-")] + texts[-1]
    return document


class SearchTests(unittest.TestCase):
    def test_the_search_finds_every_form(self):
        text = "canary-%s" % os.urandom(12).hex()
        for name, form in canaries.forms(text).items():
            for before in (b"", b"x", b"xy", b"xyz"):
                self.assertTrue(canaries.search(before + form + b"tail", [text]), name)
        self.assertEqual(canaries.search(b"harmless", [text]), [])


class CanaryTests(CofferTestCase):
    # A line for each request: whatever the log may say, it says here.
    environment = {**KEYS, "COFFER_LOG_REQUESTS": "true"}

    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, self.ask, "key", self.ask.key)
        self.ask.key = KEYS["OH_SESSION_API_KEYS_0"]
        self.texts = list(KEYS.values()) + [key.split("_", 2)[2] for key in self.coffer.keys.values()]
        self.bodies = []

    def call(self, *arguments, **options):
        answer = self.ask(*arguments, **options)
        heads = "\n".join("%s: %s" % pair for pair in answer.headers)
        self.bodies.append(("%s %s" % arguments[:2], answer.status, heads.encode() + b"\n\n" + answer.body))
        return answer

    def store(self):
        """A canary in every place, read in every mode."""
        settings = planted(SECRET_SETTINGS, self.texts)
        self.assertEqual(self.call("PATCH", "/api/settings", {"agent_settings_diff": settings}).status, 200)
        self.secret = "canary-secret-%s" % os.urandom(12).hex()
        self.texts.append(self.secret)
        self.assertEqual(self.call("PUT", "/api/settings/secrets", {"name": "CANARY", "value": self.secret}).status, 200)
        self.assertEqual(self.call("GET", "/api/settings").status, 200)
        plain = self.ask("GET", "/api/settings", headers={"X-Expose-Secrets": "plaintext"}).json()["agent_settings"]
        for path in secret_paths():
            self.assertEqual(at(plain, path), at(settings, path))
        sealed = self.call("GET", "/api/settings", headers={"X-Expose-Secrets": "encrypted"})
        self.assertEqual(sealed.status, 200)
        self.assertEqual(self.ask("GET", "/api/settings/secrets/CANARY").body.decode(), self.secret)
        self.call("GET", "/api/settings/secrets")

    def errors(self):
        """Every way to be refused, with a canary in every place of the request."""
        text = "canary-error-%s" % os.urandom(12).hex()
        self.texts.append(text)
        name = text.replace("-", "_")
        key = {"X-Session-API-Key": text}
        self.call("GET", "/api/settings", key=None, headers=key)
        self.call("GET", "/api/settings", key=None, headers={"Authorization": "Bearer " + text})
        self.call("GET", "/api/settings/secrets/" + name, key=text)
        self.call("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": text}}}, headers={"If-Match": '"%s"' % text})
        self.call("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": {"nested": text}}}})
        self.call("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"num_retries": text, "api_key": text}}})
        self.call("PATCH", "/api/settings", {"agent_settings_diff": {"schema_version": text}})
        self.call("PATCH", "/api/settings", {"agent_settings_diff": {"agent_kind": text}})
        self.call("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"api_key": "gAAAAA" + text}}})
        self.call("PATCH", "/api/settings", {"conversation_settings_diff": {"max_iterations": text}})
        self.call("PATCH", "/api/settings", {"conversation_settings_diff": text})
        self.call("PATCH", "/api/settings", {"active_profile": "no " + text})
        self.call("PATCH", "/api/settings", {"active_agent_profile_id": text})
        self.call("PATCH", "/api/settings", [text])
        self.call("PATCH", "/api/settings", {text: text})
        for body in (b'{"a": "%s"', b'{"%s": 1, "%s": 2}', b'{"name": "%s\xff"}', b'["%s",]', b"%s", b'"\\ud800%s"'):
            data = body.replace(b"%s", text.encode())
            self.call("PATCH", "/api/settings", data)
            self.call("PUT", "/api/settings/secrets", data)
        for body in ({"name": text, "value": text}, {"name": name}, {"name": "A", "value": [text]}, {"value": text},
                     {"name": "A", "value": text, "description": {"d": text}}, {"name": "A", "value": text * 3000},
                     {"name": {"x": text}, "value": 1}):  # fmt: skip
            self.call("PUT", "/api/settings/secrets", body)
        self.call("PUT", "/api/settings/secrets", json.dumps({"name": "A", "value": text}).encode(), headers={"Content-Type": "text/plain"})
        self.call("PUT", "/api/settings/secrets", b'{"value": "' + text.encode() * 50000 + b'"}')
        self.call("GET", "/api/settings", headers={"Cookie": text, "Referer": "http://h/?" + text, "User-Agent": text})
        self.call("TRACE", "/api/settings", headers=key, key=None)
        self.call("POST", "/api/settings", text.encode(), headers=key, key=None)
        for target in ("/api/settings?key=" + text, "/api/nothing?" + text):
            self.call("GET", target)
        # past nginx: parameters and bodies that do not fit
        for params in ({"CONTENT_LENGTH": "9" * 30}, {"CONTENT_LENGTH": "3"}, {"REQUEST_METHOD": text}, {"DOCUMENT_URI": "/" + text},
                       {"SERVER_PROTOCOL": text}, {"CONTENT_TYPE": text}):  # fmt: skip
            pairs = fastcgi.settings_params("PUT", "/api/settings/secrets", [("X-Session-API-Key", text)], text.encode(), **params)
            try:
                _, headers, body = fastcgi.exchange(self.coffer.socket_path, pairs, text.encode())
                self.bodies.append(("direct", 0, repr(headers).encode() + body))
            except (OSError, fastcgi.ConnectionEnded):
                pass

    def cut_off(self):
        """Peers that leave in the middle of a body."""
        text = "canary-cut-%s" % os.urandom(12).hex()
        self.texts.append(text)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", self.coffer.port)) as connection:
                connection.sendall(b"PUT /api/settings/secrets HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Session-API-Key: %s\r\n"
                                   b"Content-Length: 500\r\n\r\n%s" % (text.encode(), text.encode()))  # fmt: skip

    def looks(self):
        """What the server and the command line show of themselves."""
        admin = {"Authorization": "Bearer " + self.coffer.keys["adminKey"]}
        self.assertEqual(self.call("GET", "/metrics", headers=admin, key=None).status, 200)
        for words in (["metrics"], ["doctor"], ["doctor", "--json"], ["config", "show", "--origin"], ["config", "show", "--json"],
                      ["config", "check"], ["audit", "list", "--json"]):  # fmt: skip
            told = self.coffer.command(*words, "--dir", self.coffer.folder, check=False)
            self.assertGreater(len(told.stdout), 20, words)
            self.bodies.append((" ".join(words), told.returncode, (told.stdout + told.stderr).encode()))

    def test_nothing_is_found(self):
        before = set(os.listdir(tempfile.gettempdir()))
        self.store()
        self.errors()
        self.cut_off()
        self.looks()
        self.assertIn('"message":"key refused"', self.coffer.output())
        self.assertIn('"message":"request"', self.coffer.output())
        self.ask.close()
        self.coffer.kill_responder()  # a crash leaves nothing behind either
        self.assertEqual(self.ask("GET", "/api/settings/secrets/CANARY").body.decode(), self.secret)
        time.sleep(0.5)
        pids = canaries.processes_below(self.coffer.process.pid) + [self.coffer.responder()]
        findings = []
        # The wire key and the root key lie in the folder where init or the operator put them;
        # no secret of a client lies anywhere.
        findings += canaries.search_folder(self.coffer.folder, self.texts)
        findings += canaries.search_folder(self.coffer.home, self.texts)
        for name in set(os.listdir(tempfile.gettempdir())) - before:
            path = pathlib.Path(tempfile.gettempdir(), name)
            if name.startswith(("coffer", "nginx", "core")):
                findings += canaries.search_folder(path, self.texts)
        findings += canaries.search_processes([pid for pid in pids if self.is_ours(pid)], self.texts[2:])
        findings += canaries.search_processes([self.coffer.responder()], self.texts)
        self.assertEqual(findings, [])
        for what, status, data in self.bodies:
            self.assertEqual(canaries.search(data, self.texts), [], "%s answered %d" % (what, status))

    @staticmethod
    def is_ours(pid):
        try:
            return os.readlink("/proc/%d/exe" % pid) != ""
        except OSError:
            return False

    @unittest.skipUnless(may_trace(), "strace may not trace here: whether a process is started is not looked at")
    def test_no_process_is_started(self):
        """T65: no program is run for a request, so that none inherits an environment or an open file."""
        with traced(self.coffer, "execve,execveat,fork,vfork,clone,clone3,fdatasync") as seen:
            self.store()
            self.errors()
            self.looks()
        # Something was seen: each write is synced.
        self.assertTrue(any("fdatasync(" in line for line in seen))
        started = [line for line in seen if any(call in line for call in ("exec", "fork(", "clone")) and "CLONE_THREAD" not in line]
        self.assertEqual(started, [])

    def test_a_silent_responder_puts_nothing_in_the_logs(self):
        """nginx reports an upstream that does not answer; its line must not carry the request."""
        text = "canary-silent-%s" % os.urandom(12).hex()
        pid = self.coffer.responder()
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = self.ask("GET", "/api/settings?" + text, headers={"Referer": "http://h/" + text})
        finally:
            os.kill(pid, signal.SIGCONT)
            self.ask.close()
        self.assertEqual(answer.status, 504)
        self.assertEqual(canaries.search(answer.body, [text]), [])
        findings = canaries.search_folder(self.coffer.folder, [text]) + canaries.search_folder(self.coffer.home, [text])
        self.assertEqual(findings, [])

    def test_every_refusal_is_met(self):
        """The tour above is worth something only if it meets the refusals."""
        self.errors()
        met = {status for _, status, _ in self.bodies}
        self.assertLessEqual({400, 401, 404, 405, 412, 413, 415, 422}, met)
        self.assertFalse({status for status in met if status >= 500}, "a client's mistake is not the server's")


@unittest.skipIf(os.geteuid() != 0, "needs root to look into a process")
class MemoryTests(ScopedTestCase):
    """T64: a second after the last answer the memory of cofferd holds no value, and the root key once."""

    def test_no_value_stays_in_memory(self):
        texts = []
        settings = planted(SECRET_SETTINGS, texts)
        self.patch({"agent_settings_diff": settings})
        for mode in (None, "encrypted", "plaintext"):
            self.settings(mode)
        for number in range(20):
            texts.append("canary-secret-%s" % os.urandom(12).hex())
            self.put("CANARY%d" % number, texts[-1])
            self.assertEqual(self.value("CANARY%d" % number).decode(), texts[-1])
        texts.append("canary-profile-%s" % os.urandom(12).hex())
        self.assertEqual(self.ask("POST", "/api/profiles/CANARY", {"llm": {"model": "m", "api_key": texts[-1]}}).status, 201)
        self.assertEqual(self.ask("POST", "/api/profiles/CANARY/activate").status, 200)
        # What is refused does not stay either.
        texts.append("canary-refused-%s" % os.urandom(12).hex())
        self.assertEqual(self.ask("PATCH", "/api/settings", {"agent_settings_diff": {"llm": {"num_retries": texts[-1]}}}).status, 422)
        self.assertEqual(self.ask("PUT", "/api/settings/secrets", ('{"name": "%s' % texts[-1]).encode()).status, 422)
        texts += self.scoped()
        texts.append(self.coffer.keys["sessionKey"])
        self.ask.close()
        time.sleep(1)
        counts = canaries.counts_in_memory(self.coffer.responder(), [text.encode() for text in texts])
        self.assertEqual({text: count for text, count in counts.items() if count}, {})
        root = base64.b64decode(pathlib.Path(self.coffer.folder, "keys", "root.key").read_text(encoding="ascii").split()[2])
        wire = SECRET_KEY.encode()
        counts = canaries.counts_in_memory(self.coffer.responder(), [root, wire])
        self.assertEqual(counts[root], 1)
        # It is in the environment, so that a search that sees nothing is none.
        self.assertGreater(counts[wire], 0)
        print("\nT64 reached: %d values and keys, 0 copies; the root key once" % len(texts))

    def scoped(self):
        """A plaintext field, the text of a data key, minted and opened, and the agent's own key."""
        agent = self.agent()
        value = "canary-field-%s" % os.urandom(12).hex()
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": value}]})
        agent.call("GET", agent.path("s"))
        minted = agent.mint("s", "f")
        envelope = agent.store("s", "f", b"sealed", minted)
        agent.call("GET", agent.path("s") + "/fields/f")
        opened = agent.unwrap("s", "f", envelope)
        agent.client.close()
        return [value, minted["plaintextKey"], opened["plaintextKey"], agent.key]


class KeyLeafTests(unittest.TestCase):
    def test_every_secret_place_is_planted(self):
        texts = []
        settings = planted(SECRET_SETTINGS, texts)
        self.assertEqual(len(texts), len(secret_paths()))
        self.assertEqual(len({value for _, value in leaves(settings) if isinstance(value, str) and "canary" in value}), len(texts))


if __name__ == "__main__":
    unittest.main()
