"""The scoped dialect as its specification has it, written from that page alone: shapes, codes, order of checks."""

import base64
import concurrent.futures
import json
import re
import time
import unittest
import uuid

from coffer_harness import Coffer
from nginx_harness import ROOT
from test_headers import raw
from contract_harness import Agent, Operator, World, b64, seal

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
CANARY = "canary-7f3a9c51d2"


class ScopedTestCase(unittest.TestCase):
    options = ("--insecure-open",)

    @classmethod
    def setUpClass(cls):
        cls.coffer = Coffer(options=cls.options)
        cls.addClassCleanup(cls.coffer.destroy)
        cls.coffer.init()
        cls.coffer.up()
        cls.operator = Operator(cls.coffer)
        cls.addClassCleanup(cls.operator.close)

    def world(self, **settings):
        world = World(self.coffer, self.operator, **settings)
        self.addCleanup(world.close)
        return world

    def refused(self, answer, status, code):
        """The error shape of section 1.3; the body."""
        self.assertEqual((answer.status, answer.json().get("code")), (status, code), answer.body[:300])
        body = answer.json()
        self.assertTrue({"message", "code", "status", "requestId", "timestamp"} <= set(body), body)
        self.assertEqual(body["status"], status)
        self.assertRegex(body["timestamp"], TIME)
        self.plain_headers(answer)
        self.assertNotIn(CANARY.encode(), answer.body)
        return body

    def plain_headers(self, answer):
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertTrue(answer.header("X-Request-Id"))
        self.assertIsNone(answer.header("Set-Cookie"))

    def stored(self, answer):
        self.assertEqual(answer.status, 200, answer.body[:300])
        return answer.json()["data"]


class WalkThroughTests(ScopedTestCase):
    def test_the_documented_walk(self):
        world = self.world()
        agent = world.agent("build-bot")
        me = agent.data("GET", "/agent/identity/whoami")
        self.assertEqual((me["agentId"], me["tenantId"], me["name"]), (agent.id, world.id, "build-bot"))
        self.assertTrue(me["keyId"].startswith("key_"))
        self.assertIn("secrets:decrypt", me["capabilities"])
        scopes = agent.data("GET", "/agent/secrets/scopes")
        self.assertEqual([(row["scope"], row["scopeId"]) for row in scopes], [("org", world.id), ("agent", agent.id)])
        self.assertEqual([(row["role"], row["via"]) for row in scopes], [("reader", "default"), ("manager", "self")])

        answer = agent("PUT", agent.own + "/acme-api", {
            "secretName": "Acme API", "category": "api_key", "tags": ["prod"],
            "fields": [{"key": "base_url", "sensitivity": "plaintext", "value": "https://api.acme.example"}]})  # fmt: skip
        made = self.stored(answer)
        self.assertEqual((made["secretId"], made["created"], made["changed"], made["revision"]), ("acme-api", True, True, 1))
        self.assertNotIn("value", made["aggregate"]["fields"][0])
        self.assertRegex(answer.header("ETag"), r'^"s1-[0-9a-f]{8}"$')

        minted = agent.mint(agent.own, "acme-api", "token")
        self.assertEqual(len(base64.b64decode(minted["plaintextKey"], validate=True)), 32)
        self.assertEqual(len(minted["dataKeyCiphertext"]), 148)
        self.assertEqual((minted["algorithm"], minted["singleUse"]), ("AES-256-GCM", True))
        self.assertRegex(minted["dataKeyId"], r"^[0-9a-f]{32}$")
        self.assertRegex(minted["keyId"], r"^kek_")
        self.assertRegex(minted["expiresAt"], TIME)
        envelope = seal(b"sk-value", minted)
        answer = agent("PUT", agent.own + "/acme-api/fields/token", {"sensitivity": "encrypted", "envelope": envelope})
        self.assertEqual(
            {name: self.stored(answer)[name] for name in ("secretId", "fieldKey", "key", "sensitivity", "fieldVersion", "revision", "changed")},
            {"secretId": "acme-api", "fieldKey": "token", "key": "token", "sensitivity": "encrypted", "fieldVersion": 1, "revision": 2,
             "changed": True})  # fmt: skip
        self.assertRegex(answer.header("ETag"), r'^"f1-[0-9a-f]{8}"$')

        read = agent.data("GET", agent.own + "/acme-api")
        fields = {field["key"]: field for field in read["aggregate"]["fields"]}
        self.assertEqual(list(fields), ["base_url", "token"])
        self.assertEqual(fields["base_url"]["value"], "https://api.acme.example")
        self.assertNotIn("value", fields["token"])
        self.assertEqual(read["envelopes"], {"token": envelope})
        field = agent.data("GET", agent.own + "/acme-api/fields/token")
        self.assertEqual((field["envelope"], field["sensitivity"], field["fieldVersion"]), (envelope, "encrypted", 1))
        self.assertEqual(agent.open(agent.own, "acme-api", "token"), b"sk-value")

        history = agent.data("GET", agent.own + "/acme-api/history")
        actions = [entry["action"] for entry in history]
        for action in ("secret.created", "field.set", "data_key.generated", "data_key.decrypted", "secret.read"):
            self.assertIn(action, actions)
        newest = history[0]
        self.assertTrue(newest["id"].startswith("aud_"))
        self.assertEqual(newest["actor"]["type"], "agent")
        self.assertEqual(newest["actor"]["id"], agent.id)
        self.assertGreater(history[0]["seq"], history[1]["seq"])

        changed = agent.data("PATCH", agent.own + "/acme-api", {"secretName": "Acme", "tags": ["a", "b", "a"]})
        self.assertEqual((changed["revision"], changed["changed"]), (3, True))
        self.assertEqual((changed["aggregate"]["secretName"], changed["aggregate"]["tags"]), ("Acme", ["a", "b"]))
        gone = agent.data("DELETE", agent.own + "/acme-api/fields/base_url")
        self.assertEqual((gone["removed"], gone["alreadyRemoved"], gone["revision"]), (True, False, 4))
        self.assertTrue(agent.data("DELETE", agent.own + "/acme-api/fields/base_url")["alreadyRemoved"])
        deleted = agent.data("DELETE", agent.own + "/acme-api")
        self.assertEqual((deleted["deleted"], deleted["alreadyDeleted"]), (True, False))
        self.assertRegex(deleted["purgeAfter"], TIME)
        self.assertTrue(agent.data("DELETE", agent.own + "/acme-api")["alreadyDeleted"])
        self.refused(agent("GET", agent.own + "/acme-api"), 404, "secret_not_found")
        self.assertEqual(agent.data("GET", agent.own), [])

    def test_success_answers_have_their_shape(self):
        agent = self.world().agent()
        for method, path, body in (
            ("GET", "/agent/identity/whoami", None), ("GET", "/agent/secrets/scopes", None), ("PUT", agent.own + "/s", {}),
            ("GET", agent.own, None), ("GET", agent.own + "/s", None), ("GET", agent.own + "/s/history", None),
            ("DELETE", agent.own + "/s", None),
        ):  # fmt: skip
            answer = agent(method, path, body, {"X-Request-Id": "walk.through-1"})
            with self.subTest(path=path):
                self.assertEqual(answer.status, 200)
                self.assertEqual((answer.json()["requestId"], answer.header("X-Request-Id")), ("walk.through-1", "walk.through-1"))
                self.assertRegex(answer.json()["timestamp"], TIME)
                self.plain_headers(answer)
                if isinstance(answer.json()["data"], list):
                    self.assertEqual((answer.json()["cursor"], answer.json()["hasMore"]), (None, False))
        self.assertNotEqual(agent("GET", agent.own, headers={"X-Request-Id": "sh"}).header("X-Request-Id"), "sh")


