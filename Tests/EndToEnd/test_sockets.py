"""WebSockets through nginx and the relay to a scripted agent server (settings spec, section 10.10)."""

import json
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time
import unittest

import canaries
from coffer_harness import CofferTestCase
from web_sockets import BINARY, CLOSE, PING, TEXT, Client, SocketAgent, echo, frame

AGENT_KEY = "canary-agent-key-0123456789"
ID = "0b3a1f52-7f36-4a44-9c57-0f6f6f1b2c01"
TARGET = "/sockets/events/" + ID


class SocketTestCase(CofferTestCase):
    relay_options = ()

    def setUp(self):
        self.agent = SocketAgent(self.serve, **self.place())
        self.addCleanup(self.agent.close)
        self.coffer = self.fresh(start=False, options=self.options)
        keys = pathlib.Path(self.coffer.folder, "keys", "agent.key")
        keys.write_text(AGENT_KEY + "\n")
        keys.chmod(0o600)
        with open(os.path.join(self.coffer.folder, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("\nagent-server-key-file = keys/agent.key\nagent-server = %s\n" % self.agent.address)
            for name, value in self.relay_options:
                file.write("%s = %s\n" % (name, value))
        self.coffer.up()
        self.ask = self.coffer.client()
        self.addCleanup(self.ask.close)
        self.key = self.coffer.create_key("frontend")

    def place(self):
        return {}

    def serve(self, peer):
        echo(peer)

    def open(self, target=TARGET, headers=(), status=101, **more):
        client = Client(self.coffer.port, target, headers, **more)
        self.addCleanup(client.close)
        self.assertEqual(client.status, status, client.body)
        return client

    def opened(self):
        return self.open(headers=[("X-Session-API-Key", self.key)])

    def figures(self):
        text = self.coffer.command("metrics", "--dir", self.coffer.folder).stdout
        return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line.startswith("coffer_sockets_")}

    def wait_for_open(self, count, seconds=10):
        end = time.monotonic() + seconds
        while self.figures()["coffer_sockets_open"] != count:
            self.assertLess(time.monotonic(), end, self.figures())
            time.sleep(0.05)

    def memory(self):
        """Resident bytes of cofferd."""
        text = pathlib.Path("/proc/%d/status" % self.coffer.responder()).read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


class OpenTests(SocketTestCase):
    """With --insecure-open everybody is let in, as the recorded server does it without keys."""

    options = ("--insecure-open",)

    def test_without_a_key(self):
        client = self.open()
        client.send("hello")
        self.assertEqual(client.receive(), (TEXT, b"hello"))


class KeyTests(SocketTestCase):
    def test_a_header_or_a_query(self):
        for target, headers in ((TARGET + "?resend_mode=all", [("X-Session-API-Key", self.key)]), (TARGET + "?session_api_key=%s&resend_mode=all" % self.key, ())):
            client = self.open(target, headers)
            client.send("hello")
            self.assertEqual(client.receive(), (TEXT, b"hello"))
            line, head = self.agent.heads[-1]
            self.assertEqual(line, "GET %s?resend_mode=all HTTP/1.1" % TARGET)
            self.assertEqual([value for name, value in head if name.lower() == "x-session-api-key"], [AGENT_KEY])
            self.assertNotIn(self.key, repr(self.agent.heads[-1]))
            client.send(b"\x03\xe8", CLOSE)
            self.assertEqual(client.closed(), (1000, ""))
        self.wait_for_open(0)
        self.assertEqual(self.figures()["coffer_sockets_opened_total"], 2)

    def test_the_first_frame(self):
        client = self.open()
        # Nothing of what it offers is taken up before the agent server is asked.
        self.assertNotIn("sec-websocket-extensions", [name.lower() for name, _ in client.headers])
        self.assertEqual(self.agent.heads, [])
        client.send(json.dumps({"type": "auth", "session_api_key": self.key}))
        client.send("hello")
        self.assertEqual(client.receive(), (TEXT, b"hello"))
        self.assertEqual(dict(self.agent.heads[0][1])["X-Session-API-Key"], AGENT_KEY)
        # All at once, and cut into single bytes.
        for step in (10_000, 1):
            client = self.open()
            bytes_ = frame(TEXT, json.dumps({"type": "auth", "session_api_key": self.key}).encode(), True) + frame(TEXT, b"second", True)
            for start in range(0, len(bytes_), step):
                client.connection.sendall(bytes_[start : start + step])
            self.assertEqual(client.receive(), (TEXT, b"second"))

    def test_wrong_keys(self):
        masked, lookup = self.coffer.create_key("masked"), self.coffer.create_key("lookup")
        for key in ("csk_wrong", masked, lookup, self.coffer.keys["adminKey"], self.coffer.keys["sessionKey"][:-1]):
            self.open(headers=[("X-Session-API-Key", key)], status=403)
            self.open(TARGET + "?session_api_key=" + key, status=403)
            client = self.open()
            client.send(json.dumps({"type": "auth", "session_api_key": key}))
            self.assertEqual(client.closed(), (4001, "Authentication failed"))
        denied = [entry for entry in self.coffer.audit() if entry["action"] == "access.denied"]
        self.assertEqual(len(denied), 6)
        self.assertEqual(self.agent.heads, [])
        self.assertEqual(self.figures()["coffer_sockets_refused_total"], 15)

    def test_first_frames_that_bring_no_key(self):
        for text in ("", "x", "{}", json.dumps({"role": "user", "content": []}), "x" * 5000):
            client = self.open()
            client.send(text)
            self.assertEqual(client.closed(), (4001, "Authentication failed"), text[:20])
        for bytes_ in (frame(BINARY, b"{}", True), frame(PING, b"", True), frame(TEXT, b"{}", False), b"\xff\xff\xff\xff\xff\xff"):
            client = self.open()
            client.connection.sendall(bytes_)
            self.assertEqual(client.closed()[0], 4001)
        self.assertEqual(self.agent.heads, [])

    def test_a_key_that_does_not_come(self):
        client = self.open()
        start = time.monotonic()
        client.connection.sendall(frame(TEXT, b'{"type":"auth"', True)[:9])
        self.assertEqual(client.closed(), (4001, "Authentication failed"))
        self.assertTrue(9 < time.monotonic() - start < 13)
        with self.assertRaises(EOFError):
            client.receive()

    def test_a_key_that_ends_ends_its_sockets(self):
        client, other = self.opened(), self.open(headers=[("X-Session-API-Key", self.coffer.keys["sessionKey"])])
        client.send("hello")
        client.receive()
        self.coffer.command("key", "revoke", self.key.split("_")[1], "--dir", self.coffer.folder)
        self.assertEqual(client.closed(), (4001, "Authentication failed"))
        other.send("still here")
        self.assertEqual(other.receive(), (TEXT, b"still here"))

    def test_no_key_is_written_anywhere(self):
        nobody = "csk_canarycanary0_" + "c" * 40
        self.open(TARGET + "?session_api_key=" + self.key).send("hello")
        self.open(TARGET + "?session_api_key=" + nobody, status=403)
        client = self.open()
        client.send(json.dumps({"type": "auth", "session_api_key": nobody}))
        client.closed()
        client = self.open()
        client.send(json.dumps({"type": "auth", "session_api_key": self.key}))
        # The agent server is gone: nginx and cofferd have something to say about it.
        self.agent.close()
        self.open(TARGET + "?session_api_key=" + self.key, status=502)
        texts = [self.key.split("_")[2], nobody.split("_")[2], AGENT_KEY]
        kept = os.path.join(self.coffer.folder, "keys", "agent.key")
        findings = [found for found in canaries.search_folder(self.coffer.folder, texts) if kept not in repr(found)]
        self.assertEqual(findings, [])
        self.assertEqual(canaries.search(self.coffer.output().encode(), texts), [])

    def test_what_is_no_handshake(self):
        nobody = self.coffer.client(None)
        self.addCleanup(nobody.close)
        self.assertEqual(nobody("GET", TARGET).status, 426)
        self.assertEqual(nobody("POST", TARGET, {}).status, 405)
        self.open("/sockets/%2e%2e/api/settings", status=400)
        relay = os.path.join(self.coffer.folder, "run", "sockets.sock")
        for sent in (b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /api/settings HTTP/1.1\r\nA: " + b"a" * 50_000):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(20)
                peer.connect(relay)
                peer.sendall(sent)
                self.assertIn(b" Refused\r\n", peer.recv(4096))


class PumpTests(SocketTestCase):
    relay_options = (("relay-limit", "250"),)

    def place(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return {"path": os.path.join(folder.name, "agent.sock")}

    def test_long_frames_both_ways(self):
        client = self.opened()
        for size in (0, 1, 125, 126, 65_535, 65_536, 3_000_000):
            payload = os.urandom(size)
            sender = threading.Thread(target=client.send, args=(payload,))
            sender.start()
            self.assertEqual(client.receive(), (BINARY, payload))
            sender.join()

    def test_a_reader_that_does_not_read_holds_its_sender_back_and_no_memory(self):
        client = self.opened()
        client.send("hello")
        client.receive()
        before, peer = self.memory(), self.agent.peers[-1]
        peer.connection.settimeout(2)
        sent = 0
        with self.assertRaises(TimeoutError):
            while sent < 200 << 20:
                peer.connection.sendall(frame(BINARY, b"x" * 65_536, False))
                sent += 65_536
        self.assertLess(sent, 16 << 20)
        self.assertLess(self.memory() - before, 2 << 20)
        # Others go on.
        other = self.opened()
        other.send("hello")
        self.assertEqual(other.receive(), (TEXT, b"hello"))
        self.assertEqual(client.receive(), (BINARY, b"x" * 65_536))

    def test_an_agent_server_that_goes(self):
        client = self.opened()
        client.send("hello")
        client.receive()
        self.agent.peers[-1].connection.shutdown(socket.SHUT_RDWR)
        self.assertEqual(client.closed(), (1011, "The agent server is gone"))
        # In the middle of a frame nothing can be said.
        client = self.opened()
        client.send("hello")
        client.receive()
        peer = self.agent.peers[-1].connection
        peer.sendall(frame(TEXT, b"half of it", False)[:6])
        time.sleep(0.2)
        peer.shutdown(socket.SHUT_RDWR)
        with self.assertRaises(EOFError):
            client.receive()
        self.wait_for_open(0)

    def test_an_agent_server_that_says_no(self):
        self.agent.accepts = lambda line: False
        client = self.open(headers=[("X-Session-API-Key", self.key)], status=502)
        self.assertIn(b"status 404", client.body)
        client = self.open()
        client.send(json.dumps({"type": "auth", "session_api_key": self.key}))
        self.assertEqual(client.closed()[0], 1011)
        self.agent.accepts = lambda line: time.sleep(11)
        start = time.monotonic()
        self.open(headers=[("X-Session-API-Key", self.key)], status=504)
        self.assertLess(time.monotonic() - start, 13)
        self.agent.close()
        self.open(headers=[("X-Session-API-Key", self.key)], status=502)

    def test_its_own_close_codes_pass(self):
        self.agent.serve = lambda peer: peer.send(b"\x0f\xa4Conversation not found", CLOSE)
        self.assertEqual(self.opened().closed(), (4004, "Conversation not found"))

    def test_two_hundred_at_once(self):
        """All open and talking while requests are served."""
        clients = [self.opened() for _ in range(200)]
        self.wait_for_open(200)
        stop, failures = threading.Event(), []

        def talk(some):
            number = 0
            while not stop.is_set():
                number += 1
                for client in some:
                    client.send("message %d" % number)
                for client in some:
                    if client.receive() != (TEXT, b"message %d" % number):
                        failures.append(number)

        threads = [threading.Thread(target=talk, args=(clients[start::4],)) for start in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(300):
                self.assertEqual(self.ask("GET", "/api/settings").status, 200)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        self.assertEqual(failures, [])
        self.assertLess(self.memory(), 60 << 20)
        # There is a limit, and what is beyond it is told so.
        more = [self.opened() for _ in range(50)]
        self.assertEqual(len(more), 50)
        self.assertIn(b"Too many", self.open(headers=[("X-Session-API-Key", self.key)], status=503).body)
        for client in clients + more:
            client.close()
        self.wait_for_open(0)
        self.opened()

    def test_a_restart_tells_everybody_to_come_again(self):
        client, waiting = self.opened(), self.open()
        client.send("hello")
        client.receive()
        old = self.coffer.responder()
        os.kill(old, signal.SIGHUP)
        for socket_ in (client, waiting):
            self.assertEqual(socket_.closed(), (1001, "The server restarts"))
        client = self.opened()
        client.send("hello")
        self.assertEqual(client.receive(), (TEXT, b"hello"))
        self.assertNotEqual(self.coffer.responder(), old)
        self.coffer.stop()
        self.assertEqual(client.closed()[0], 1001)


class NoAgentServerTests(CofferTestCase):
    def test_it_says_so(self):
        client = Client(self.coffer.port, TARGET)
        self.addCleanup(client.close)
        self.assertEqual(client.status, 501)
        self.assertIn(b"agent-server", client.body)
        self.assertEqual(self.ask("GET", TARGET).status, 501)


if __name__ == "__main__":
    unittest.main()
