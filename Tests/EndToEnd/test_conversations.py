"""Conversations through Coffer to a scripted agent server: what it receives, what the client gets, and what happens when the
agent server is slow, silent, gone, or sends what it should not."""

import json
import os
import pathlib
import socket
import threading
import time
import unittest

import canaries
from agent_server import AgentServer, Said
from coffer_harness import SECRET_SETTINGS, Client, Coffer, CofferTestCase
from nginx_harness import free_port

UPSTREAM_KEY = "agent-server-key-4b1f0c"
WORKSPACE = {"workspace": {"working_dir": "/w"}}
ID = "11111111-1111-4111-8111-111111111111"
FOREIGN = "gAAAAABmAAAAAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw=="


def start(**more):
    return {"agent": {"kind": "Agent", "llm": {"model": "openai/gpt-4o", "api_key": "value-plain"}}, **WORKSPACE, **more}


class ConversationTestCase(CofferTestCase):
    """A Coffer with an agent server of this class's own behind it."""

    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.agent = AgentServer()
        cls.addClassCleanup(cls.agent.close)
        cls.coffer = cls.made()
        cls.coffer.up()

    @classmethod
    def made(cls, address=None):
        coffer = Coffer(environment=cls.environment)
        cls.addClassCleanup(coffer.destroy)
        coffer.init()
        key = pathlib.Path(coffer.home, "agent.key")
        key.touch(0o600)
        key.write_text(UPSTREAM_KEY + "\n")
        coffer.options = ["--agent-server", address or cls.agent.url, "--agent-server-key-file", str(key)]
        with open(os.path.join(coffer.folder, "coffer.conf"), "a", encoding="utf-8") as file:
            file.write("".join("%s = %s\n" % pair for pair in cls.settings))
        return coffer

    def setUp(self):
        super().setUp()
        self.agent.received.clear()
        self.agent.answer = self.started

    @staticmethod
    def started(request):
        if request.target.split("?")[0] == "/api/conversations":
            return Said(201, {"id": request.json()["conversation_id"], "launched_agent_profile": None})
        return Said(200, {"success": True})

    def begin(self, body, status=201, ask=None):
        answer = (ask or self.ask)("POST", "/api/conversations", body)
        self.assertEqual(answer.status, status, answer.body[:300])
        return answer

    def last(self):
        """What the agent server received last."""
        return self.agent.received[-1]

    def entries(self, action):
        return [entry for entry in self.coffer.audit() if entry["action"] == action]