class TransportTests(ScopedTestCase):
    def setUp(self):
        self.agent = self.world().agent()

    def test_routes_and_methods(self):
        agent = self.agent
        for path in ("/agent/nothing", "/agent/secrets/galaxy/x", agent.own + "/", agent.own + "/s/", "/agent/identity/whoami/"):
            with self.subTest(path=path):
                self.refused(agent("GET", path), 404, "not_found")
        for method in ("PUT", "POST", "OPTIONS"):
            self.refused(agent(method, "/agent/secrets/galaxy/x"), 404, "not_found")
        answer = agent("POST", agent.own)
        self.refused(answer, 405, "method_not_allowed")
        self.assertEqual(set(answer.header("Allow").split(", ")), {"GET", "HEAD", "OPTIONS"})
        answer = agent("OPTIONS", agent.own, key=None)
        self.assertEqual(answer.status, 204)
        self.assertIn("GET", answer.header("Allow"))
        self.assertIsNone(answer.header("Access-Control-Allow-Origin"))
        answer = agent("HEAD", agent.own)
        self.assertEqual((answer.status, answer.body), (200, b""))
        for path in ("/agent/secrets/agent/a%2Fb", "/agent/secrets/agent/a%5Cb", "/agent/secrets/agent/a%0Ab"):
            with self.subTest(path=path):
                self.refused(agent("GET", path), 400, "invalid_path")

    def test_bodies(self):
        agent = self.agent
        path = agent.own + "/s"
        for body, code in (
            (b'{"tags":[],"tags":[]}', "invalid_json"), (b"\xef\xbb\xbf{}", "invalid_json"), (b"{", "invalid_json"), (b"{,}", "invalid_json"),
            (b'{"a":' * 17 + b"1" + b"}" * 17, "invalid_json"), (b'{"secretName":"\\ud800"}', "invalid_json"),
            (b"[]", "validation_failed"), (b'{"secretName":1}', "validation_failed"), (b'{"fields":{}}', "validation_failed"),
            (b'{"fields":[{"key":"a","sensitivity":"secret","value":"x"}]}', "validation_failed"),
            (b'{"scope":"team"}', "path_body_mismatch"), (b'{"secretId":"other"}', "path_body_mismatch"),
        ):  # fmt: skip
            with self.subTest(body=body[:40]):
                self.refused(agent("PUT", path, body), 400, code)
        self.refused(agent("PUT", path, b"{}", {"Content-Type": "text/plain"}), 415, "unsupported_media_type")
        self.assertEqual(agent("PUT", path, {"unknown": 1, "scope": "agent", "scopeId": agent.id, "secretId": "s"}).status, 200)
        self.refused(agent("PUT", path, b" " * ((1 << 20) + 1)), 413, "body_too_large")

    def test_no_value_is_echoed(self):
        agent = self.agent
        path = agent.own + "/echo"
        agent.create(agent.own, "echo")
        field = path + "/fields/f"
        minted = agent.mint(agent.own, "echo", "f")
        good = seal(b"x", minted)
        bodies = [
            {"sensitivity": "encrypted", "value": CANARY}, {"sensitivity": "plaintext", "envelope": {**good, "value": CANARY}},
            {"sensitivity": CANARY, "value": CANARY}, {"sensitivity": "encrypted", "envelope": CANARY},
            {"sensitivity": "encrypted", "envelope": {**good, CANARY: 1}}, {"sensitivity": "encrypted", "envelope": {**good, "iv": CANARY}},
            {"sensitivity": "encrypted", "envelope": {**good, "ciphertext": [CANARY]}}, {"sensitivity": "plaintext", "value": {CANARY: CANARY}},
            [CANARY], CANARY, {"sensitivity": "plaintext", "value": CANARY + "x" * 65536},
        ]  # fmt: skip
        for body in bodies:
            with self.subTest(body=str(body)[:60]):
                answer = agent("PUT", field, body)
                self.assertEqual(answer.status, 400, answer.body[:200])
                self.assertNotIn(CANARY.encode(), answer.body)
        for raw in (b'{"sensitivity":"plaintext","value":"%s' % CANARY.encode(), b'{"a":"%s","a":1}' % CANARY.encode()):
            self.refused(agent("PUT", field, raw), 400, "invalid_json")
        self.refused(agent("PUT", path, {"tags": [CANARY + "\x07"]}), 400, "validation_failed")
        self.refused(agent("PUT", path, {"category": CANARY.upper()}), 400, "validation_failed")


class PathTests(ScopedTestCase):
    """The request targets of the vectors that are this dialect's, through nginx."""

    def setUp(self):
        self.agent = self.world().agent()
        for secret, field in (("s1", "f1"), ("fields", "fields"), ("history", "f"), ("scopes", "f")):
            self.agent.create(self.agent.own, secret, fields=[{"key": field, "sensitivity": "plaintext", "value": CANARY}])

    def test_targets(self):
        vectors = json.loads((ROOT / "Tests" / "Vectors" / "paths" / "request_targets.json").read_text(encoding="utf-8"))["cases"]
        cases = [case for case in vectors if case["target"].startswith("/agent/")]
        self.assertEqual(len(cases), 26)
        names = {"a1": self.agent.id, "o1": self.agent.tenant}
        for case in cases:
            target = re.sub(r"(?<=/)(a1|o1)(?=/)", lambda match: names[match.group(1)], case["target"])
            with self.subTest(target=case["target"][:70]):
                data = "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n" % (target, self.agent.key)
                status, _, body = raw(self.coffer.port, data.encode("latin-1"))
                if case["expect"] != "route":
                    # 400 is this dialect's 422.
                    self.assertIn(status, {400 if wanted == 422 else wanted for wanted in case["status_any_of"]} | {400})
                    self.assertNotIn(CANARY.encode(), body)
                    continue
                self.assertEqual(status, 200, body[:200])
                found, params = json.loads(body)["data"], case["params"]
                if case["endpoint"] == "scoped.secret":
                    self.assertEqual(found["aggregate"]["secretId"], params["secretId"])
                elif case["endpoint"] == "scoped.field":
                    self.assertEqual((found["fieldKey"], found["value"]), (params["fieldKey"], CANARY))
                else:
                    self.assertTrue(isinstance(found, list) and found)


