"""Clients that seal where the values are used: what one of them writes, every other opens; and each judges envelopes as strictly."""

import base64
import json
import re
import unittest

from clients_harness import CHROMIUM, NODE, Browser, CommandLine, Node, Python, text
from coffer_harness import RECORDINGS
from coffer_sealing import CofferAgent, CofferError, seal, unseal
from scoped_harness import ScopedTestCase

VECTORS = RECORDINGS.parents[1] / "Vectors" / "envelope" / "envelope_v1.json"
VALUES = {
    "text": b"sk-test-value",
    "empty": b"",
    "unicode": "üñï-😀\n".encode(),
    "lines": b"one\r\ntwo\n\ttab\n",
    "bytes": bytes(range(256)),
    "long": b"0123456789abcdef" * 4096,
}


# Where a key would travel in the clear.
OPEN_WIRES = ["http://secrets.example.org", "http://127.0.0.1.example.org", "http://localhost@example.org", "ftp://localhost"]


class ClientsTestCase(ScopedTestCase):
    # Without limits on rates: many calls at once are the point here.
    options = ("--insecure-open",)

    def setUp(self):
        super().setUp()
        self.url = "http://127.0.0.1:%d" % self.coffer.port
        self.made = self.agent("builder")
        self.scope = ("agent", self.made.id)

    def place(self, secret):
        return (*self.scope, secret)


class CrossTests(ClientsTestCase):
    def clients(self):
        found = {"command line": CommandLine(self.url, self.made.key), "python": Python(self.url, self.made.key)}
        if NODE:
            found["node"] = Node(self.url, self.made.key)
        if CHROMIUM:
            found["browser"] = Browser(self.coffer.socket_path, self.made.key)
            self.addCleanup(found["browser"].close)
        return found

    def test_every_client_opens_what_another_sealed(self):
        clients = self.clients()
        for writer, client in clients.items():
            place = self.place(writer.replace(" ", "-"))
            self.made.call("PUT", self.made.path(place[2]), {})
            client.write_all(place, VALUES)
            for reader, other in clients.items():
                with self.subTest(writer=writer, reader=reader):
                    self.assertEqual(other.read_all(place, list(VALUES)), VALUES)

    @unittest.skipUnless(CHROMIUM, "Chromium is not installed: the client module ran in Node only")
    def test_browser_takes_the_module_from_the_server(self):
        """The page's policy allows scripts of its own origin alone; the module is nginx's."""
        browser = self.clients()["browser"]
        who = browser.perform([["whoami"], ["scopes"], ["get", *self.place("missing")]])
        self.assertEqual(who[0]["agentId"], self.made.id)
        self.assertIn({"agent", "org"}, [{row["scope"] for row in who[1]}])
        self.assertEqual((who[2]["code"], who[2]["status"]), ("secret_not_found", 404))


@unittest.skipUnless(NODE, "Node is not installed: the client module was not tested")
class ModuleTests(ClientsTestCase):
    """nginx/web/sealing.js in Node."""

    def setUp(self):
        super().setUp()
        self.node = Node(self.url, self.made.key)

    def test_calls(self):
        place = self.place("acme-api")
        results = self.node.perform([
            ["whoami"], ["create", *place, {"category": "api_key", "tags": ["prod"]}], ["create", *place],
            ["setPlain", *place, "base_url", "https://api.example"], ["write", *place, "token", text(b"one")],
            ["read", *place, "base_url"], ["read", *place, "token"], ["list", *self.scope], ["get", *place], ["resolve", "acme-api"],
            ["remove", *place], ["get", *place],
        ])  # fmt: skip
        who, made, again, plain, written, url, token, listed, whole, resolved, removed, gone = results
        self.assertEqual(who["agentId"], self.made.id)
        self.assertTrue(made["created"] and plain["changed"] and written)
        self.assertEqual((again["code"], again["status"]), ("precondition_failed", 412))
        self.assertEqual([base64.b64decode(value) for value in (url, token)], [b"https://api.example", b"one"])
        self.assertEqual([(row["secretId"], row["category"], row["tags"]) for row in listed], [("acme-api", "api_key", ["prod"])])
        self.assertEqual(set(whole["envelopes"]), {"token"})
        self.assertEqual(resolved["resolvedFrom"]["scope"], "agent")
        self.assertTrue(removed["deleted"])
        self.assertEqual((gone["code"], gone["status"]), ("secret_not_found", 404))

    def test_keys_are_wiped(self):
        key = bytes(range(32))
        minted, sealed, wrong = self.node.perform([
            ["mint", *self.place("any"), "field"], ["seal", text(key), "value"], ["open", {"version": 1}, text(key)]])  # fmt: skip
        self.assertEqual((minted["count"], minted["wiped"], sealed["wiped"], wrong["wiped"]), (32, True, True, True))
        self.assertEqual(unseal({**sealed["envelope"]}, bytearray(key)), b"value")

    def test_vectors(self):
        """Tests/Vectors/envelope: what must open, what must not, and what is no envelope."""
        opens, refuses = vector_cases()
        results = self.node.perform([["open", envelope, key] for envelope, key, _ in [*opens, *refuses]])
        for (_, _, name), result in zip([*opens, *refuses], results):
            with self.subTest(name):
                self.assertTrue(result["wiped"])
        self.assertEqual([base64.b64decode(result["value"]).decode() for result in results[: len(opens)]], [name for *_, name in opens])
        self.assertEqual({result.get("code") for result in results[len(opens) :]}, {"envelope_not_opened"})

    def test_key_does_not_travel_in_the_clear(self):
        for url in OPEN_WIRES:
            with self.assertRaisesRegex(AssertionError, "http:// is for this machine only"):
                Node(url, self.made.key).perform([["whoami"]])

    def test_names_never_become_another_path(self):
        results = self.node.perform([["get", *self.scope, ".."], ["get", *self.scope, ""], ["get", *self.scope, "a/b"]])
        self.assertEqual([result["code"] for result in results], ["invalid_path", "invalid_path", "invalid_path"])