class StartTests(ConversationTestCase):
    def test_encrypted_settings_arrive_opened(self):
        self.patch({"agent_settings_diff": SECRET_SETTINGS})
        shown = self.settings_of("encrypted")
        frontend = self.coffer.client(self.coffer.create_key("frontend"))
        self.addCleanup(frontend.close)
        answer = self.begin({"agent_settings": shown, "secrets_encrypted": True, **WORKSPACE}, ask=frontend)
        request = self.last()
        self.assertEqual((request.method, request.target), ("POST", "/api/conversations"))
        self.assertEqual(request.values("X-Session-API-Key"), [UPSTREAM_KEY])
        self.assertEqual(request.json()["agent_settings"], self.settings_of("plaintext"))
        self.assertIs(request.json()["secrets_encrypted"], False)
        (entry,) = [entry for entry in self.entries("conversation.start") if entry["secretId"] == answer.json()["id"]]
        details = json.loads(entry["details"]) if isinstance(entry["details"], str) else entry["details"]
        self.assertIn("/agent_settings/llm/api_key", details["opened"])
        self.assertNotIn("value-", json.dumps(entry))

    def settings_of(self, mode):
        return self.settings_document(mode)["agent_settings"]

    def settings_document(self, mode):
        answer = self.ask("GET", "/api/settings", headers={"X-Expose-Secrets": mode})
        self.assertEqual(answer.status, 200)
        return answer.json()

    def test_an_agent_profile_is_resolved_here(self):
        self.patch({"agent_settings_diff": {"mcp_config": {"files": {"command": "x", "env": {"TOKEN": "value-mcp"}}}}})
        made = self.ask("POST", "/api/llm/provider-connections", {"display_name": "W", "api_key": "value-shared", "base_url": "http://h/v1"}).json()
        self.assertEqual(self.ask("POST", "/api/profiles/linked", {"llm": {"model": "m", "provider_connection_id": made["id"]}}).status, 201)
        body = {"llm_profile_ref": "linked", "mcp_server_refs": ["files"]}
        self.assertEqual(self.ask("POST", "/api/agent-profiles/coder", body).status, 201)
        profile = self.ask("GET", "/api/agent-profiles/coder").json()["profile"]
        answer = self.begin({"agent_profile_id": profile["id"], **WORKSPACE})
        sent = self.last().json()
        self.assertNotIn("agent_profile_id", sent)
        self.assertEqual(sent["agent_settings"]["llm"]["api_key"], "value-shared")
        self.assertEqual(sent["agent_settings"]["mcp_config"]["files"]["env"], {"TOKEN": "value-mcp"})
        self.assertEqual(answer.json()["launched_agent_profile"], {"agent_profile_id": profile["id"], "revision": profile["revision"]})
        self.assertNotIn(b"value-", answer.body)
        unknown = self.begin({"agent_profile_id": ID, **WORKSPACE}, 404)
        self.assertEqual(unknown.json()["detail"], "Agent profile with id '%s' not found" % ID)
        self.assertEqual(self.ask("POST", "/api/agent-profiles/broken", {"llm_profile_ref": "linked", "mcp_server_refs": ["gone"]}).status, 201)
        broken = self.ask("GET", "/api/agent-profiles/broken").json()["profile"]["id"]
        self.assertEqual(self.begin({"agent_profile_id": broken, **WORKSPACE}, 422).json()["detail"]["dangling_mcp_server_refs"], ["gone"])
        self.assertEqual(len(self.agent.received), 1)

    def test_refusals_start_nothing(self):
        bodies = [
            (start(secrets_encrypted=True, agent={"llm": {"model": "m", "api_key": FOREIGN}}), 422), ({}, 422), (b"{", 422),
            ({**WORKSPACE}, 422), (start(max_iterations=0), 422), (start(secrets={"A": "text"}), 422),
        ]  # fmt: skip
        before = len(self.entries("conversation.start"))
        for body, status in bodies:
            answer = self.begin(body, status)
        refused = self.begin(bodies[0][0], 422)
        self.assertEqual(refused.json()["pointers"], ["/agent/llm/api_key"])
        self.assertNotIn(FOREIGN.encode(), refused.body + answer.body)
        for level in ("masked", "lookup"):
            client = self.coffer.client(self.coffer.create_key(level))
            self.addCleanup(client.close)
            self.begin(start(), 403, ask=client)
            self.assertEqual(client("GET", "/api/conversations/search").status, 403)
        nobody = self.coffer.client("unknown")
        self.addCleanup(nobody.close)
        self.begin(start(), 401, ask=nobody)
        self.assertEqual(nobody("GET", "/api/conversations/" + ID).status, 401)
        self.assertEqual(self.agent.received, [])
        self.assertEqual(len(self.entries("conversation.start")), before)

    def test_starting_again_is_safe(self):
        self.begin(start(conversation_id=ID))
        self.agent.answer = lambda request: Said(200, {"id": ID})
        self.begin(start(conversation_id=ID), 200)
        self.assertEqual([request.json()["conversation_id"] for request in self.agent.received], [ID, ID])

    def test_no_answer_shows_what_was_opened(self):
        """The agent server repeats what it got, as it does in its refusals, and in some members of its answers."""
        self.patch({"agent_settings_diff": {"llm": {"model": "m", "api_key": "value-repeated-key"}}})
        token = self.settings_of("encrypted")["llm"]["api_key"]
        body = start(secrets_encrypted=True, agent={"llm": {"model": "m", "api_key": token}})
        detail = [{"type": "value_error", "loc": ["body"], "msg": "got 'value-repeated-key'!", "input": {"x": "value-repeated-key"}}]
        for said in (Said(422, {"detail": detail}), Said(500, {"exception": "value-repeated-key"}), Said(201, {"a": ["x value-repeated-key"]})):
            self.agent.answer = lambda request, said=said: said
            answer = self.begin(body, said.status)
            self.assertIn(b"value-repeated-key", self.last().body)
            self.assertNotIn(b"value-repeated-key", answer.body)
            self.assertIn(b"**********", answer.body)

    def test_switching_the_model(self):
        self.patch({"agent_settings_diff": {"llm": {"model": "m", "api_key": "value-switched"}}})
        token = self.settings_of("encrypted")["llm"]["api_key"]
        path = "/api/conversations/%s/" % ID
        self.assertEqual(self.ask("POST", path + "switch_llm", {"llm": {"model": "m", "api_key": token}}).status, 200)
        self.assertEqual(self.last().json(), {"llm": {"model": "m", "api_key": "value-switched"}})
        refused = self.ask("POST", path + "switch_llm", {"llm": {"model": "m", "api_key": FOREIGN}})
        self.assertEqual((refused.status, refused.json()["pointers"]), (422, ["/llm/api_key"]))
        self.assertEqual(self.ask("POST", "/api/profiles/other", {"llm": {"model": "n", "api_key": "value-profile"}}).status, 201)
        self.assertEqual(self.ask("POST", path + "switch_profile", {"profile_name": "other"}).status, 200)
        self.assertEqual(self.last().target, path + "switch_llm")
        self.assertEqual((self.last().json()["llm"]["model"], self.last().json()["llm"]["api_key"]), ("n", "value-profile"))
        self.agent.answer = lambda request: Said(404, {"detail": "Profile 'theirs' not found"})
        theirs = self.ask("POST", path + "switch_profile", {"profile_name": "theirs"})
        self.assertEqual((theirs.status, theirs.json()["detail"]), (404, "Profile 'theirs' not found"))
        self.assertEqual((self.last().target, self.last().json()), (path + "switch_profile", {"profile_name": "theirs"}))
        self.assertEqual(len(self.agent.received), 3)

    def test_the_rest_is_relayed(self):
        frontend = self.coffer.client(self.coffer.create_key("frontend"))
        self.addCleanup(frontend.close)
        self.agent.answer = lambda request: Said(200, {"their": "answer"})
        for method, target in (("GET", "/api/conversations/search?limit=5"), ("POST", "/api/conversations/%s/events" % ID), ("GET", "/api/bash/x%20y"),
                               ("PATCH", "/api/conversations/" + ID), ("GET", "/api/conversations/%s/secrets" % ID), ("GET", "/api/git/changes")):  # fmt: skip
            answer = frontend(method, target, {"a": 1} if method == "POST" else None)
            self.assertEqual((answer.status, answer.json()), (200, {"their": "answer"}), target)
            self.assertEqual((self.last().method, self.last().target), (method, target))
            self.assertEqual(self.last().values("X-Session-API-Key"), [UPSTREAM_KEY])
            self.assertNotIn(UPSTREAM_KEY, repr(answer.headers))
        # Its cookie would be the agent server's key itself.
        self.assertEqual(frontend("POST", "/api/auth/workspace-session").status, 501)
        # Past nginx nobody is told the key.
        status, headers, body = self.coffer.direct("GET", "/api/conversations/search")
        self.assertEqual(status, 501)
        self.assertNotIn(UPSTREAM_KEY, repr(headers) + repr(body))

    def test_a_key_in_the_query_is_none(self):
        key = self.coffer.create_key("frontend")
        nobody = self.coffer.client(None)
        self.addCleanup(nobody.close)
        self.assertEqual(nobody("GET", "/api/conversations/search?session_api_key=" + key).status, 401)
        self.assertEqual(self.agent.received, [])

    def test_nothing_is_written_down(self):
        texts = ["canary-%02d-%s" % (number, os.urandom(12).hex()) for number in range(4)]
        self.patch({"agent_settings_diff": {"llm": {"model": "m", "api_key": texts[0]}}})
        token = self.settings_of("encrypted")["llm"]["api_key"]
        self.begin(start(
            secrets_encrypted=True, agent={"llm": {"model": "m", "api_key": token}, "agent_context": {"secrets": {"A": texts[1]}}},
            secrets={"B": {"kind": "StaticSecret", "value": texts[2]}}))  # fmt: skip
        for text in texts[:3]:
            self.assertIn(text.encode(), self.last().body)
        self.ask("POST", "/api/conversations/%s/secrets" % ID, {"secrets": {"C": texts[3]}})
        self.agent.answer = lambda request: Said(raw=b"")
        self.begin(start(secrets={"B": {"kind": "StaticSecret", "value": texts[2]}}), 502)
        findings = canaries.search_folder(self.coffer.folder, texts + [UPSTREAM_KEY]) + canaries.search_processes([self.coffer.responder()], texts)
        self.assertEqual(findings, [])
        self.assertEqual(canaries.search(self.coffer.output().encode(), texts), [])