class CredentialTests(ScopedTestCase):
    def test_keys(self):
        world = self.world()
        agent = world.agent()
        path = "/agent/identity/whoami"
        self.assertRegex(agent.key, r"^agk_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$")
        altered = agent.key[:-1] + ("0" if agent.key[-1] != "0" else "1")
        unknown = "agk_0000000000000001_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA1Zm6KJ"
        for key in (None, "", "x", altered, unknown):
            answer = agent("GET", path, key=key)
            with self.subTest(key=key):
                self.refused(answer, 401, "unauthenticated")
                self.assertEqual(answer.header("WWW-Authenticate"), "Bearer")
        self.refused(agent("GET", path, key=self.coffer.keys["adminKey"]), 403, "wrong_key_kind")
        answer = self.operator.raw("GET", "/tenants", headers={"Authorization": "Bearer " + agent.key})
        self.refused(answer, 403, "wrong_key_kind")

    def test_revoked_and_expired(self):
        world = self.world()
        agent = world.agent()
        other = world.with_key(agent.id, expiresIn=1)
        keys = "%s/agents/%s/keys" % (world.path, agent.id)
        self.operator("POST", "%s/%s/revoke" % (keys, agent.key_id), status=200)
        self.refused(agent("GET", "/agent/identity/whoami"), 401, "key_revoked")
        time.sleep(1.2)
        self.refused(other("GET", "/agent/identity/whoami"), 401, "key_expired")

    def test_rotation_with_grace(self):
        world = self.world()
        agent = world.agent()
        keys = "%s/agents/%s/keys" % (world.path, agent.id)
        made = self.operator("POST", "%s/%s/rotate" % (keys, agent.key_id), {"graceSeconds": 600})
        answer = agent("GET", "/agent/identity/whoami")
        self.assertEqual((answer.status, answer.header("X-Key-Deprecated")), (200, "true"))
        self.assertTrue(answer.header("X-Key-Expires-At"))
        self.assertEqual(agent("GET", "/agent/identity/whoami", key=made["key"]).status, 200)
        self.assertIn("rotating", [row["status"] for row in self.operator("GET", keys)])
        self.operator("POST", "%s/%s/rotate" % (keys, made["id"]), {"graceSeconds": 0})
        self.assertEqual(agent("GET", "/agent/identity/whoami", key=made["key"]).status, 401)

    def test_a_disabled_agent(self):
        world = self.world()
        agent = world.agent()
        self.operator("POST", "%s/agents/%s/disable" % (world.path, agent.id), status=200)
        self.refused(agent("GET", "/agent/identity/whoami"), 401, "unauthenticated")
        self.operator("POST", "%s/agents/%s/enable" % (world.path, agent.id), status=200)
        self.assertEqual(agent("GET", "/agent/identity/whoami").status, 200)

    def test_child_tokens(self):
        world = self.world()
        agent = world.agent()
        agent.create(agent.own, "acme-api", fields=[{"key": "k", "sensitivity": "plaintext", "value": "v"}])
        agent.create(agent.own, "hidden")
        made = agent.data("POST", "/agent/identity/tokens", {
            "name": "conv-123", "ttlSeconds": 900, "capabilities": ["secrets:read", "secrets:list"], "secretIds": ["acme-api"], "maxUses": 4})  # fmt: skip
        self.assertTrue(made["token"].startswith("agc_"))
        self.assertRegex(made["expiresAt"], TIME)
        child = made["token"]
        self.assertEqual(agent("GET", agent.own + "/acme-api", key=child).status, 200)
        self.refused(agent("GET", agent.own + "/hidden", key=child), 404, "secret_not_found")
        self.refused(agent("PUT", agent.own + "/acme-api/fields/k", {"sensitivity": "plaintext", "value": "w"}, key=child), 403,
                     "capability_missing")  # fmt: skip
        self.assertEqual([row["secretId"] for row in agent("GET", agent.own, key=child).json()["data"]], ["acme-api"])
        self.assertEqual(agent("GET", agent.own, key=child).status, 401, "maxUses was 4")
        second = agent.data("POST", "/agent/identity/tokens", {"name": "two", "ttlSeconds": 900})
        self.assertEqual(agent("POST", "/agent/identity/tokens", {"name": "x", "ttlSeconds": 900}, key=second["token"]).status, 403)
        agent.data("DELETE", "/agent/identity/tokens/" + second["tokenId"])
        self.assertEqual(agent("GET", agent.own, key=second["token"]).status, 401)
        for ttl in (59, 86401, "900", True):
            self.refused(agent("POST", "/agent/identity/tokens", {"name": "x", "ttlSeconds": ttl}), 400, "validation_failed")
        third = agent.data("POST", "/agent/identity/tokens", {"name": "three", "ttlSeconds": 900})
        self.operator("POST", "%s/agents/%s/keys/%s/revoke" % (world.path, agent.id, agent.key_id), status=200)
        self.assertEqual(agent("GET", agent.own, key=third["token"]).status, 401, "its parent is revoked")

    def test_enrolment(self):
        world = self.world()
        team = world.team("platform")
        invite = self.operator("POST", world.path + "/invites", {
            "label": "ci", "memberships": [{"scope": "team", "scopeId": team, "role": "reader"}], "maxUses": 1,
            "expiresAt": "2099-01-01T00:00:00.000Z"})  # fmt: skip
        agent = world.agent()
        made = agent.data("POST", "/agent/enroll", {"inviteToken": invite["inviteToken"], "agentName": "fresh"})
        self.assertEqual(made["tenantId"], world.id)
        scopes = agent("GET", "/agent/secrets/scopes", key=made["apiKey"]).json()["data"]
        self.assertIn(("team", team), [(row["scope"], row["scopeId"]) for row in scopes])
        for token in (invite["inviteToken"], "nonsense", ""):
            self.refused(agent("POST", "/agent/enroll", {"inviteToken": token, "agentName": "again"}), 403, "invite_invalid")


