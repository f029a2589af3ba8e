"""Several agent servers behind one Coffer: each conversation stays where it began."""

import json
import os
import pathlib
import unittest
import uuid

from agent_server import AgentServer, Said
from coffer_harness import CofferTestCase
from web_sockets import Client as Socket

START = {"agent": {"kind": "Agent", "llm": {"model": "m", "api_key": "value"}}, "workspace": {"working_dir": "/w"}}
NAMES = ("east", "west", "north")


def answer(request):
    if request.target.split("?")[0] == "/api/conversations":
        return Said(201, {"id": request.json()["conversation_id"], "launched_agent_profile": None})
    return Said(200, {"success": True})


class AgentServersTests(CofferTestCase):
    def setUp(self):
        folder = os.path.join(self.coffer.home, self.id().rsplit(".", 1)[-1])
        os.mkdir(folder)
        self.servers = {name: AgentServer(answer, path=os.path.join(folder, name) if name == "north" else None) for name in NAMES}
        for server in self.servers.values():
            self.addCleanup(server.close)
        self.coffer = self.fresh(start=False)
        self.configure(NAMES)
        self.coffer.up()
        self.ask = self.coffer.client()
        self.addCleanup(self.ask.close)

    def configure(self, names):
        """Each with a key of its own."""
        keys = []
        for name in names:
            path = pathlib.Path(self.coffer.folder, "keys", name)
            path.write_text("key-of-%s\n" % name)
            path.chmod(0o600)
            keys.append("%s=keys/%s" % (name, name))
        addresses = ["%s=%s" % (name, self.servers[name].url) for name in names]
        pathlib.Path(self.coffer.folder, "coffer.conf").write_text(
            "agent-server = %s\nagent-server-key-file = %s\n" % (", ".join(addresses), ", ".join(keys)))  # fmt: skip

    def again(self, names):
        self.ask.close()
        self.coffer.stop()
        self.configure(names)
        self.coffer.up()

    def begin(self, id=None, query="", status=201):
        id = id or str(uuid.uuid4())
        answered = self.ask("POST", "/api/conversations" + query, {**START, "conversation_id": id})
        self.assertEqual(answered.status, status, answered.body[:300])
        return id

    def at(self, id):
        """The names of the servers that have heard of the conversation."""
        return {name for name, server in self.servers.items() if any(id in request.target or id in request.body.decode() for request in server.received)}

    def placements(self):
        return [entry for entry in self.coffer.audit() if "placements/" in entry["details"]]

    def test_each_conversation_stays_where_it_began(self):
        ids = [self.begin() for _ in range(60)]
        places = {id: self.at(id) for id in ids}
        self.assertTrue(all(len(place) == 1 for place in places.values()), places)
        shares = {name: sum(place == {name} for place in places.values()) for name in NAMES}
        self.assertTrue(all(share >= 8 for share in shares.values()), shares)
        self.assertEqual(len(self.placements()), 60)
        for id in ids[:12]:
            (name,) = places[id]
            self.begin(id)
            path = "/api/conversations/" + id
            for method, target, body in (("POST", path + "/secrets", {"secrets": {"A": "value"}}), ("GET", path + "/events/search", None),
                                         ("POST", path + "/switch_llm", {"llm": {"model": "m"}}), ("POST", path + "/run", {})):  # fmt: skip
                self.assertEqual(self.ask(method, target, body).status, 200, target)
            # What answers is no WebSocket, which the relay says; but it was the right one that it asked.
            with Socket(self.coffer.port, "/sockets/events/" + id, [("X-Session-API-Key", self.coffer.keys["sessionKey"])]) as socket:
                self.assertEqual(socket.status, 502)
            self.assertEqual(self.at(id), {name})
            mine = [request for request in self.servers[name].received if id in request.target or id in request.body.decode()]
            self.assertEqual(len(mine), 7)
            self.assertEqual({tuple(request.values("X-Session-API-Key")) for request in mine}, {("key-of-" + name,)})
        # Also with the servers in another order, and one more.
        self.again(tuple(reversed(NAMES)))
        for id in ids[12:24]:
            self.assertEqual(self.ask("GET", "/api/conversations/" + id).status, 200)
            self.assertEqual(self.at(id), places[id])
        self.assertEqual(self.ask("DELETE", "/api/conversations/" + ids[0]).status, 200)
        self.assertEqual(self.at(ids[0]), places[ids[0]])
        self.coffer.command("verify", "--dir", self.coffer.folder)

    def test_one_is_asked_for_by_name(self):
        for name in NAMES:
            id = self.begin(query="?agent_server=" + name)
            self.assertEqual(self.at(id), {name})
            self.assertEqual(self.servers[name].received[-1].target, "/api/conversations")
            self.ask("GET", "/api/conversations/search?limit=5&agent_server=" + name)
            self.assertEqual(self.servers[name].received[-1].target, "/api/conversations/search?limit=5")
        self.assertEqual(self.ask("GET", "/api/bash/x").status, 200)
        self.assertEqual(self.servers["east"].received[-1].target, "/api/bash/x")
        self.begin(query="?agent_server=south", status=404)
        refused = self.ask("GET", "/api/conversations/search?agent_server=south")
        self.assertEqual(refused.status, 404)
        self.assertIn("south", refused.json()["detail"])

    def test_one_that_is_gone(self):
        ids = [self.begin() for _ in range(30)]
        places = {id: self.at(id) for id in ids}
        self.servers["west"].close()
        there = [id for id, place in places.items() if place == {"west"}]
        for id in there[:3]:
            self.assertEqual(self.ask("GET", "/api/conversations/" + id).status, 502)
            self.assertEqual(self.ask("POST", "/api/conversations/%s/secrets" % id, {"secrets": {"A": "value"}}).status, 502)
        # New ones go to the others; one that had been given to it may be repeated.
        fresh = [self.begin() for _ in range(20)]
        self.assertEqual({name for id in fresh for name in self.at(id)}, {"east", "north"})
        named = str(uuid.uuid4())
        self.begin(named, query="?agent_server=west", status=502)
        self.begin(named)
        self.assertEqual(len(self.at(named)), 1)
        # A deletion that did not arrive finds its way again.
        self.assertEqual(self.ask("DELETE", "/api/conversations/" + there[0]).status, 502)
        self.assertEqual(self.ask("DELETE", "/api/conversations/" + there[0]).status, 502)
        self.again(("east", "north"))
        refused = self.ask("GET", "/api/conversations/" + there[0])
        self.assertEqual((refused.status, "west" in refused.json()["detail"]), (404, True))

    def test_their_health(self):
        nobody = self.coffer.client(None)
        self.addCleanup(nobody.close)
        self.servers["west"].close()
        self.servers["north"].answer = lambda request: Said(401 if request.values("X-Session-API-Key") == ["key-of-north"] else 200, 0)
        self.servers["east"].answer = lambda request: Said(200, 0)
        self.assertEqual(nobody("GET", "/ready").json(), {"status": "ready"})
        lookup = self.coffer.client(self.coffer.create_key("lookup"))
        self.addCleanup(lookup.close)
        self.assertEqual(lookup("GET", "/ready").json(), {"status": "ready"})
        shown = [{"name": "east", "status": "ok"}, {"name": "west", "status": "unreachable"}, {"name": "north", "status": "refused"}]
        self.assertEqual(self.ask("GET", "/ready").json(), {"status": "ready", "agent_servers": shown})
        self.servers["east"].answer = lambda request: Said(200, 0, delay=10)
        self.assertEqual(self.ask("GET", "/ready").json()["agent_servers"][0], {"name": "east", "status": "silent"})
        self.servers["east"].answer = lambda request: Said(200, 0)
        doctor = self.coffer.command("doctor", "--dir", self.coffer.folder, "--json", check=False)
        found = [finding for finding in json.loads(doctor.stdout)["findings"] if finding["code"] == "agent-server"]
        self.assertEqual([finding["kind"] for finding in found], ["ok", "wrong", "wrong"])
        for name, finding in zip(NAMES, found):
            self.assertIn(name + " at ", finding["text"])

    def test_names_that_are_none(self):
        for line in ("a=http://h, a=http://i", "A=http://h", "a=b", "http://h, http://i", "a=http://h, http://i", "=http://h"):
            pathlib.Path(self.coffer.folder, "coffer.conf").write_text("agent-server = %s\n" % line)
            checked = self.coffer.command("config", "check", "--dir", self.coffer.folder, check=False)
            self.assertNotEqual(checked.returncode, 0, line)
            self.assertIn("must be http://HOST:PORT without a path", checked.stderr + checked.stdout)


if __name__ == "__main__":
    unittest.main()