class LookupTests(ConversationTestCase):
    """Values stay here; the agent server gets addresses and a token for them."""

    settings = (("conversation-secrets", "lookup"), ("conversation-minutes", "60"))

    def looked_up(self, source, ask=None):
        path = source["url"].split("/", 3)[3]
        client = self.coffer.client(source["headers"]["X-Session-API-Key"])
        self.addCleanup(client.close)
        return client("GET", "/" + path)

    def test_values_are_looked_up(self):
        self.put("STORED", "value-stored")
        self.put("OTHER", "value-other")
        body = start(conversation_id=ID, secrets={
            "A": {"kind": "StaticSecret", "value": "value-own", "description": "mine"}, "free name/ä": {"kind": "StaticSecret", "value": "value-free"},
            "B": {"kind": "LookupSecret", "url": "/api/settings/secrets/STORED"}, "C": {"kind": "LookupSecret", "url": "http://elsewhere/x"},
            "D": {"kind": "StaticSecret", "value": None}})  # fmt: skip
        body["agent"]["agent_context"] = {"secrets": {"E": "value-context"}}
        answer = self.begin(body)
        sent = self.last().json()
        self.assertNotIn("value-own", self.last().body.decode())
        base = "http://127.0.0.1:%d/" % self.coffer.port
        self.assertEqual(sent["secrets"]["B"]["url"], base + "api/settings/secrets/STORED")
        self.assertEqual(sent["secrets"]["A"]["description"], "mine")
        self.assertEqual(sent["secrets"]["C"], {"kind": "LookupSecret", "url": "http://elsewhere/x"})
        self.assertEqual(sent["secrets"]["D"], {"kind": "StaticSecret", "value": None})
        for source, value in ((sent["secrets"]["A"], "value-own"), (sent["secrets"]["free name/ä"], "value-free"), (sent["secrets"]["B"], "value-stored"),
                              (sent["agent"]["agent_context"]["secrets"]["E"], "value-context")):  # fmt: skip
            self.assertTrue(source["url"].startswith(base))
            found = self.looked_up(source)
            self.assertEqual((found.status, found.body.decode()), (200, value))
        token = sent["secrets"]["A"]["headers"]["X-Session-API-Key"]
        self.assertTrue(token.startswith("cvk_"))
        self.assertNotIn(token.encode(), answer.body)
        reads = [entry for entry in self.entries("secret.read") if ID in json.dumps(entry)]
        self.assertEqual({entry["secretId"] for entry in reads}, {"A", "free name/ä", "STORED", "E"})

        # A token that leaked opens these and nothing else.
        thief = self.coffer.client(token)
        self.addCleanup(thief.close)
        for method, target in (("GET", "/api/settings/secrets/OTHER"), ("GET", "/api/settings/secrets"), ("GET", "/api/settings"), ("GET", "/api/profiles"),
                               ("PATCH", "/api/settings"), ("POST", "/api/conversations"), ("GET", "/api/conversations/search"), ("DELETE", "/api/conversations/" + ID),
                               ("DELETE", "/api/settings/secrets/STORED")):  # fmt: skip
            self.assertEqual(thief(method, target, {} if method in ("PATCH", "POST") else None).status, 403, target)
        self.assertEqual(thief("GET", "/api/conversations/%s/secrets/99" % ID).status, 404)
        self.assertEqual(thief("GET", "/api/conversations/%s/secrets/0" % ID.replace("1", "2")).status, 404)
        # No other key reads what belongs to a conversation.
        self.assertEqual(self.ask("GET", "/api/conversations/%s/secrets/0" % ID).status, 403)

        more = self.ask("POST", "/api/conversations/%s/secrets" % ID, {"secrets": {"F": "value-later"}})
        self.assertEqual(more.status, 200)
        later = self.last().json()["secrets"]["F"]
        self.assertEqual(self.looked_up(later).body, b"value-later")

        listed = self.coffer.command("conversation", "list", "--dir", self.coffer.folder, "--json").stdout
        self.assertNotIn("value-", listed)
        grants = [json.loads(line) for line in listed.splitlines()]
        self.assertEqual(sorted(name for grant in grants if grant["conversation"] == ID for name in grant["names"]),
                         sorted(["STORED", "A", "free name/ä", "E", "F"]))  # fmt: skip
        # One by one they are the same, though their ids have slashes.
        path, pages, cursor = "/admin/v1/tenants/default/conversations?limit=1", [], ""
        while cursor is not None:
            page = self.ask("GET", path + cursor, headers={"Authorization": "Bearer " + self.coffer.keys["adminKey"]}, key=None).json()
            pages += page["data"]
            cursor = page["cursor"] and "&cursor=" + page["cursor"]
        self.assertEqual(pages, grants)
        self.assertGreater(len(grants), 1)

        self.assertEqual(self.ask("DELETE", "/api/conversations/" + ID.replace("-", "")).status, 200)
        self.assertEqual((self.last().method, self.last().target), ("DELETE", "/api/conversations/" + ID))
        for source in (sent["secrets"]["A"], sent["secrets"]["B"], later):
            self.assertEqual(self.looked_up(source).status, 401)
        self.coffer.command("audit", "verify", "--dir", self.coffer.folder)
        self.coffer.command("verify", "--dir", self.coffer.folder)

    def test_an_operator_ends_a_conversation_s_tokens(self):
        other = ID.replace("1", "3")
        self.begin(start(conversation_id=other, secrets={"A": {"kind": "StaticSecret", "value": "value-a"}}))
        source = self.last().json()["secrets"]["A"]
        self.assertEqual(self.looked_up(source).status, 200)
        self.coffer.command("conversation", "revoke", "--dir", self.coffer.folder, other)
        self.assertEqual(self.looked_up(source).status, 401)
        self.assertNotIn(other, self.coffer.command("conversation", "list", "--dir", self.coffer.folder).stdout)
        again = self.coffer.command("conversation", "revoke", "--dir", self.coffer.folder, other, check=False)
        self.assertEqual(again.returncode, 1)

    def test_a_token_of_a_start_in_vain_opens_nothing(self):
        for answer, status in ((Said(422, {"detail": "no"}), 422), (Said(200, {"id": ID}), 200)):
            self.agent.answer = lambda request, answer=answer: answer
            self.begin(start(conversation_id=ID.replace("1", "4"), secrets={"A": {"kind": "StaticSecret", "value": "value-a"}}), status)
            source = self.last().json()["secrets"]["A"]
            for _ in range(100):
                found = self.looked_up(source).status
                if found == 401:
                    break
                time.sleep(0.02)
            self.assertEqual(found, 401)