class AccessTests(ScopedTestCase):
    def test_one_answer_for_missing_foreign_and_unjoined(self):
        world, other = self.world(), self.world()
        agent, stranger = world.agent(), other.agent()
        unjoined = world.team("unjoined")
        bodies = []
        for scope, scope_id in (
            ("team", unjoined), ("team", other.team("foreign")), ("team", "team_nothing"), ("project", "proj_x"), ("org", other.id),
            ("agent", stranger.id), ("agent", "agt_nothing"), ("project", world.project("p")),
        ):  # fmt: skip
            for path in ("", "/s", "/s/fields/f", "/s/history"):
                answer = agent("GET", "/agent/secrets/%s/%s%s" % (scope, scope_id, path))
                body = self.refused(answer, 403, "scope_forbidden")
                bodies.append(json.dumps({k: v for k, v in body.items() if k not in ("requestId", "timestamp")}, sort_keys=True))
        self.assertEqual(len(set(bodies)), 1, set(bodies))

    def test_roles(self):
        world = self.world(orgDefaultRole="none")
        team = world.team("t")
        path = "/agent/secrets/team/" + team
        manager = world.agent("manager")
        world.join(manager, "team", team, "manager")
        manager.create(path, "s", fields=[{"key": "p", "sensitivity": "plaintext", "value": "v"}])
        manager.set_sealed(path, "s", "e", b"value")
        envelope = manager.data("GET", path + "/s/fields/e")["envelope"]
        allowed = {
            "observer": {"list", "history"}, "reader": {"list", "read", "decrypt", "history"}, "depositor": {"list", "write"},
            "writer": {"list", "read", "decrypt", "history", "write"}, "manager": {"list", "read", "decrypt", "history", "write", "delete"},
        }  # fmt: skip
        for role, rights in allowed.items():
            agent = world.agent(role)
            world.join(agent, "team", team, role)
            binding = agent.binding(path, "s", "e")
            calls = [
                ("list", "GET", path, None), ("read", "GET", path + "/s", None), ("read", "GET", path + "/s/fields/p", None),
                ("read", "GET", path + "/s/fields/e", None), ("history", "GET", path + "/s/history", None),
                ("decrypt", "POST", "/agent/secrets/decrypt-data-key", {**binding, "dataKeyCiphertext": envelope["dataKeyCiphertext"]}),
                ("write", "POST", "/agent/secrets/generate-data-key", binding),
                ("write", "PUT", path + "/s/fields/p", {"sensitivity": "plaintext", "value": role}),
                ("write", "PATCH", path + "/s", {"tags": [role]}), ("write", "PUT", path + "/new-" + role, {}),
                ("read", "GET", path + "/s/fields/p/versions", None),
                ("delete", "DELETE", path + "/new-" + role, None), ("delete", "DELETE", path + "/s/fields/none", None),
            ]  # fmt: skip
            for right, method, target, body in calls:
                answer = agent(method, target, body)
                with self.subTest(role=role, call=(method, target)):
                    if right in rights:
                        self.assertIn(answer.status, (200, 404), answer.body[:200])
                    else:
                        body = self.refused(answer, 403, "capability_missing")
                        self.assertEqual(body["details"]["capability"], "secrets:" + right)

    def test_capabilities_and_scopes_of_a_key_narrow_it(self):
        world = self.world()
        agent = world.agent()
        agent.create(agent.own, "s")
        narrow = world.with_key(agent.id, capabilities=["secrets:list"])
        self.assertEqual(narrow("GET", agent.own).status, 200)
        self.refused(narrow("GET", agent.own + "/s"), 403, "capability_missing")
        only_org = world.with_key(agent.id, scopes=[{"scope": "org", "scopeId": world.id}])
        self.refused(only_org("GET", agent.own), 403, "scope_forbidden")
        self.assertEqual(only_org("GET", agent.org).status, 200)
        self.assertEqual([row["scope"] for row in only_org("GET", "/agent/secrets/scopes").json()["data"]], ["org"])

    def test_a_project_reaches_into_its_team_for_reading(self):
        world = self.world()
        team = world.team("platform")
        project = world.project("checkout", team)
        lead, agent = world.agent("lead"), world.agent("worker")
        world.join(lead, "team", team, "manager")
        world.join(agent, "project", project, "manager")
        path = "/agent/secrets/team/" + team
        lead.create(path, "shared", fields=[{"key": "k", "sensitivity": "plaintext", "value": "v"}])
        self.assertEqual(agent.data("GET", path + "/shared/fields/k")["value"], "v")
        self.refused(agent("PUT", path + "/mine", {}), 403, "capability_missing")
        self.refused(lead("GET", "/agent/secrets/project/" + project), 403, "scope_forbidden")
        row = next(row for row in agent.data("GET", "/agent/secrets/scopes") if row["scope"] == "team")
        self.assertEqual((row["role"], row["via"]), ("reader", "project:" + project))

    def test_data_key_routes_name_their_scope_in_the_body(self):
        agent = self.world().agent()
        for route in ("generate-data-key", "decrypt-data-key"):
            body = {"scope": "galaxy", "scopeId": agent.id, "secretId": "s", "fieldKey": "f", "dataKeyCiphertext": "QQ=="}
            self.refused(agent("POST", "/agent/secrets/" + route, body), 400, "validation_failed")
            body.update(scope="team", scopeId="team_none")
            self.refused(agent("POST", "/agent/secrets/" + route, body), 403, "scope_forbidden")
            # Who may not reach a scope learns nothing of names.
            self.refused(agent("POST", "/agent/secrets/" + route, {**body, "secretId": "-", "fieldKey": 1}), 403, "scope_forbidden")
            for member in ("secretId", "fieldKey"):
                body.update({"scope": "agent", "scopeId": agent.id, "secretId": "s", "fieldKey": "f", member: "-"})
                self.refused(agent("POST", "/agent/secrets/" + route, body), 400, "validation_failed")

    def test_scopes_have_pages(self):
        world = self.world()
        agent = world.agent()
        for name in ("a", "b", "c"):
            world.join(agent, "team", world.team(name), "reader")
        whole = [row["scopeId"] for row in agent.data("GET", "/agent/secrets/scopes")]
        self.assertEqual(len(whole), 5)
        seen, cursor = [], ""
        for _ in range(3):
            answer = agent("GET", "/agent/secrets/scopes?limit=2" + cursor).json()
            seen += [row["scopeId"] for row in answer["data"]]
            self.assertEqual(answer["hasMore"], answer["cursor"] is not None)
            cursor = "&cursor=%s" % answer["cursor"]
        self.assertEqual((seen, cursor), (whole, "&cursor=None"))
        for query in ("?limit=0", "?limit=201", "?cursor=nonsense"):
            self.refused(agent("GET", "/agent/secrets/scopes" + query), 400, "validation_failed")