class PythonTests(ClientsTestCase):
    """conf/clients/coffer_sealing.py."""

    def setUp(self):
        super().setUp()
        self.client = CofferAgent(self.url, self.made.key)

    def refused(self, code, call, *arguments):
        with self.assertRaises(CofferError) as raised:
            call(*arguments)
        self.assertEqual(raised.exception.code, code)

    def test_calls(self):
        place = self.place("acme-api")
        self.assertEqual(self.client.whoami()["agentId"], self.made.id)
        self.assertIn("agent", [row["scope"] for row in self.client.scopes()])
        self.assertTrue(self.client.create(*place, category="api_key")["created"])
        self.refused("precondition_failed", self.client.create, *place)
        self.client.set_plain(*place, "base_url", "https://api.example")
        self.client.set_sealed(*place, "token", "one")
        self.assertEqual(self.client.value(*place, "base_url"), b"https://api.example")
        self.assertEqual(self.client.value(*place, "token"), b"one")
        self.assertEqual([row["secretId"] for row in self.client.list(*self.scope)], ["acme-api"])
        whole = self.client.resolve("acme-api")
        self.assertEqual(self.client.open_sealed(*place, "token", whole["envelopes"]["token"]), b"one")
        self.client.remove(*place)
        self.refused("secret_not_found", self.client.get, *place)

    def test_data_key_serves_one_field_once(self):
        place = self.place("acme-api")
        self.client.create(*place)
        key, wrapped = self.client.mint(*place, "token")
        envelope = {"sensitivity": "encrypted", "envelope": seal(key, "one", wrapped)}
        self.assertEqual(key, bytearray(32))
        self.made.call("PUT", self.made.path("acme-api/fields/other"), envelope, 400, "invalid_data_key")
        self.made.call("PUT", self.made.path("acme-api/fields/token"), envelope)
        envelope["envelope"] = seal(bytearray(32), "two", wrapped)
        self.made.call("PUT", self.made.path("acme-api/fields/token"), envelope, 409, "data_key_reused")

    def test_places_that_look_alike(self):
        """Tests/Vectors/envelope: a data key of one place of a pair does not store at the other, nor the other way round."""
        with open(VECTORS.with_name("aad_pairs.json"), encoding="utf-8") as file:
            pairs = [(pair["a"], pair["b"]) for pair in json.load(file)["pairs"]]
        tried = 0
        for pair in pairs:
            if len({place[0] for place in pair} | {place[1] for place in pair} | {"agent"}) != 2 or not all(map(is_place, pair)):
                continue  # other scopes than this agent's own, and names that no route takes
            for here, there in (pair, pair[::-1]):
                with self.subTest(here=here, there=there):
                    key, wrapped = self.client.mint(*self.scope, *here[2:])
                    for place in (here, there):
                        self.made.ask("PUT", self.made.path(place[2]), {})
                    body = {"sensitivity": "encrypted", "envelope": seal(key, "one", wrapped)}
                    self.made.call("PUT", self.made.path("%s/fields/%s" % tuple(there[2:])), body, 400, "invalid_data_key")
                    self.made.call("PUT", self.made.path("%s/fields/%s" % tuple(here[2:])), body)
                    tried += 1
        self.assertGreater(tried, 3)

    def test_wrong_key_and_wrong_server(self):
        self.refused("unauthenticated", CofferAgent(self.url, self.made.key[:-1] + ("y" if self.made.key[-1] == "x" else "x")).whoami)
        self.refused("unreachable", CofferAgent("http://127.0.0.1:1", self.made.key).whoami)
        for url in OPEN_WIRES:
            self.refused("invalid_url", CofferAgent, url, self.made.key)

    def test_vectors(self):
        opens, refuses = vector_cases()
        for envelope, key, value in opens:
            self.assertEqual(unseal(envelope, bytearray(base64.b64decode(key))).decode(), value)
        for envelope, key, name in refuses:
            with self.subTest(name):
                used = bytearray(base64.b64decode(key))
                self.refused("envelope_not_opened", unseal, envelope, used)
                self.assertEqual(used, bytearray(32))


def is_place(place):
    """The specification's rules of names (section 4.2)."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", place[2]) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", place[3]))


def vector_cases():
    """(envelope, key, value) of what opens and (envelope, key, name) of what must not."""
    with open(VECTORS, encoding="utf-8") as file:
        vectors = json.load(file)
    opens = [(case["envelope"], case["plaintextKey"], case["value"]) for case in vectors["seal_open"]]
    refuses = [(case["envelope"], case["plaintextKey"], case["name"]) for case in vectors["must_not_open"]]
    good = vectors["seal_open"][0]
    for case in vectors["malformed_on_store"]:
        envelope = case["envelope"]
        # The wrapped key is the server's to judge: a client hands it on as it is.
        other = {name: value for name, value in envelope.items() if name != "dataKeyCiphertext"} if isinstance(envelope, dict) else None
        same = {name: value for name, value in good["envelope"].items() if name != "dataKeyCiphertext"}
        if case["expect"] == "reject" and (other != same or "dataKeyCiphertext" not in envelope):
            refuses.append((envelope, good["plaintextKey"], case["name"]))
    return opens, refuses


if __name__ == "__main__":
    unittest.main()