class LookupServerTests(CofferTestCase):
    """Beside TLS: a plain address on loopback for lookups and nothing else."""

    tls = True

    def test_it_serves_lookups_only(self):
        agent = AgentServer(ConversationTestCase.started)
        self.addCleanup(agent.close)
        port = free_port()
        coffer = self.fresh(options=["--agent-server", agent.url, "--lookups", "127.0.0.1:%d" % port], tls=True)
        ask = coffer.client()
        self.addCleanup(ask.close)
        self.put("NAME", "value-stored", ask)
        body = start(secrets={"A": {"kind": "LookupSecret", "url": "/api/settings/secrets/NAME"}})
        self.assertEqual(ask("POST", "/api/conversations", body).status, 201)
        source = agent.received[-1].json()["secrets"]["A"]
        self.assertEqual(source["url"], "http://127.0.0.1:%d/api/settings/secrets/NAME" % port)
        for key, status in ((source["headers"]["X-Session-API-Key"], 200), ("wrong", 401), (coffer.keys["sessionKey"], 200)):
            lookup = Client(port, key)
            self.addCleanup(lookup.close)
            self.assertEqual(lookup("GET", "/api/settings/secrets/NAME").status, status)
        for target in ("/api/settings", "/api/settings/secrets", "/api/settings/secrets/NAME/x", "/ready", "/api/conversations/search", "/admin/v1/status"):
            refused = lookup("GET", target)
            self.assertEqual((refused.status, refused.json()["code"]), (404, "not_found"), target)