class SecretTests(ScopedTestCase):
    def setUp(self):
        self.agent = self.world().agent()

    def test_create_and_replace(self):
        agent, path = self.agent, self.agent.own + "/s"
        first = {"fields": [{"key": "a", "sensitivity": "plaintext", "value": "1"}]}
        self.refused(agent("PUT", path, first, {"If-Match": '"s1-00000000"'}), 412, "precondition_failed")
        answer = agent("PUT", path, first, {"If-None-Match": "*"})
        self.assertTrue(self.stored(answer)["created"])
        tag = answer.header("ETag")
        again = self.stored(agent("PUT", path, first))
        self.assertEqual((again["created"], again["changed"], again["revision"]), (False, False, 1))
        self.refused(agent("PUT", path, first, {"If-None-Match": "*"}), 412, "precondition_failed")
        other = {"fields": [{"key": "b", "sensitivity": "plaintext", "value": "2"}]}
        body = self.refused(agent("PUT", path, other), 409, "secret_exists")
        self.assertEqual(body["details"]["currentETag"], tag)
        self.refused(agent("PUT", path, other, {"If-Match": '"s9-00000000"'}), 412, "precondition_failed")
        kept = {"fields": [{"key": "a", "keep": True}, {"key": "b", "sensitivity": "plaintext", "value": "2"}]}
        replaced = agent("PUT", path, kept, {"If-Match": "W/" + tag})
        self.assertEqual(self.stored(replaced)["revision"], 2)
        read = agent.data("GET", path)["aggregate"]
        self.assertEqual([(field["key"], field["value"], field["fieldVersion"]) for field in read["fields"]], [("a", "1", 1), ("b", "2", 1)])
        self.refused(agent("PUT", path, {"fields": [{"key": "z", "keep": True}]}, {"If-Match": "*"}), 404, "field_not_found")
        answer = agent("PUT", path, other, {"If-Match": "*"})
        self.assertEqual([field["key"] for field in self.stored(answer)["aggregate"]["fields"]], ["b"])
        duplicate = {"fields": [{"key": "a", "sensitivity": "plaintext", "value": "1"}] * 2}
        self.refused(agent("PUT", self.agent.own + "/t", duplicate), 400, "duplicate_field")

    def test_names(self):
        agent = self.agent
        for name in ("a", "A.b_c-d", "0", "x" * 128):
            self.assertEqual(agent("PUT", agent.own + "/" + name, {}).status, 200, name)
        for name in (".a", "-a", "_a", "x" * 129, "a%20b", "%C3%A9"):
            self.refused(agent("PUT", agent.own + "/" + name, {}), 400, "validation_failed")
        agent.create(agent.own, "names")
        for field in ("a", "_a", "A.b-c_1", "x" * 64):
            body = {"sensitivity": "plaintext", "value": ""}
            self.assertEqual(agent("PUT", "%s/names/fields/%s" % (agent.own, field), body).status, 200, field)
        for field in ("1a", "-a", ".a", "x" * 65, "a%20b"):
            self.refused(agent("PUT", "%s/names/fields/%s" % (agent.own, field), body), 400, "validation_failed")
        for body in (
            {"category": "API"}, {"category": "a" * 33}, {"category": "1a"}, {"tags": ["é" * 65]}, {"tags": ["a;b"]},
            {"tags": ["t%d" % n for n in range(33)]}, {"tags": "a"}, {"secretName": ""}, {"secretName": "x" * 201}, {"secretName": "a\nb"},
        ):  # fmt: skip
            with self.subTest(body=str(body)[:50]):
                self.refused(agent("PUT", agent.own + "/rules", body), 400, "validation_failed")
        made = agent.create(agent.own, "defaults")["aggregate"]
        self.assertEqual((made["secretName"], made["category"], made["tags"]), ("defaults", "other", []))
        made = agent.create(agent.own, "trimmed", secretName="  Cafe\u0301  ")["aggregate"]
        self.assertEqual(made["secretName"], "Caf\u00e9")

    def test_metadata(self):
        agent, path = self.agent, self.agent.own + "/s"
        agent.create(agent.own, "s", category="token", tags=["x"])
        self.refused(agent("PATCH", path, {}), 400, "empty_patch")
        self.refused(agent("PATCH", path, {"fields": []}), 400, "empty_patch")
        self.refused(agent("PATCH", path, {"secretName": None}), 400, "validation_failed")
        reset = agent.data("PATCH", path, {"category": None, "tags": None})
        self.assertEqual((reset["aggregate"]["category"], reset["aggregate"]["tags"], reset["revision"]), ("other", [], 2))
        self.assertNotIn("created", reset)
        same = agent.data("PATCH", path, {"category": "other"})
        self.assertEqual((same["changed"], same["revision"]), (False, 2))
        self.refused(agent("PATCH", self.agent.own + "/none", {"tags": []}), 404, "secret_not_found")

    def test_lists_filters_and_pages(self):
        agent = self.agent
        for name, category, tags in (("b", "token", ["x", "y"]), ("a", "password", ["x"]), ("C", "token", []), ("d", "token", ["y"])):
            agent.create(agent.own, name, category=category, tags=tags, fields=[
                {"key": "f" + name, "sensitivity": "plaintext", "value": CANARY}])  # fmt: skip
        def ids(query=""):
            return [row["secretId"] for row in agent.data("GET", agent.own + query)]
        self.assertEqual(ids(), ["C", "a", "b", "d"])
        self.assertEqual(ids("?category=token"), ["C", "b", "d"])
        self.assertEqual(ids("?tag=x&tag=y"), ["b"])
        self.assertEqual(ids("?q=c"), ["C"])
        self.assertEqual(ids("?fieldKey=fa"), ["a"])
        self.assertEqual(ids("?unknown=1"), ["C", "a", "b", "d"])
        self.assertNotIn(CANARY, json.dumps(agent.data("GET", agent.own)))
        seen, cursor = [], None
        for _ in range(5):
            answer = agent("GET", agent.own + "?limit=2" + ("&cursor=" + cursor if cursor else ""))
            seen += [row["secretId"] for row in answer.json()["data"]]
            cursor = answer.json()["cursor"]
            self.assertEqual(answer.json()["hasMore"], cursor is not None)
            if cursor is None:
                break
        self.assertEqual(seen, ["C", "a", "b", "d"])
        first = agent("GET", agent.own + "?limit=2").json()["cursor"]
        self.refused(agent("GET", agent.own + "?limit=2&category=token&cursor=" + first), 400, "validation_failed")
        for query in ("?limit=0", "?limit=201", "?limit=x", "?cursor=nonsense"):
            self.refused(agent("GET", agent.own + query), 400, "validation_failed")

    def test_conditional_reads_are_no_reads(self):
        agent, path = self.agent, self.agent.own + "/s"
        agent.create(agent.own, "s", fields=[{"key": "f", "sensitivity": "plaintext", "value": "v"}])
        for target in (path, path + "/fields/f"):
            tag = agent("GET", target).header("ETag")
            before = len(agent.data("GET", path + "/history"))
            for given in (tag, "W/" + tag, '"x", ' + tag, "*"):
                answer = agent("GET", target, headers={"If-None-Match": given})
                self.assertEqual((answer.status, answer.body), (304, b""), given)
                self.assertEqual(answer.header("ETag"), tag)
            self.assertEqual(len(agent.data("GET", path + "/history")), before)
            self.assertEqual(agent("GET", target, headers={"If-None-Match": '"other"'}).status, 200)

    def test_if_match_on_fields(self):
        agent, path = self.agent, self.agent.own + "/s/fields/f"
        agent.create(agent.own, "s", fields=[{"key": "f", "sensitivity": "plaintext", "value": "v"}])
        tag = agent("GET", path).header("ETag")
        body = {"sensitivity": "plaintext", "value": "w"}
        refused = self.refused(agent("PUT", path, body, {"If-Match": '"f9-00000000"'}), 412, "precondition_failed")
        self.assertEqual(refused["details"]["currentETag"], tag)
        self.assertEqual(agent("PUT", path, body, {"If-Match": tag}).status, 200)
        self.refused(agent("DELETE", path, headers={"If-Match": tag}), 412, "precondition_failed")
        self.refused(agent("PUT", self.agent.own + "/s/fields/new", body, {"If-Match": "*"}), 412, "precondition_failed")
        self.refused(agent("PUT", path, body, {"If-None-Match": "*"}), 412, "precondition_failed")
        self.assertFalse(agent.data("PUT", path, body)["changed"])

    def test_a_required_precondition(self):
        agent = self.world(requireIfMatch=True).agent()
        path = agent.own + "/s"
        self.assertEqual(agent("PUT", path, {}).status, 200)
        self.refused(agent("PATCH", path, {"tags": ["a"]}), 428, "precondition_required")
        self.refused(agent("DELETE", path), 428, "precondition_required")
        tag = agent("GET", path).header("ETag")
        self.assertEqual(agent("PATCH", path, {"tags": ["a"]}, {"If-Match": tag}).status, 200)

    def test_a_new_incarnation(self):
        agent, path = self.agent, self.agent.own + "/s"
        agent.create(agent.own, "s", fields=[{"key": "f", "sensitivity": "plaintext", "value": "old"}])
        tag = agent("GET", path).header("ETag")
        agent.data("DELETE", path)
        agent.create(agent.own, "s")
        self.assertNotEqual(agent("GET", path).header("ETag"), tag)
        self.assertEqual(agent.data("GET", path)["aggregate"]["fields"], [])
        self.assertEqual(agent.data("GET", path)["aggregate"]["revision"], 1)

    def test_plaintext_policy_and_downgrade(self):
        agent, path = self.agent, self.agent.own + "/s/fields/f"
        agent.create(agent.own, "s")
        agent.set_sealed(agent.own, "s", "f", b"x")
        body = {"sensitivity": "plaintext", "value": "now open"}
        self.refused(agent("PUT", path, body), 409, "sensitivity_downgrade")
        self.assertEqual(agent("PUT", path + "?allowDowngrade=true", body).status, 200)
        strict = self.world(plaintextPolicy="deny").agent()
        strict.create(strict.own, "s")
        self.refused(strict("PUT", strict.own + "/s/fields/f", body), 403, "plaintext_denied")

    def test_versions_and_rollback(self):
        agent, path = self.agent, self.agent.own + "/s/fields/f"
        agent.create(agent.own, "s")
        for number in range(1, 9):
            agent.data("PUT", path, {"sensitivity": "plaintext", "value": "v%d" % number})
        self.assertEqual(agent.data("GET", path)["fieldVersion"], 8)
        self.assertEqual(agent.data("GET", path + "?version=3")["value"], "v3")
        self.refused(agent("GET", path + "?version=2"), 404, "version_not_found")
        self.refused(agent("GET", path + "?version=99"), 404, "version_not_found")
        states = {row["fieldVersion"]: row["state"] for row in agent.data("GET", path + "/versions")}
        self.assertEqual((states[8], states[7], states[3]), ("current", "retained", "retained"))
        self.assertIn(states.get(2, "destroyed"), ("destroyed",))
        rolled = agent.data("POST", path + "/rollback", {"fieldVersion": 5})
        self.assertEqual(rolled["fieldVersion"], 9)
        self.assertEqual(agent.data("GET", path)["value"], "v5")
        # Again: what is there already is not made again, and pushes no version out.
        again = agent.data("POST", path + "/rollback", {"fieldVersion": 5})
        self.assertEqual((again["changed"], again["fieldVersion"], again["revision"]), (False, 9, rolled["revision"]))
        self.refused(agent("POST", path + "/rollback", {"fieldVersion": 1}), 404, "version_not_found")
        for bad in ({"fieldVersion": True}, {"fieldVersion": 1.0}, {"fieldVersion": "5"}, {}):
            self.refused(agent("POST", path + "/rollback", bad), 400, "validation_failed")
        agent.create(agent.own, "sealed")
        agent.set_sealed(agent.own, "sealed", "f", b"first")
        agent.set_sealed(agent.own, "sealed", "f", b"second")
        self.assertEqual(agent.open(agent.own, "sealed", "f", "?version=1"), b"first")
        for changed in (True, False):
            answer = agent.data("POST", agent.own + "/sealed/fields/f/rollback", {"fieldVersion": 1})
            self.assertEqual((answer["changed"], answer["fieldVersion"]), (changed, 3))
        self.assertEqual(agent.open(agent.own, "sealed", "f"), b"first")

    def test_idempotency_keys(self):
        agent, path = self.agent, self.agent.own + "/s"
        key = {"Idempotency-Key": str(uuid.uuid4())}
        first = agent("PUT", path, {"tags": ["a"]}, key)
        agent.data("PATCH", path, {"tags": ["b"]})
        again = agent("PUT", path, {"tags": ["a"]}, key)
        self.assertEqual((again.status, again.json()["data"]), (first.status, first.json()["data"]))
        self.assertEqual(agent.data("GET", path)["aggregate"]["tags"], ["b"])
        self.refused(agent("PUT", path, {"tags": ["c"]}, key), 422, "idempotency_key_reused")
        # What is asked for is the body and the query; the path alone is the place.
        self.refused(agent("PUT", path + "?allowDowngrade=true", {"tags": ["a"]}, key), 422, "idempotency_key_reused")
        self.refused(agent("PUT", path, {}, {"Idempotency-Key": "x" * 129}), 400, "validation_failed")
        minted = [agent("POST", "/agent/secrets/generate-data-key", agent.binding(agent.own, "s", "f"), key).json()["data"] for _ in range(2)]
        self.assertNotEqual(minted[0]["plaintextKey"], minted[1]["plaintextKey"])

    def test_quotas(self):
        world = self.world(maxSecretsPerScope=2, maxFieldsPerSecret=2)
        agent = world.agent()
        agent.create(agent.own, "a")
        answer = agent("PUT", agent.own + "/b", {})
        self.assertTrue(answer.header("X-Quota-Warning"))
        body = self.refused(agent("PUT", agent.own + "/c", {}), 409, "quota_exceeded")
        self.assertEqual((body["details"]["quota"], body["details"]["limit"]), ("maxSecretsPerScope", 2))
        fields = [{"key": "f%d" % n, "sensitivity": "plaintext", "value": ""} for n in range(3)]
        agent.data("DELETE", agent.own + "/b")
        self.refused(agent("PUT", agent.own + "/d", {"fields": fields}), 409, "quota_exceeded")
        self.assertEqual(agent("PUT", agent.own + "/d", {"fields": fields[:2]}).header("X-Quota-Warning"),
                         "maxFieldsPerSecret 2/2, maxSecretsPerScope 2/2")  # fmt: skip
        # A deleted one has no place to come back to while the scope is full.
        self.refused(self.operator.raw("POST", "%s/secrets/agent/%s/b/restore" % (world.path, agent.id)), 409, "quota_exceeded")

    def test_quotas_are_told_before_they_are_full(self):
        world = self.world(maxFieldsPerSecret=5, maxTeams=5, maxProjects=5, maxAgents=5, maxKeysPerAgent=5)
        agent = world.agent()
        agent.create(agent.own, "s")

        def told(ask, name):
            self.assertEqual([ask(number).header("X-Quota-Warning") for number in range(5)],
                             [None, None, None, name + " 4/5", name + " 5/5"])  # fmt: skip
            self.refused(ask(5), 409, "quota_exceeded")

        value = {"sensitivity": "plaintext", "value": ""}
        told(lambda number: agent("PUT", agent.own + "/s/fields/f%d" % number, value), "maxFieldsPerSecret")
        for kind in ("Teams", "Projects"):
            told(lambda number, kind=kind: self.operator.raw("POST", "%s/%s" % (world.path, kind.lower()), {"name": str(number)}), "max" + kind)
        # One agent with one key is there already.
        again = [self.operator.raw("POST", world.path + "/agents", {"name": str(number)}) for number in range(5)]
        self.assertEqual([answer.header("X-Quota-Warning") for answer in again], [None, None, "maxAgents 4/5", "maxAgents 5/5", None])
        again = [self.operator.raw("POST", "%s/agents/%s/keys" % (world.path, agent.id), {"name": str(number)}) for number in range(5)]
        self.assertEqual([answer.header("X-Quota-Warning") for answer in again],
                         [None, None, "maxKeysPerAgent 4/5", "maxKeysPerAgent 5/5", None])  # fmt: skip
        self.refused(again[4], 409, "quota_exceeded")


class DataKeyTests(ScopedTestCase):
    def setUp(self):
        self.agent = self.world().agent()
        self.agent.create(self.agent.own, "s")

    def field(self, name="f"):
        return self.agent.own + "/s/fields/" + name

    def store(self, envelope, name="f"):
        return self.agent("PUT", self.field(name), {"sensitivity": "encrypted", "envelope": envelope})

    def test_layout(self):
        minted = self.agent.mint(self.agent.own, "s", "f")
        blob = base64.b64decode(minted["dataKeyCiphertext"], validate=True)
        self.assertEqual((len(blob), blob[:6]), (110, b"DKW1\x01\x00"))
        self.assertEqual(int.from_bytes(blob[22:26], "big"), minted["keyVersion"])
        self.assertEqual(blob[26:42].hex(), minted["dataKeyId"])
        self.assertLess(abs(int.from_bytes(blob[42:50], "big") / 1000 - time.time()), 60)

    def test_one_key_one_envelope(self):
        minted = self.agent.mint(self.agent.own, "s", "f")
        first = seal(b"one", minted)
        self.assertTrue(self.stored(self.store(first))["changed"])
        repeated = self.stored(self.store(first))
        self.assertEqual((repeated["changed"], repeated["fieldVersion"]), (False, 1))
        self.refused(self.store(seal(b"two", minted)), 409, "data_key_reused")
        self.agent.set_sealed(self.agent.own, "s", "f", b"three")
        self.refused(self.store(first), 409, "data_key_reused")
        self.agent.data("DELETE", self.field())
        self.refused(self.store(first), 409, "data_key_reused")
        self.agent.data("DELETE", self.agent.own + "/s")
        self.agent.create(self.agent.own, "s")
        self.refused(self.store(first), 409, "data_key_reused")

    def test_racers(self):
        minted = self.agent.mint(self.agent.own, "s", "f")
        def attempt(number):
            racer = Agent(self.coffer, self.agent.tenant, self.agent.id, self.agent.key)  # a connection of its own
            try:
                return racer("PUT", self.field(), {"sensitivity": "encrypted", "envelope": seal(b"%d" % number, minted)})
            finally:
                racer.close()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(attempt, range(100)))
        codes = sorted("ok" if answer.status == 200 else answer.json()["code"] for answer in answers)
        self.assertEqual((codes.count("ok"), codes.count("data_key_reused")), (1, 99))

    def test_binding(self):
        agent = self.agent
        agent.create(agent.own, "t")
        minted = agent.mint(agent.own, "s", "f")
        envelope = seal(b"x", minted)
        self.refused(self.store(envelope, "g"), 400, "invalid_data_key")
        self.refused(agent("PUT", agent.own + "/t/fields/f", {"sensitivity": "encrypted", "envelope": envelope}), 400, "invalid_data_key")
        self.stored(self.store(envelope))
        for change in ({"fieldKey": "g"}, {"secretId": "t"}):
            body = {**agent.binding(agent.own, "s", "f"), **change, "dataKeyCiphertext": envelope["dataKeyCiphertext"]}
            self.refused(agent("POST", "/agent/secrets/decrypt-data-key", body), 404,
                         "field_not_found")  # fmt: skip
        agent.set_sealed(agent.own, "s", "g", b"y")
        body = {**agent.binding(agent.own, "s", "g"), "dataKeyCiphertext": envelope["dataKeyCiphertext"]}
        self.refused(agent("POST", "/agent/secrets/decrypt-data-key", body), 400, "invalid_data_key")

    def test_decrypting(self):
        agent = self.agent
        minted = agent.mint(agent.own, "s", "f")
        body = {**agent.binding(agent.own, "s", "f"), "dataKeyCiphertext": minted["dataKeyCiphertext"]}
        self.refused(agent("POST", "/agent/secrets/decrypt-data-key", body), 404, "field_not_found")
        agent.set_sealed(agent.own, "s", "f", b"one", minted)
        self.assertEqual(self.stored(agent("POST", "/agent/secrets/decrypt-data-key", body))["plaintextKey"], minted["plaintextKey"])
        unbound = agent.mint(agent.own, "s", "f")
        never = {**body, "dataKeyCiphertext": unbound["dataKeyCiphertext"]}
        self.refused(agent("POST", "/agent/secrets/decrypt-data-key", never), 409, "data_key_unbound")
        agent.set_sealed(agent.own, "s", "f", b"two")
        self.assertEqual(agent("POST", "/agent/secrets/decrypt-data-key", body).status, 200, "a retained version")
        agent.data("PUT", self.field("p"), {"sensitivity": "plaintext", "value": "v"})
        plain = {**body, "fieldKey": "p"}
        self.refused(agent("POST", "/agent/secrets/decrypt-data-key", plain), 409, "field_not_encrypted")
        agent.data("DELETE", agent.own + "/s")
        self.refused(agent("POST", "/agent/secrets/decrypt-data-key", body), 404, "secret_not_found")

    def test_envelopes_that_are_none(self):
        minted = self.agent.mint(self.agent.own, "s", "f")
        good = seal(b"value", minted)
        def without(name):
            return {key: value for key, value in good.items() if key != name}
        cases = [({**good, "version": value}, "invalid_envelope") for value in (True, 1.0, "1", 2, None, 0)]
        cases += [(without(name), "invalid_envelope") for name in good]
        cases += [
            ({**good, "extra": 1}, "invalid_envelope"), ({**good, "value": "leak"}, "invalid_envelope"), ([], "invalid_envelope"),
            ({**good, "iv": b64(b"x" * 11)}, "invalid_envelope"), ({**good, "iv": b64(b"x" * 13)}, "invalid_envelope"),
            ({**good, "authTag": b64(b"x" * 15)}, "invalid_envelope"), ({**good, "authTag": b64(b"x" * 17)}, "invalid_envelope"),
            ({**good, "iv": "-_" * 8}, "invalid_base64"), ({**good, "iv": good["iv"] + "="}, "invalid_base64"),
            ({**good, "authTag": good["authTag"].rstrip("=")}, "invalid_base64"), ({**good, "ciphertext": "QR=="}, "invalid_base64"),
            ({**good, "ciphertext": " " + good["ciphertext"]}, "invalid_base64"), ({**good, "iv": 7}, "invalid_envelope"),
            ({**good, "dataKeyCiphertext": b64(b"x" * 110)}, "invalid_data_key"),
            ({**good, "dataKeyCiphertext": b64(base64.b64decode(good["dataKeyCiphertext"])[:-1])}, "invalid_data_key"),
        ]  # fmt: skip
        blob = bytearray(base64.b64decode(good["dataKeyCiphertext"]))
        for position in (0, 4, 5, 7, 25, 30, 49, 55, 70, 109):
            changed = bytearray(blob)
            changed[position] ^= 1
            cases.append(({**good, "dataKeyCiphertext": b64(bytes(changed))}, "invalid_data_key"))
        for envelope, code in cases:
            with self.subTest(envelope=str(envelope)[:90], code=code):
                self.refused(self.store(envelope), 400, code)
        self.stored(self.store(good))
        for body, code in (
            ({"sensitivity": "encrypted", "value": "x"}, "sensitivity_mismatch"),
            ({"sensitivity": "plaintext", "envelope": good}, "sensitivity_mismatch"),
            ({"sensitivity": "encrypted"}, "invalid_envelope"), ({"sensitivity": "plaintext"}, "validation_failed"),
            ({"sensitivity": "plaintext", "value": 1}, "validation_failed"), ({"value": "x"}, "validation_failed"),
        ):  # fmt: skip
            with self.subTest(body=str(body)[:60]):
                self.refused(self.agent("PUT", self.field(), body), 400, code)

    def test_values_of_every_size(self):
        agent = self.agent
        for size in (0, 1, 15, 16, 17, 65535, 65536):
            value = bytes(range(256)) * (size // 256 + 1)
            agent.set_sealed(agent.own, "s", "f", value[:size])
            self.assertEqual(agent.open(agent.own, "s", "f"), value[:size])
        minted = agent.mint(agent.own, "s", "f")
        self.refused(self.store(seal(b"x" * 65537, minted)), 400, "invalid_envelope")

    def test_expiry(self):
        agent = self.world(dataKeyTtlSeconds=60).agent()
        agent.create(agent.own, "s")
        minted = agent.mint(agent.own, "s", "f")
        issued = int.from_bytes(base64.b64decode(minted["dataKeyCiphertext"])[42:50], "big")
        wanted = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(issued / 1000 + 60))
        self.assertTrue(minted["expiresAt"].startswith(wanted), (minted["expiresAt"], wanted))

    def test_inline_fields(self):
        agent = self.agent
        minted = agent.mint(agent.own, "inline", "token")
        agent.create(agent.own, "inline", fields=[{"key": "token", "sensitivity": "encrypted", "envelope": seal(b"value", minted)}])
        self.assertEqual(agent.open(agent.own, "inline", "token"), b"value")