class TroubleTests(ConversationTestCase):
    """Each failure of the agent server has its status, takes bounded time and memory, and hinders nothing else."""

    settings = (("agent-server-deadline", "2"),)

    def failed(self, status, word):
        began = time.monotonic()
        answer = self.begin(start(), status)
        self.assertLess(time.monotonic() - began, 4)
        self.assertIn(word, answer.json()["exception"])
        self.assertEqual(self.ask("GET", "/api/settings").status, 200)

    def memory(self):
        with open("/proc/%d/status" % self.coffer.responder(), encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def test_slow(self):
        self.agent.answer = lambda request: Said(201, {}, delay=4)
        self.failed(504, "did not answer within 2 seconds")

    def test_dripping(self):
        self.agent.answer = lambda request: Said(201, parts=[b" "] * 20, pause=0.5)
        self.failed(504, "did not answer")

    def test_garbage(self):
        for raw in (b"\x00\xff garbage\r\n\r\n", b"", b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{}"):
            self.agent.answer = lambda request, raw=raw: Said(raw=raw)
            self.failed(502, "broke off or is no HTTP")
        for body in (b"<html>", b"{", b"\xff"):
            self.agent.answer = lambda request, body=body: Said(201, body, headers=(("Content-Type", "text/html"),))
            self.failed(502, "no JSON")
        for status in (302, 304):
            self.agent.answer = lambda request, status=status: Said(status, b"", headers=(("Location", self.agent.url + "/elsewhere"),))
            self.failed(502, str(status))
        self.assertNotIn("/elsewhere", [request.target for request in self.agent.received])

    def test_a_gigabyte(self):
        def flood(length):
            yield b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n%s\r\n\r\n" % length
            for _ in range(1024):
                yield b" " * (1 << 20)

        before = self.memory()
        for length in (b"Content-Length: 1073741824", b"Connection: close", b"Content-Length: 1073741824"):
            self.agent.answer = lambda request, length=length: Said(raw=flood(length))
            self.failed(502, "too large")
        self.assertLess(self.memory() - before, 40_000)

    def test_its_threads_give_way(self):
        """What waits for another machine must not delay what is answered here."""
        niceness = {}
        for thread in os.scandir("/proc/%d/task" % self.coffer.responder()):
            with open(thread.path + "/stat", encoding="ascii") as stat:
                name, _, fields = stat.read().partition("(")[2].rpartition(")")
            niceness.setdefault(name, set()).add(int(fields.split()[16]))
        self.assertEqual(niceness["coffer-gateway"], {10})
        self.assertLess(max(niceness["coffer-loop"] | niceness["coffer-writer"]), 10)

    def test_gone(self):
        coffer = self.made("http://127.0.0.1:%d" % free_port())
        coffer.up()
        ask = coffer.client()
        self.addCleanup(ask.close)
        answer = self.begin(start(), 502, ask=ask)
        self.assertIn("cannot be reached; nothing was sent", answer.json()["exception"])
        relayed = ask("GET", "/api/conversations/search")
        self.assertEqual((relayed.status, relayed.json()["code"]), (502, "unavailable"))
        self.assertEqual(ask("DELETE", "/api/conversations/" + ID).status, 502)

    def test_frozen_with_many_waiting(self):
        """More starts than fit: each is answered, none waits past the deadline, and settings are served meanwhile."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.addCleanup(listener.close)
        coffer = self.made("http://127.0.0.1:%d" % listener.getsockname()[1])
        coffer.up()
        statuses, lock = [], threading.Lock()

        def one():
            client = coffer.client()
            try:
                status = client("POST", "/api/conversations", start()).status
            finally:
                client.close()
            with lock:
                statuses.append(status)

        began = time.monotonic()
        threads = [threading.Thread(target=one) for _ in range(100)]
        for thread in threads:
            thread.start()
        ask = coffer.client()
        self.addCleanup(ask.close)
        slowest = 0
        while any(thread.is_alive() for thread in threads):
            asked = time.monotonic()
            self.assertEqual(ask("GET", "/api/settings").status, 200)
            slowest = max(slowest, time.monotonic() - asked)
            self.assertLess(time.monotonic() - began, 20)
            time.sleep(0.02)
        self.assertEqual(len(statuses), 100)
        self.assertEqual(set(statuses), {503, 504})
        self.assertLess(slowest, 1)


class WithoutTests(CofferTestCase):
    def test_without_an_agent_server(self):
        for method, target in (("POST", "/api/conversations"), ("GET", "/api/conversations/search"), ("DELETE", "/api/conversations/" + ID),
                               ("GET", "/api/bash/x")):  # fmt: skip
            answer = self.ask(method, target, {} if method == "POST" else None)
            self.assertEqual(answer.status, 501, target)
            self.assertIn("agent-server", answer.json()["exception"])
            nobody = self.coffer.client(None)
            self.addCleanup(nobody.close)
            self.assertEqual(nobody(method, target, {} if method == "POST" else None).status, 401, target)

    def test_its_key_file_must_be_private(self):
        coffer = self.fresh(start=False)
        path = pathlib.Path(coffer.home, "key")
        path.write_text("key")
        path.chmod(0o644)
        coffer.options = ["--agent-server", "http://127.0.0.1:1", "--agent-server-key-file", str(path)]
        with self.assertRaisesRegex(RuntimeError, "is open to other users"):
            coffer.up()


if __name__ == "__main__":
    unittest.main()