class ResolutionTests(ScopedTestCase):
    def setUp(self):
        self.w = self.world()
        self.team = self.w.team("Platform")
        self.project, self.second = self.w.project("Checkout", self.team), self.w.project("Search")
        self.agent = self.w.agent()
        # Writers of the wider scopes: the org's own writer is an agent with a key made for it.
        self.owner = self.w.agent("owner")
        self.w.join(self.owner, "team", self.team, "manager")
        for project in (self.project, self.second):
            self.w.join(self.owner, "project", project, "manager")
        self.w.join(self.agent, "project", self.project, "writer")
        self.w.join(self.agent, "project", self.second, "writer")

    def put(self, path, secret="s", value="v", field="k"):
        self.owner.create(path, secret, fields=[{"key": field, "sensitivity": "plaintext", "value": value}])

    def resolve(self, query=""):
        return self.agent("GET", "/agent/secrets/effective/s" + query)

    def test_the_most_specific_wins_whole(self):
        team, project = "/agent/secrets/team/" + self.team, "/agent/secrets/project/" + self.project
        self.refused(self.resolve(), 404, "secret_not_found")
        self.put(team, value="team", field="only_team")
        found = self.stored(self.resolve())
        self.assertEqual((found["resolvedFrom"]["scope"], found["resolvedFrom"]["scopeId"], found["resolvedFrom"]["name"]),
                         ("team", self.team, "Platform"))  # fmt: skip
        self.assertEqual(found["shadowed"], [])
        self.put(project, value="project")
        found = self.stored(self.resolve())
        self.assertEqual(found["resolvedFrom"]["scope"], "project")
        self.assertEqual([row["scope"] for row in found["shadowed"]], ["team"])
        self.assertRegex(found["shadowed"][0]["updatedAt"], TIME)
        self.assertEqual(found["aggregate"]["fields"][0]["value"], "project")
        self.refused(self.agent("GET", "/agent/secrets/effective/s/fields/only_team"), 404, "field_not_found")
        self.assertEqual(self.agent.data("GET", "/agent/secrets/effective/s/fields/k")["value"], "project")
        self.agent.create(self.agent.own, "s", fields=[{"key": "k", "sensitivity": "plaintext", "value": "own"}])
        self.assertEqual(self.stored(self.resolve())["resolvedFrom"]["scope"], "agent")
        self.agent.data("DELETE", self.agent.own + "/s")
        self.assertEqual(self.stored(self.resolve())["resolvedFrom"]["scope"], "project")

    def test_a_tie(self):
        for project in (self.project, self.second):
            self.put("/agent/secrets/project/" + project, value=project)
            time.sleep(0.002)  # times are in milliseconds, and the later one must have a later time
        body = self.refused(self.resolve(), 409, "ambiguous_scope")
        self.assertEqual({row["scopeId"] for row in body["details"]["candidates"]}, {self.project, self.second})
        row = next(row for row in self.agent.data("GET", "/agent/secrets/effective") if row["secretId"] == "s")
        self.assertTrue(row["ambiguous"])
        self.assertEqual(self.stored(self.resolve("?projectId=" + self.second))["resolvedFrom"]["scopeId"], self.second)
        self.assertEqual(self.stored(self.resolve("?tie=recent"))["resolvedFrom"]["scopeId"], self.second)
        self.w.join(self.agent, "project", self.project, "writer", priority=5)
        self.assertEqual(self.stored(self.resolve())["resolvedFrom"]["scopeId"], self.project)
        self.refused(self.resolve("?projectId=proj_none"), 403, "scope_forbidden")

    def test_the_list(self):
        self.put("/agent/secrets/team/" + self.team, value=CANARY)
        rows = self.agent.data("GET", "/agent/secrets/effective")
        self.assertEqual([(row["secretId"], row["resolvedFrom"]["scope"]) for row in rows], [("s", "team")])
        self.assertNotIn(CANARY, json.dumps(rows))


class OperatorTests(ScopedTestCase):
    def test_restore_and_purge(self):
        world = self.world()
        agent = world.agent()
        agent.create(agent.own, "s")
        agent.set_sealed(agent.own, "s", "f", b"value")
        agent.data("DELETE", agent.own + "/s")
        place = "%s/secrets/agent/%s/s" % (world.path, agent.id)
        self.operator("POST", place + "/restore", status=200)
        self.assertEqual(agent.open(agent.own, "s", "f"), b"value")
        # Only deleted ones are purged.
        self.refused(self.operator.raw("POST", place + "/purge?confirm=s"), 404, "secret_not_found")
        agent.data("DELETE", agent.own + "/s")
        agent.create(agent.own, "s")
        self.refused(self.operator.raw("POST", place + "/restore"), 409, "secret_exists")
        self.refused(self.operator.raw("POST", place + "/purge?confirm=wrong"), 400, "validation_failed")
        self.operator("POST", place + "/purge?confirm=s", status=200)

    def test_no_admin_answer_holds_a_value(self):
        world = self.world()
        agent = world.agent()
        agent.create(agent.own, "s", fields=[{"key": "f", "sensitivity": "plaintext", "value": CANARY}])
        _, envelope = agent.set_sealed(agent.own, "s", "e", CANARY.encode())
        for path in ("/secrets", "/secrets/agent/%s/s" % agent.id, "/audit", "/agents/" + agent.id, "/agents/%s/access" % agent.id):
            answer = self.operator.raw("GET", world.path + path)
            self.assertEqual(answer.status, 200, (path, answer.body[:200]))
            for forbidden in (CANARY, envelope["ciphertext"], envelope["dataKeyCiphertext"], agent.key):
                self.assertNotIn(forbidden, answer.body.decode())

    def test_structure(self):
        world = self.world()
        self.refused(self.operator.raw("POST", world.path + "/teams", {"name": ""}), 400, "validation_failed")
        team = world.team("one")
        project = world.project("two", team)
        self.refused(self.operator.raw("DELETE", "%s/teams/%s" % (world.path, team)), 409, "in_use")
        self.operator("PATCH", "%s/teams/%s" % (world.path, team), {"name": "renamed"})
        self.assertEqual([row["name"] for row in self.operator("GET", world.path + "/teams")], ["renamed"])
        self.assertEqual(self.operator("GET", world.path + "/projects")[0]["teamId"], team)
        self.operator("PATCH", "%s/projects/%s" % (world.path, project), {"teamId": None})
        self.operator("DELETE", "%s/teams/%s" % (world.path, team))
        settings = self.operator("GET", world.path + "/settings")
        self.assertEqual(
            {name: settings[name] for name in ("orgDefaultRole", "retainVersions", "deletionWindowDays", "dataKeyTtlSeconds", "plaintextPolicy",
                                               "requireIfMatch", "maxSecretsPerScope", "maxFieldsPerSecret", "maxAgents", "maxTeams",
                                               "maxProjects", "maxKeysPerAgent")},
            {"orgDefaultRole": "reader", "retainVersions": 5, "deletionWindowDays": 7, "dataKeyTtlSeconds": 900, "plaintextPolicy": "allow",
             "requireIfMatch": False, "maxSecretsPerScope": 1000, "maxFieldsPerSecret": 64, "maxAgents": 100, "maxTeams": 50,
             "maxProjects": 200, "maxKeysPerAgent": 20})  # fmt: skip
        self.refused(self.operator.raw("PATCH", world.path + "/settings", {"retainVersions": 51}), 400, "validation_failed")

    def test_audit_is_whole(self):
        world = self.world()
        agent = world.agent()
        agent.create(agent.own, "s")
        agent.set_sealed(agent.own, "s", "f", b"x")
        agent.open(agent.own, "s", "f")
        verdict = self.operator("POST", world.path + "/audit/verify", status=200)
        self.assertTrue(verdict["ok"])
        self.assertIsNone(verdict["firstBad"])
        self.assertGreaterEqual(verdict["entries"], 6)
        world.join(agent, "team", world.team("t"), "reader")
        for row in self.operator("GET", world.path + "/audit"):
            # RFC 8785: the members of an object are in order.
            text = json.dumps(row["details"])
            self.assertEqual(text, json.dumps(row["details"], sort_keys=True))


class RateTests(ScopedTestCase):
    options = ()

    def test_buckets(self):
        world = self.world()
        agent, other = world.agent("one"), world.agent("two")
        first = agent("GET", agent.own)
        self.assertEqual(first.status, 200)
        for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
            self.assertTrue(first.header(name), name)
        answers = [agent("GET", agent.own) for _ in range(120)]
        limited = [answer for answer in answers if answer.status == 429]
        self.assertTrue(limited, "120 lists in a row are within 10/s and a burst of 50?")
        self.refused(limited[0], 429, "rate_limited")
        self.assertTrue(limited[0].header("Retry-After"))
        self.assertEqual(other("GET", other.own).status, 200, "one key never uses up another's budget")
        limits = agent("GET", "/agent/identity/limits")
        self.assertEqual(limits.status, 200)
        for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
            self.assertTrue(limits.header(name), name)

    def test_failing_admins(self):
        """An address that guesses keys is told to wait, on either surface; a good key from there works on."""
        stranger = Operator(self.coffer, "adk_" + "0" * 60)
        self.addCleanup(stranger.close)
        answers = [stranger.raw("GET", "/tenants") for _ in range(12)]
        self.assertEqual({answer.status for answer in answers[:10]}, {401})
        self.refused(answers[-1], 429, "rate_limited")
        self.assertTrue(answers[-1].header("Retry-After"))
        self.operator("GET", "/tenants")


if __name__ == "__main__":
    unittest.main()
