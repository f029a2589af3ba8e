"""The scoped dialect through the shipped nginx files: the documented walk-through, and what it must refuse."""

import base64
import concurrent.futures
import contextlib
import json
import pathlib
import re
import sqlite3
import time

from scoped_harness import Agent, ScopedTestCase, seal, unseal


class WalkThroughTests(ScopedTestCase):
    def test_the_documented_flow(self):
        agent = self.agent("build-bot")
        me = agent.call("GET", "/agent/identity/whoami")
        self.assertEqual((me["agentId"], me["tenantId"], me["name"], me["keyId"]), (agent.id, self.tenant, "build-bot", agent.key_id))
        for identifier, prefix in ((me["agentId"], "agt_"), (me["tenantId"], "ten_")):
            self.assertRegex(identifier, "^%s[0-9a-hjkmnp-tv-z]{26}$" % prefix)
        scopes = agent.call("GET", "/agent/secrets/scopes")
        self.assertEqual([(row["scope"], row["scopeId"], row["role"], row["via"]) for row in scopes],
                         [("org", self.tenant, "reader", "default"), ("agent", agent.id, "manager", "self")])  # fmt: skip
        secret = agent.path("acme-api")
        made = agent.call("PUT", secret, {
            "secretName": "Acme API", "category": "api_key", "tags": ["prod"],
            "fields": [{"key": "base_url", "sensitivity": "plaintext", "value": "https://api.acme.example"}]})  # fmt: skip
        self.assertEqual((made["created"], made["changed"], made["revision"]), (True, True, 1))
        self.assertNotIn("value", made["aggregate"]["fields"][0])
        minted = agent.mint("acme-api", "token")
        self.assertEqual((minted["algorithm"], minted["singleUse"]), ("AES-256-GCM", True))
        self.assertEqual((len(base64.b64decode(minted["plaintextKey"])), len(base64.b64decode(minted["dataKeyCiphertext"]))), (32, 110))
        self.assertRegex(minted["keyId"], "^kek_[0-9a-hjkmnp-tv-z]{26}$")
        self.assertRegex(minted["dataKeyId"], "^[0-9a-f]{32}$")
        envelope = seal(minted, b"sk-test-value")
        stored = agent.call("PUT", secret + "/fields/token", {"sensitivity": "encrypted", "envelope": envelope})
        self.assertEqual((stored["fieldVersion"], stored["revision"], stored["changed"]), (1, 2, True))
        field = agent.call("GET", secret + "/fields/token")
        self.assertEqual((field["key"], field["fieldKey"], field["envelope"]), ("token", "token", envelope))
        key = agent.unwrap("acme-api", "token", field["envelope"])["plaintextKey"]
        self.assertEqual(unseal(field["envelope"], key), b"sk-test-value")
        whole = agent.call("GET", secret)
        self.assertEqual([f["key"] for f in whole["aggregate"]["fields"]], ["base_url", "token"])
        self.assertEqual(whole["aggregate"]["fields"][0]["value"], "https://api.acme.example")
        self.assertEqual(whole["envelopes"], {"token": envelope})
        patched = agent.call("PATCH", secret, {"category": "token"})
        self.assertEqual((patched["changed"], patched["aggregate"]["category"], patched["revision"]), (True, "token", 3))
        removed = agent.call("DELETE", secret + "/fields/base_url")
        self.assertEqual((removed["removed"], removed["alreadyRemoved"], removed["revision"]), (True, False, 4))
        self.assertTrue(agent.call("DELETE", secret + "/fields/base_url")["alreadyRemoved"])
        actions = [row["action"] for row in agent.call("GET", secret + "/history")]
        self.assertEqual(actions, ["field.removed", "secret.metadata_updated", "secret.read", "data_key.decrypted", "field.set",
                                   "data_key.generated", "field.set", "secret.created"])  # fmt: skip
        self.assertEqual([row["secretId"] for row in agent.call("GET", agent.path())], ["acme-api"])
        deleted = agent.call("DELETE", secret)
        self.assertEqual((deleted["deleted"], deleted["alreadyDeleted"]), (True, False))
        self.assertTrue(agent.call("DELETE", secret)["alreadyDeleted"])
        agent.call("GET", secret, status=404, code="secret_not_found")
        agent.unwrap("acme-api", "token", envelope, 404, "secret_not_found")

    def test_every_answer_has_the_headers(self):
        agent = self.agent()
        for method, target in (("GET", "/agent/identity/whoami"), ("GET", agent.path("none")), ("GET", "/agent/none"), ("PUT", "/agent/secrets/scopes")):
            answer = agent.ask(method, target)
            self.assertEqual(answer.header("Cache-Control"), "no-store")
            self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
            self.assertIsNone(answer.header("Set-Cookie"))
            self.assertEqual(answer.header("X-Request-Id"), answer.json()["requestId"])
            self.assertRegex(answer.json()["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(agent.ask("GET", "/agent/identity/whoami/").status, 404)
        options = agent.ask("OPTIONS", "/agent/identity/whoami")
        self.assertEqual((options.status, options.header("Allow")), (204, "GET, HEAD, OPTIONS"))
        self.assertEqual(agent.ask("PUT", "/agent/identity/whoami").header("Allow"), "GET, HEAD, OPTIONS")
        head = agent.ask("HEAD", "/agent/identity/whoami")
        self.assertEqual((head.status, head.body), (200, b""))


class BindingTests(ScopedTestCase):
    def test_a_wrapped_key_fits_one_field_only(self):
        agent, other = self.agent("one"), self.agent("two")
        for owner in (agent, other):
            for secret in ("first", "second"):
                owner.call("PUT", owner.path(secret), {})
        minted = agent.mint("first", "a")
        body = {"sensitivity": "encrypted", "envelope": seal(minted, b"value")}
        for owner, secret, field in ((agent, "first", "b"), (agent, "second", "a"), (other, "first", "a")):
            owner.call("PUT", owner.path(secret) + "/fields/" + field, body, 400, "invalid_data_key")
        agent.call("PUT", agent.path("first") + "/fields/a", body)
        self.assertFalse(agent.call("PUT", agent.path("first") + "/fields/a", body)["changed"])
        # Used is used: also for the same field, with another content, and after the field is gone.
        again = {"sensitivity": "encrypted", "envelope": seal(minted, b"other")}
        agent.call("PUT", agent.path("first") + "/fields/a", again, 409, "data_key_reused")
        agent.call("DELETE", agent.path("first") + "/fields/a")
        agent.call("PUT", agent.path("first") + "/fields/a", body, 409, "data_key_reused")
        agent.call("DELETE", agent.path("first"))
        agent.call("PUT", agent.path("first"), {})
        agent.call("PUT", agent.path("first") + "/fields/a", body, 409, "data_key_reused")

    def test_a_key_that_was_never_stored_is_not_unwrapped(self):
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "x"}]})
        envelope = agent.store("s", "f", b"value")
        agent.unwrap("s", "f", {"dataKeyCiphertext": agent.mint("s", "f")["dataKeyCiphertext"]}, 409, "data_key_unbound")
        agent.unwrap("s", "p", envelope, 409, "field_not_encrypted")
        agent.unwrap("s", "g", envelope, 404, "field_not_found")
        broken = bytearray(base64.b64decode(envelope["dataKeyCiphertext"]))
        for position in (0, 5, 30, 45, 60, 100):
            changed = bytearray(broken)
            changed[position] ^= 1
            agent.unwrap("s", "f", {"dataKeyCiphertext": base64.b64encode(changed).decode()}, 400, "invalid_data_key")
        agent.unwrap("s", "f", {"dataKeyCiphertext": "AA=="}, 400, "invalid_data_key")
        agent.unwrap("s", "f", {"dataKeyCiphertext": "AB=="}, 400, "invalid_base64")

    def test_one_of_a_hundred_parallel_stores_wins(self):
        """T55."""
        agent = self.agent()
        agent.call("PUT", agent.path("raced"), {})
        minted = agent.mint("raced", "f")

        def attempt(number):
            client = Agent(self, {"id": agent.id, "key": agent.key, "keyId": agent.key_id})
            body = {"sensitivity": "encrypted", "envelope": seal(minted, b"value %d" % number)}
            answer = client.ask("PUT", agent.path("raced") + "/fields/f", body)
            return answer.status, answer.json().get("code")

        with concurrent.futures.ThreadPoolExecutor(25) as pool:
            outcomes = list(pool.map(attempt, range(100)))
        self.assertEqual(outcomes.count((200, None)), 1)
        self.assertEqual(outcomes.count((409, "data_key_reused")), 99)

    def test_rows_moved_in_the_database_open_nowhere(self):
        """T04, T06: an envelope or value that was moved to another field, secret, scope or tenant."""
        coffer = self.use_fresh()
        agent = self.agent()
        for secret in ("s", "t"):
            agent.call("PUT", agent.path(secret), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "canary-" + secret}]})
            agent.store(secret, "f", b"value")
            agent.store(secret, "g", b"value")
        coffer.stop()
        database = sqlite3.connect(coffer.folder + "/store/coffer.db")
        with database:
            names = dict(database.execute("SELECT secret_id, incarnation FROM scoped_secrets"))
            database.execute("UPDATE fields SET field_key = 'h' WHERE field_key = 'g' AND incarnation = ?", (names["s"],))
            moved = database.execute("SELECT sealed, mac, data_key_id FROM fields WHERE incarnation = ? AND field_key = 'f'", (names["s"],))
            database.execute("UPDATE fields SET sealed = ?, mac = ?, data_key_id = ? WHERE incarnation = ? AND field_key = 'f'",
                             (*moved.fetchone(), names["t"]))  # fmt: skip
            value = database.execute("SELECT sealed FROM fields WHERE incarnation = ? AND field_key = 'p'", (names["t"],)).fetchone()
            database.execute("UPDATE fields SET sealed = ? WHERE incarnation = ? AND field_key = 'p'", (*value, names["s"]))
        database.close()
        coffer.up()
        agent.client.close()
        for target in ("s/fields/h", "t/fields/f", "s/fields/p"):
            answer = agent.ask("GET", agent.path(target))
            self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"), target)
            self.assertNotIn(b"canary", answer.body)
        self.assertEqual(agent.ask("GET", agent.path("t/fields/g")).status, 200)

    def test_a_changed_version_is_not_made_good_by_a_rollback(self):
        """T04: an earlier version is proven before it is read or set again, and who made a destroyed one says the audit chain."""
        coffer = self.use_fresh()
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {})
        target = agent.path("s/fields/f")

        def put(number):
            return agent.call("PUT", target, {"sensitivity": "plaintext", "value": "canary %d" % number})

        for number in range(6):
            put(number)
        with contextlib.closing(sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)) as database:
            change = "UPDATE fields SET created_by = 'x', created_at = created_at + 9 WHERE version IN (1, 2)"
            self.assertEqual(database.execute(change).rowcount, 2)
        for refused in (("GET", target + "?version=2", None), ("POST", target + "/rollback", {"fieldVersion": 2})):
            answer = agent.ask(*refused)
            self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"), refused)
            self.assertNotIn(b"canary", answer.body)
        self.assertEqual(agent.ask("GET", target + "/versions").status, 503)
        self.assertEqual(agent.call("GET", target)["fieldVersion"], 6)
        # Five versions are kept beside the newest: the next two changes destroy the first two.
        put(6)
        put(7)
        versions = agent.call("GET", target + "/versions")
        self.assertEqual([row["state"] for row in versions], ["current"] + ["retained"] * 5 + ["destroyed"] * 2)
        self.assertEqual([row["fieldVersion"] for row in versions], list(range(8, 0, -1)))
        self.assertEqual({(row["createdBy"], row["sensitivity"]) for row in versions}, {(agent.id, "plaintext")})
        times = [row["createdAt"] for row in versions]
        self.assertEqual(times, sorted(times, reverse=True))

    def test_a_changed_data_key_is_not_made_good_by_a_rollback(self):
        """T04: the row of a data key gets a new MAC when its envelope is set again, so it is proven first."""
        coffer = self.use_fresh()
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {})
        for field in ("changed", "whole"):
            for value in (b"one", b"two"):
                agent.store("s", field, value)
        coffer.stop()
        agent.client.close()
        database = sqlite3.connect(coffer.folder + "/store/coffer.db")
        with database:
            change = "UPDATE data_keys SET bound_at = bound_at + 1 WHERE field_key = 'changed' AND field_version = 1"
            self.assertEqual(database.execute(change).rowcount, 1)
        database.close()
        coffer.up()
        answer = agent.ask("POST", agent.path("s/fields/changed/rollback"), {"fieldVersion": 1})
        self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"))
        self.assertEqual(agent.call("GET", agent.path("s/fields/changed"))["fieldVersion"], 2)
        self.assertEqual(agent.call("POST", agent.path("s/fields/whole/rollback"), {"fieldVersion": 1})["fieldVersion"], 3)

    def test_plain_columns_changed_in_the_database_are_not_believed(self):
        """T04: nobody becomes a manager, stays enabled or sees other metadata by SQL."""
        coffer = self.use_fresh(options=self.options)
        agent, team = self.agent(capabilities=["secrets:list", "secrets:read", "secrets:write"]), self.team()
        self.join(agent, "team", team, "reader")
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "canary"}]})
        changes = [
            ("UPDATE memberships SET role = 'manager'", "/agent/identity/whoami"),
            ("UPDATE memberships SET scope_id = scope_id || 'x'", "/agent/identity/whoami"),
            ("UPDATE agents SET name = 'other'", "/agent/identity/whoami"),
            ("UPDATE teams SET name = 'other'", "/agent/identity/whoami"),
            ("UPDATE api_keys SET grants = replace(grants, 'secrets:write', 'secrets:delete') WHERE kind = 'agent'", "/agent/identity/whoami"),
            ("UPDATE api_keys SET expires_at = NULL WHERE kind = 'agent'", "/agent/identity/whoami"),
            ("UPDATE tenants SET settings = '{\"orgDefaultRole\":\"manager\"}'", "/agent/identity/whoami"),
            ("UPDATE fields SET revision = 9 WHERE field_key = ''", agent.path("s")), ("UPDATE scoped_secrets SET name = 'other'", agent.path()),
            ("UPDATE scoped_secrets SET tags = '[\"x\"]'", agent.path("s") + "/fields/p"),
            ("UPDATE scoped_secrets SET is_canary = 1", agent.path("s")),
            ("UPDATE fields SET sensitivity = 'encrypted' WHERE field_key = 'p'", agent.path("s")),
            ("UPDATE fields SET field_versions = 'p=2' WHERE field_key = ''", agent.path("s")), ("DELETE FROM fields WHERE field_key = ''", agent.path("s")),
            ("UPDATE fields SET version = 9 WHERE field_key = 'p'", agent.path("s") + "/fields/p"),
            ("UPDATE fields SET created_by = 'x' WHERE field_key = 'p'", agent.path()),
        ]  # fmt: skip
        coffer.stop()
        agent.client.close()
        with open(coffer.folder + "/store/coffer.db", "rb") as file:
            original = file.read()
        for change, target in changes:
            with self.subTest(change):
                database = sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)
                self.assertGreater(database.execute(change).rowcount, 0)
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.close()
                coffer.up()
                answer = agent.ask("GET", target)
                self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"), answer.body[:200])
                self.assertNotIn(b"canary", answer.body)
                agent.client.close()
                coffer.stop()
                for name in ("coffer.db-wal", "coffer.db-shm"):
                    pathlib.Path(coffer.folder, "store", name).unlink(missing_ok=True)
                with open(coffer.folder + "/store/coffer.db", "wb") as file:
                    file.write(original)


class AccessTests(ScopedTestCase):
    def test_missing_foreign_and_unjoined_scopes_are_one(self):
        """Acceptance check 2, T71."""
        stranger = self.operator("POST", "/tenants", {"name": "stranger of " + self.id()}, status=201)["id"]
        agent, foreign = self.agent(), self.agent("foreign", stranger)
        unjoined, other = self.team("unjoined"), self.team("other", stranger)
        bodies = set()
        for scope, identifier in (("team", unjoined), ("team", other), ("team", "team_none"), ("org", stranger), ("agent", foreign.id)):
            for method, target, body in (("GET", "", None), ("GET", "/x", None), ("PUT", "/x", {}), ("DELETE", "/x", None)):
                answer = agent.ask(method, "/agent/secrets/%s/%s%s" % (scope, identifier, target), body)
                self.assertEqual(answer.status, 403)
                document = answer.json()
                del document["requestId"], document["timestamp"]
                bodies.add(json.dumps(document))
        self.assertEqual(len(bodies), 1)
        self.assertEqual(json.loads(bodies.pop())["code"], "scope_forbidden")
        agent.call("GET", "/agent/secrets/planet/x", status=404, code="not_found")
        agent.call("POST", "/agent/secrets/generate-data-key", {**agent.binding("s", "f"), "scope": "planet"}, 400, "validation_failed")

    def test_roles(self):
        team = self.team()
        manager = self.agent("manager")
        self.join(manager, "team", team, "manager")
        place = {"scope": "team", "scope_id": team}
        manager.call("PUT", manager.path("s", **place), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "x"}]})
        envelope = manager.store("s", "f", b"value", **place)
        table = {
            "observer": "lh", "reader": "lhrd", "depositor": "lw", "writer": "lhrdw", "manager": "lhrdwx",
        }  # fmt: skip
        for role, rights in table.items():
            agent = self.agent(role)
            self.join(agent, "team", team, role)
            secret = agent.path("s", **place)
            calls = {
                "l": ("GET", agent.path(**place), None), "h": ("GET", secret + "/history", None), "r": ("GET", secret, None),
                "d": ("POST", "/agent/secrets/decrypt-data-key",
                      {**agent.binding("s", "f", **place), "dataKeyCiphertext": envelope["dataKeyCiphertext"]}),
                "w": ("POST", "/agent/secrets/generate-data-key", agent.binding("s", "f", **place)),
                "x": ("DELETE", secret + "/fields/p", None),
            }  # fmt: skip
            for right, (method, target, body) in calls.items():
                answer = agent.ask(method, target, body)
                if right in rights:
                    self.assertEqual(answer.status, 200, (role, right, answer.body[:200]))
                else:
                    self.assertEqual((answer.status, answer.json()["code"]), (403, "capability_missing"), (role, right))
        # What a member was refused is in the history, with its code.
        denied = [row for row in manager.call("GET", manager.path("s", **place) + "/history") if row["outcome"] == "denied"]
        self.assertGreater(len(denied), 5)
        self.assertEqual({row["code"] for row in denied}, {"capability_missing"})

    def test_a_depositor_sets_what_it_can_never_read(self):
        """Acceptance check 7."""
        team = self.team()
        agent, reader = self.agent("depositor"), self.agent("reader")
        self.join(agent, "team", team, "depositor")
        self.join(reader, "team", team, "reader")
        place = {"scope": "team", "scope_id": team}
        agent.call("PUT", agent.path("s", **place), {})
        envelope = agent.store("s", "f", b"deposited", **place)
        agent.call("GET", agent.path("s", **place) + "/fields/f", status=403, code="capability_missing")
        agent.unwrap("s", "f", envelope, 403, "capability_missing", **place)
        found = reader.call("GET", reader.path("s", **place) + "/fields/f")["envelope"]
        self.assertEqual(unseal(found, reader.unwrap("s", "f", found, **place)["plaintextKey"]), b"deposited")

    def test_keys(self):
        agent = self.agent()
        for bad in ("", "agk_x", agent.key[:-1] + ("0" if agent.key[-1] != "0" else "1"), "adk_" + agent.key[4:]):
            answer = self.ask("GET", "/agent/identity/whoami", headers=[("Authorization", "Bearer " + bad)], key=None)
            self.assertEqual((answer.status, answer.json()["code"], answer.header("WWW-Authenticate")), (401, "unauthenticated", "Bearer"))
        answer = self.ask("GET", "/agent/identity/whoami", headers=self.headers, key=None)
        self.assertEqual((answer.status, answer.json()["code"]), (403, "wrong_key_kind"))
        answer = agent.ask("GET", "/admin/v1/tenants")
        self.assertEqual((answer.status, answer.json()["code"]), (403, "wrong_key_kind"))
        keys = self.below("agents/%s/keys" % agent.id)
        second = self.operator("POST", keys, {"name": "second", "capabilities": ["secrets:list"]}, status=201)
        narrow = Agent(self, {"id": agent.id, "key": second["key"], "keyId": second["id"]})
        self.assertEqual(narrow.call("GET", "/agent/identity/whoami")["capabilities"], ["secrets:list"])
        narrow.call("GET", narrow.path("s"), status=403, code="capability_missing")
        rotated = self.operator("POST", keys + "/%s/rotate" % second["id"], {"graceSeconds": 60}, status=201)
        old = narrow.ask("GET", "/agent/identity/whoami")
        self.assertEqual((old.status, old.header("X-Key-Deprecated")), (200, "true"))
        self.assertRegex(old.header("X-Key-Expires-At"), r"Z$")
        fresh = Agent(self, {"id": agent.id, "key": rotated["key"], "keyId": rotated["id"]})
        self.assertIsNone(fresh.ask("GET", "/agent/identity/whoami").header("X-Key-Deprecated"))
        self.operator("POST", keys + "/%s/revoke" % rotated["id"])
        fresh.call("GET", "/agent/identity/whoami", status=401, code="key_revoked")
        self.operator("POST", keys + "/%s/rotate" % rotated["id"], status=409, code="key_ended")
        self.operator("POST", self.below("agents/%s/disable" % agent.id))
        agent.call("GET", "/agent/identity/whoami", status=401, code="unauthenticated")
        self.operator("POST", self.below("agents/%s/enable" % agent.id))
        agent.call("GET", "/agent/identity/whoami")
        listed = {row["id"]: row for row in self.operator("GET", keys)}
        self.assertEqual({listed[k]["status"] for k in (second["id"], rotated["id"])}, {"rotating", "revoked"})
        self.assertNotIn("agk_", json.dumps(listed))
        short = self.operator("POST", keys, {"name": "short", "expiresIn": 1}, status=201)
        time.sleep(1.1)
        Agent(self, {"id": agent.id, "key": short["key"], "keyId": short["id"]}).call(
            "GET", "/agent/identity/whoami", status=401, code="key_expired")  # fmt: skip

    def test_child_tokens(self):
        agent = self.agent()
        agent.call("PUT", agent.path("a"), {})
        agent.call("PUT", agent.path("b"), {})
        made = agent.call("POST", "/agent/identity/tokens", {"name": "conv", "ttlSeconds": 60, "secretIds": ["a"], "maxUses": 6})
        child = Agent(self, {"id": agent.id, "key": made["token"], "keyId": made["tokenId"]})
        self.assertTrue(made["token"].startswith("agc_"))
        self.assertEqual([row["secretId"] for row in child.call("GET", child.path())], ["a"])
        child.call("GET", child.path("a"))
        child.call("GET", child.path("b"), status=404, code="secret_not_found")
        child.call("POST", "/agent/secrets/generate-data-key", child.binding("b", "f"), 404, "secret_not_found")
        child.call("POST", "/agent/identity/tokens", {"name": "x", "ttlSeconds": 60}, 403, "wrong_key_kind")
        child.call("GET", "/agent/identity/whoami")
        child.call("GET", "/agent/identity/whoami", status=401, code="unauthenticated")
        made = agent.call("POST", "/agent/identity/tokens", {"name": "conv", "ttlSeconds": 60})
        child = Agent(self, {"id": agent.id, "key": made["token"], "keyId": made["tokenId"]})
        child.call("GET", child.path("b"))
        agent.call("DELETE", "/agent/identity/tokens/" + made["tokenId"])
        child.call("GET", child.path("b"), status=401, code="key_revoked")

    def test_enrolment(self):
        team = self.team()
        invite = self.operator("POST", self.below("invites"), {
            "label": "for ci", "memberships": [{"scope": "team", "scopeId": team, "role": "writer"}], "maxUses": 1}, status=201)  # fmt: skip
        made = self.ask("POST", "/agent/enroll", {"inviteToken": invite["inviteToken"], "agentName": "new"}, key=None)
        self.assertEqual(made.status, 200, made.body)
        data = made.json()["data"]
        agent = Agent(self, {"id": data["agentId"], "key": data["apiKey"], "keyId": data["keyId"]})
        self.assertEqual([row["scope"] for row in agent.call("GET", "/agent/secrets/scopes")], ["org", "team", "agent"])
        for token in (invite["inviteToken"], "inv_none", ""):
            again = self.ask("POST", "/agent/enroll", {"inviteToken": token, "agentName": "new"}, key=None)
            self.assertEqual((again.status, again.json()["code"]), (403, "invite_invalid"))


class ResolutionTests(ScopedTestCase):
    def test_ties_priorities_and_contexts(self):
        """Acceptance check 8."""
        agent, team = self.agent(), self.team("Platform")
        projects = [self.project("p%d" % number, team) for number in range(2)]
        for project in projects:
            self.join(agent, "project", project, "manager")
        for project in projects:
            agent.call("PUT", agent.path("k", "project", project),
                       {"fields": [{"key": "p", "sensitivity": "plaintext", "value": project}]})  # fmt: skip
            time.sleep(0.002)  # times are in milliseconds, and the later one must have a later time
        tie = agent.call("GET", "/agent/secrets/effective/k", status=409, code="ambiguous_scope")
        self.assertEqual({row["scopeId"] for row in tie["details"]["candidates"]}, set(projects))
        listed = agent.call("GET", "/agent/secrets/effective")
        self.assertEqual([(row["secretId"], row["ambiguous"]) for row in listed], [("k", True)])
        one = agent.call("GET", "/agent/secrets/effective/k?projectId=" + projects[0])
        self.assertEqual(one["resolvedFrom"]["scopeId"], projects[0])
        self.assertEqual(agent.call("GET", "/agent/secrets/effective/k?tie=recent")["resolvedFrom"]["scopeId"], projects[1])
        target = self.below("agents/%s/memberships/project/%s" % (agent.id, projects[0]))
        self.operator("PUT", target, {"role": "manager", "priority": 5})
        self.assertEqual(agent.call("GET", "/agent/secrets/effective/k/fields/p")["value"], projects[0])
        agent.call("PUT", agent.path("k"), {"fields": [{"key": "other", "sensitivity": "plaintext", "value": "mine"}]})
        found = agent.call("GET", "/agent/secrets/effective/k")
        self.assertEqual((found["resolvedFrom"]["scope"], len(found["shadowed"])), ("agent", 2))
        agent.call("GET", "/agent/secrets/effective/k/fields/p", status=404, code="field_not_found")
        agent.call("DELETE", agent.path("k"))
        self.assertEqual(agent.call("GET", "/agent/secrets/effective/k")["resolvedFrom"]["scope"], "project")
        agent.call("GET", "/agent/secrets/effective/k?projectId=proj_none", status=403, code="scope_forbidden")
        # The team is reached through its projects, to read.
        rows = {row["scopeId"]: row for row in agent.call("GET", "/agent/secrets/scopes")}
        self.assertEqual((rows[team]["role"], rows[team]["via"]), ("reader", "project:" + projects[0]))
        agent.call("PUT", agent.path("x", "team", team), {}, 403, "capability_missing")


class ConditionTests(ScopedTestCase):
    def setUp(self):
        super().setUp()
        self.mine = self.agent()
        self.secret = self.mine.path("s")

    def tag(self, target):
        return self.mine.ask("GET", target).header("ETag")

    def test_create_or_replace(self):
        field = [{"key": "p", "sensitivity": "plaintext", "value": "x"}]
        self.mine.call("PUT", self.secret, {"fields": field}, 412, "precondition_failed", [("If-Match", "*")])
        made = self.mine.ask("PUT", self.secret, {"fields": field}, [("If-None-Match", "*")])
        self.assertTrue(made.json()["data"]["created"])
        self.assertRegex(made.header("ETag"), r'^"s1-[0-9a-f]{8}"$')
        again = self.mine.call("PUT", self.secret, {"fields": field})
        self.assertEqual((again["created"], again["changed"], again["revision"]), (False, False, 1))
        self.mine.call("PUT", self.secret, {"fields": field}, 412, "precondition_failed", [("If-None-Match", "*")])
        refused = self.mine.call("PUT", self.secret, {"fields": []}, 409, "secret_exists")
        self.assertEqual(refused["details"]["currentETag"], made.header("ETag"))
        self.mine.call("PUT", self.secret, {}, 412, "precondition_failed", [("If-Match", '"s9-00000000"')])
        self.mine.store("s", "kept", b"value")
        tag = self.tag(self.secret)
        body = {"fields": [{"key": "kept", "keep": True}, {"key": "q", "sensitivity": "plaintext", "value": "y"}]}
        self.mine.call("PUT", self.secret, {"fields": [{"key": "none", "keep": True}]}, 404, "field_not_found", [("If-Match", tag)])
        data = self.mine.call("PUT", self.secret, body, headers=[("If-Match", "W/" + tag)])
        self.assertEqual([f["key"] for f in data["aggregate"]["fields"]], ["kept", "q"])
        self.mine.call("PUT", self.secret, {"fields": field * 2}, 400, "duplicate_field")

    def test_reads(self):
        self.mine.call("PUT", self.secret, {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "x"}]})
        self.mine.store("s", "f", b"value")
        for target in (self.secret, self.secret + "/fields/p", self.secret + "/fields/f"):
            tag = self.tag(target)
            unchanged = self.mine.ask("GET", target, headers=[("If-None-Match", 'W/"other", W/' + tag)])
            self.assertEqual((unchanged.status, unchanged.body, unchanged.header("ETag")), (304, b"", tag))
            self.assertEqual(self.mine.ask("GET", target, headers=[("If-None-Match", '"other"')]).status, 200)
        reads = [row["action"] for row in self.mine.call("GET", self.secret + "/history") if row["action"].endswith(".read")]
        self.assertEqual(len(reads), 4)

    def test_a_field_that_is_read_again_is_never_an_old_one(self):
        """Threads remember what they read: whatever changes, each of them shows it on the next request."""
        self.mine.call("PUT", self.secret, {})
        target = self.secret + "/fields/f"

        def everywhere(check):
            for _ in range(12):
                self.mine.client.close()
                check()

        def shows(envelope):
            def check():
                self.assertEqual(self.mine.call("GET", target)["envelope"], envelope)
                self.mine.unwrap("s", "f", envelope)
            everywhere(check)

        first = self.mine.store("s", "f", b"first")
        shows(first)
        self.mine.mint("s", "other")
        shows(first)
        second = self.mine.store("s", "f", b"second")
        shows(second)
        self.mine.unwrap("s", "f", first)
        self.assertEqual(self.mine.call("GET", target + "?version=1")["envelope"], first)
        shows(second)
        self.mine.call("PATCH", self.secret, {"secretName": "other"})
        shows(second)
        self.mine.call("POST", target + "/rollback", {"fieldVersion": 1})
        shows(first)
        self.mine.call("PUT", target, {"sensitivity": "plaintext", "value": "open"}, 409)
        self.mine.call("PUT", target + "?allowDowngrade=true", {"sensitivity": "plaintext", "value": "open"})
        everywhere(lambda: self.assertEqual(self.mine.call("GET", target)["value"], "open"))
        third = self.mine.store("s", "f", b"third")
        shows(third)
        self.mine.call("DELETE", target)
        everywhere(lambda: self.mine.call("GET", target, status=404, code="field_not_found"))
        everywhere(lambda: self.mine.unwrap("s", "f", third, 404, "field_not_found"))
        fourth = self.mine.store("s", "f", b"fourth")
        shows(fourth)
        self.mine.call("DELETE", self.secret)
        everywhere(lambda: self.mine.call("GET", target, status=404, code="secret_not_found"))
        everywhere(lambda: self.mine.unwrap("s", "f", fourth, 404, "secret_not_found"))

    def test_versions_and_rollback(self):
        self.mine.call("PUT", self.secret, {})
        target = self.secret + "/fields/f"
        envelopes = [self.mine.store("s", "f", b"value %d" % number) for number in range(8)]
        states = [(row["fieldVersion"], row["state"]) for row in self.mine.call("GET", target + "/versions")]
        self.assertEqual(states, [(8, "current")] + [(n, "retained") for n in range(7, 2, -1)] + [(2, "destroyed"), (1, "destroyed")])
        self.assertEqual(self.mine.call("GET", target + "?version=3")["envelope"], envelopes[2])
        self.mine.call("GET", target + "?version=2", status=404, code="version_not_found")
        self.mine.unwrap("s", "f", envelopes[2])
        self.mine.unwrap("s", "f", envelopes[1], 409, "data_key_unbound")
        back = self.mine.call("POST", target + "/rollback", {"fieldVersion": 3})
        self.assertEqual((back["fieldVersion"], back["changed"]), (9, True))
        self.assertEqual(self.mine.call("GET", target)["envelope"], envelopes[2])
        for _ in range(6):
            self.mine.store("s", "f", b"later")
            self.mine.call("GET", target)
        self.mine.call("POST", target + "/rollback", {"fieldVersion": 3}, 404, "version_not_found")

    def test_fifty_destroyed_versions_are_listed(self):
        self.mine.call("PUT", self.secret, {})
        target = self.secret + "/fields/f"
        for number in range(70):
            self.mine.call("PUT", target, {"sensitivity": "plaintext", "value": "value %d" % number})
        versions = self.mine.call("GET", target + "/versions")
        self.assertEqual([row["fieldVersion"] for row in versions], list(range(70, 14, -1)))
        self.assertEqual([row["state"] for row in versions], ["current"] + ["retained"] * 5 + ["destroyed"] * 50)
        paged, cursor = [], ""
        while cursor is not None:
            page = self.mine.ask("GET", target + "/versions?limit=25" + cursor).json()
            self.assertEqual(page["hasMore"], page["cursor"] is not None)
            paged.append([row["fieldVersion"] for row in page["data"]])
            cursor = page["cursor"] and "&cursor=" + page["cursor"]
        self.assertEqual(paged, [list(range(70, 45, -1)), list(range(45, 20, -1)), list(range(20, 14, -1))])
        for query in ("limit=0", "limit=201", "cursor=x"):
            self.mine.call("GET", target + "/versions?" + query, status=400, code="validation_failed")

    def test_what_was_removed_comes_back_as_an_earlier_version(self):
        self.mine.call("PUT", self.secret, {})
        target = self.secret + "/fields/f"
        one = self.mine.store("s", "f", b"one")
        self.mine.call("DELETE", target)
        self.mine.store("s", "f", b"two")
        states = [(row["fieldVersion"], row["state"]) for row in self.mine.call("GET", target + "/versions")]
        self.assertEqual(states, [(2, "current"), (1, "retained")])
        self.assertEqual(self.mine.call("GET", target + "?version=1")["envelope"], one)

    def test_what_was_removed_is_gone_when_its_window_is_over(self):
        self.mine.call("PUT", self.secret, {})
        target = self.secret + "/fields/f"
        self.mine.store("s", "f", b"one")
        self.mine.store("s", "f", b"two")
        self.operator("PATCH", self.below("settings"), {"deletionWindowDays": 0})
        self.mine.call("DELETE", target)
        self.mine.call("DELETE", target, status=404, code="field_not_found")
        self.mine.store("s", "f", b"three")
        states = [(row["fieldVersion"], row["state"]) for row in self.mine.call("GET", target + "/versions")]
        self.assertEqual(states, [(3, "current"), (2, "destroyed"), (1, "destroyed")])
        self.mine.call("GET", target + "?version=2", status=404, code="version_not_found")
        self.mine.call("DELETE", self.secret)
        self.mine.call("DELETE", self.secret, status=404, code="secret_not_found")
        self.assertEqual(self.operator("GET", self.below("secrets?includeDeleted=true")), [])

    def test_sensitivity(self):
        self.mine.call("PUT", self.secret, {})
        target, plain = self.secret + "/fields/f", {"sensitivity": "plaintext", "value": "x"}
        envelope = self.mine.store("s", "f", b"value")
        self.mine.call("PUT", target, plain, 409, "sensitivity_downgrade")
        self.mine.call("PUT", target, {**plain, "envelope": envelope}, 400, "sensitivity_mismatch")
        self.mine.call("PUT", target, {"sensitivity": "encrypted", "value": "x"}, 400, "sensitivity_mismatch")
        self.mine.call("PUT", target + "?allowDowngrade=true", plain)
        self.mine.store("s", "f", b"value")
        self.operator("PATCH", self.below("settings"), {"plaintextPolicy": "deny"})
        self.mine.call("PUT", target + "?allowDowngrade=true", plain, 403, "plaintext_denied")

    def test_a_secret_has_had_a_bounded_number_of_fields(self):
        self.mine.call("PUT", self.secret, {})
        self.operator("PATCH", self.below("settings"), {"maxFieldsPerSecret": 1000})

        def put(letter, status=200, code=None):
            fields = [{"key": "%s%d" % (letter, number), "sensitivity": "plaintext", "value": ""} for number in range(1000)]
            return self.mine.call("PUT", self.secret, {"fields": fields}, status, code, headers=[("If-Match", "*")])

        put("a")
        put("b")
        self.assertEqual(put("c", 409, "quota_exceeded")["details"], {"quota": "fieldKeysPerSecret", "limit": 2000})
        put("a")
        self.assertEqual(self.mine.call("GET", self.secret + "/fields/a7")["fieldVersion"], 2)

    def test_settings(self):
        self.mine.call("PUT", self.secret, {})
        self.operator("PATCH", self.below("settings"), {"requireIfMatch": True, "maxFieldsPerSecret": 1, "maxSecretsPerScope": 1})
        self.mine.call("PATCH", self.secret, {"category": "token"}, 428, "precondition_required")
        self.mine.call("DELETE", self.secret, status=428, code="precondition_required")
        self.mine.call("PATCH", self.secret, {"category": "token"}, headers=[("If-Match", "*")])
        self.mine.call("PUT", self.secret + "/fields/a", {"sensitivity": "plaintext", "value": ""})
        full = self.mine.call("PUT", self.secret + "/fields/b", {"sensitivity": "plaintext", "value": ""}, 409, "quota_exceeded")
        self.assertEqual(full["details"], {"quota": "maxFieldsPerSecret", "limit": 1})
        self.mine.call("PUT", self.mine.path("t"), {}, 409, "quota_exceeded")
        self.operator("PATCH", self.below("settings"), {"retainVersion": 1}, 400, "validation_failed")
        self.operator("PATCH", self.below("settings"), {"retainVersions": 51}, 400, "validation_failed")
        self.assertEqual(self.operator("GET", self.below("settings"))["maxSecretsPerScope"], 1)

    def test_idempotency(self):
        headers = [("Idempotency-Key", "k1")]
        first = self.mine.ask("PUT", self.secret, {"secretName": "A"}, headers)
        again = self.mine.ask("PUT", self.secret, {"secretName": "A"}, headers)
        self.assertEqual((first.status, first.body, first.header("ETag")), (again.status, again.body, again.header("ETag")))
        self.mine.call("PUT", self.secret, {"secretName": "B"}, 422, "idempotency_key_reused", headers)
        self.mine.call("PUT", self.secret, {}, 400, "validation_failed", [("Idempotency-Key", "x" * 129)])
        keys = {self.mine.ask("POST", "/agent/secrets/generate-data-key", self.mine.binding("s", "f"), headers).body for _ in range(2)}
        self.assertEqual(len(keys), 2)

    def test_lists(self):
        for number in range(5):
            self.mine.call("PUT", self.mine.path("s%d" % number), {"category": "token" if number % 2 else "other", "tags": ["t%d" % number, "all"]})
        page = self.mine.ask("GET", self.mine.path() + "?limit=2&tag=all").json()
        self.assertEqual(([row["secretId"] for row in page["data"]], page["hasMore"]), (["s0", "s1"], True))
        following = self.mine.ask("GET", self.mine.path() + "?limit=3&tag=all&cursor=" + page["cursor"]).json()
        self.assertEqual(([row["secretId"] for row in following["data"]], following["cursor"], following["hasMore"]), (["s2", "s3", "s4"], None, False))
        self.mine.call("GET", self.mine.path() + "?limit=2&cursor=" + page["cursor"], status=400, code="validation_failed")
        for query, expected in (("category=token", 2), ("tag=all&tag=t1", 1), ("q=S3", 1), ("fieldKey=f", 0), ("other=x", 5), ("updatedSince=2099-01-01T00:00:00Z", 0)):
            self.assertEqual(len(self.mine.call("GET", self.mine.path() + "?" + query)), expected, query)
        for query in ("limit=0", "limit=201", "limit=x", "updatedSince=x"):
            self.mine.call("GET", self.mine.path() + "?" + query, status=400, code="validation_failed")

    def test_operators_restore_and_purge(self):
        self.mine.call("PUT", self.secret, {})
        envelope = self.mine.store("s", "f", b"value")
        self.mine.call("DELETE", self.secret)
        record = self.below("secrets/agent/%s/s" % self.mine.id)
        listed = self.operator("GET", self.below("secrets?includeDeleted=true"))
        self.assertEqual([(row["secretId"], row["deletedAt"] is None) for row in listed], [("s", False)])
        self.assertNotIn("envelope", json.dumps(listed))
        self.operator("POST", record + "/restore")
        self.operator("POST", record + "/restore", status=409, code="secret_exists")
        self.assertEqual(self.mine.call("GET", self.secret + "/fields/f")["envelope"], envelope)
        (restored,) = self.mine.call("GET", self.secret + "/history?action=secret.restored")
        self.assertRegex(restored["actor"]["keyId"], "^key_[0-9A-Za-z]{16}$")
        self.mine.unwrap("s", "f", envelope)
        self.mine.call("DELETE", self.secret)
        self.mine.call("PUT", self.secret, {})
        self.operator("POST", record + "/restore", status=409, code="secret_exists")
        self.operator("POST", record + "/purge", status=400, code="validation_failed")
        self.operator("POST", record + "/purge?confirm=s")
        self.mine.call("PUT", self.secret + "/fields/f", {"sensitivity": "encrypted", "envelope": envelope}, 409, "data_key_reused")
        verdict = self.operator("POST", self.below("audit/verify"))
        self.assertTrue(verdict["ok"])


    def test_nothing_is_restored_into_a_scope_that_is_gone(self):
        """Nobody would reach it there, and what is live is not purged."""
        team, project = self.team(), self.project()
        other = self.agent("other")
        self.join(self.mine, "team", team, "manager")
        self.join(self.mine, "project", project, "manager")
        for agent, scope, scope_id in ((self.mine, "team", team), (self.mine, "project", project), (other, "agent", other.id)):
            agent.call("PUT", agent.path("s", scope, scope_id), {})
            self.operator("DELETE", self.below("%ss/%s?cascade=true" % (scope, scope_id)))
            record = self.below("secrets/%s/%s/s" % (scope, scope_id))
            self.operator("POST", record + "/restore", status=404, code="not_found")
            self.operator("POST", record + "/purge?confirm=s")

    def test_a_disabled_agent_may_do_nothing(self):
        def explained():
            return self.operator("GET", self.below("agents/%s/access" % self.mine.id))

        before = explained()
        self.assertTrue(all(row["capabilities"] for row in before["scopes"]))
        self.assertEqual((before["disabled"], before["disabledAt"]), (False, None))
        self.operator("POST", self.below("agents/%s/disable" % self.mine.id))
        after = explained()
        self.assertEqual((after["disabled"], [row["capabilities"] for row in after["scopes"]]), (True, [[] for _ in before["scopes"]]))
        self.assertRegex(after["disabledAt"], "^20..-")


class StrictnessTests(ScopedTestCase):
    CANARY = "canary-9f2c"

    def test_oddities_of_json_and_envelopes(self):
        """Acceptance check 12."""
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {})
        good = seal(agent.mint("s", "f"), b"value")
        target = agent.path("s") + "/fields/f"

        def put(change, code):
            agent.call("PUT", target, {"sensitivity": "encrypted", "envelope": {**good, **change}}, 400, code)

        for version in (True, 1.5, "1", 2, None):
            put({"version": version}, "invalid_envelope")
        text = json.dumps({"sensitivity": "encrypted", "envelope": good}).replace('"version": 1', '"version": 1.0')
        agent.call("PUT", target, text.encode(), 400, "invalid_envelope")
        put({"iv": base64.b64encode(b"x" * 11).decode()}, "invalid_envelope")
        put({"authTag": base64.b64encode(b"x" * 15).decode()}, "invalid_envelope")
        put({"iv": "-_-_-_-_-_-_-_-_"}, "invalid_base64")
        put({"authTag": "AB=="}, "invalid_base64")
        put({"ciphertext": "AAA"}, "invalid_base64")
        put({"value": self.CANARY}, "invalid_envelope")
        put({"dataKeyCiphertext": base64.b64encode(b"x" * 109).decode()}, "invalid_data_key")
        for body, code in ((b'{"a":1,"a":2}', "invalid_json"), (b"\xef\xbb\xbf{}", "invalid_json"), (b"{", "invalid_json"),
                           (b"[" * 20 + b"]" * 20, "invalid_json"), (b'{"x":"\\ud800"}', "invalid_json")):  # fmt: skip
            agent.call("PUT", agent.path("t"), body, 400, code)
        agent.call("PUT", agent.path("t"), b"{}", 415, "unsupported_media_type", [("Content-Type", "text/plain")])
        agent.call("PATCH", agent.path("s"), {"unknown": 1}, 400, "empty_patch")
        agent.call("PUT", agent.path("t"), {"secretId": "u"}, 400, "path_body_mismatch")
        agent.call("PUT", agent.path("t"), {"secretId": "t", "scope": "agent"})
        for path in ("a%2Fb", "a%5Cb", "a%01b"):
            agent.call("GET", agent.path(path), status=400, code="invalid_path")
        for name in ("-x", "a" * 129, "a%20b"):
            agent.call("GET", agent.path(name), status=400, code="validation_failed")
        agent.call("PUT", target, {"sensitivity": "encrypted", "envelope": good})

    def test_no_value_in_any_error(self):
        """Acceptance check 13, T63."""
        agent, canary = self.agent(), self.CANARY
        agent.call("PUT", agent.path("s"), {})
        plain = {"sensitivity": "plaintext", "value": canary}
        bodies = [
            ("PUT", agent.path("s") + "/fields/f", {**plain, "envelope": {"version": canary}}),
            ("PUT", agent.path("s") + "/fields/f", {"sensitivity": canary, "value": canary}),
            ("PUT", agent.path("s") + "/fields/f", {"sensitivity": "encrypted", "envelope": {"version": 1, "iv": canary, "x": canary}}),
            ("PUT", agent.path("s") + "/fields/f", {"sensitivity": "plaintext", "value": [canary]}),
            ("PUT", agent.path("s"), {"fields": [{"key": canary + "/", "sensitivity": "plaintext", "value": canary}]}),
            ("PUT", agent.path("s"), {"secretName": canary + "\x00", "tags": [canary + "\x00"]}),
            ("PUT", agent.path("s"), {"fields": [{"key": "p", **plain}]}),
            ("PUT", agent.path("s"), (json.dumps(plain)[:-1] + ",").encode()),
            ("POST", "/agent/secrets/decrypt-data-key", {**agent.binding("s", "f"), "dataKeyCiphertext": canary}),
            ("POST", "/agent/identity/tokens", {"name": "x", "ttlSeconds": canary}),
            ("POST", "/agent/enroll", {"inviteToken": canary, "agentName": "x"}),
        ]  # fmt: skip
        for method, target, body in bodies:
            answer = agent.ask(method, target, body)
            self.assertGreaterEqual(answer.status, 400, (target, body))
            self.assertNotIn(canary.encode(), answer.body)
            self.assertIsNone(re.search(rb"agk_[0-9A-Za-z]{16}_", answer.body))
            self.assertEqual({"message", "code", "status", "requestId", "timestamp"} - set(answer.json()), set())


class AuditTests(ScopedTestCase):
    """T90: what exposes, mints or changes is an entry, and without an entry there is no answer and no effect."""

    def entries(self):
        listed = self.operator("GET", self.below("audit"))
        return [(row["action"], row["outcome"]) for row in listed]

    def test_entries_are_the_requests_that_count(self):
        agent = self.agent()
        start = len(self.entries())
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "x"}]})
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "x"}]})
        envelope = agent.store("s", "f", b"value")
        for target in ("", "?limit=1"):
            agent.call("GET", agent.path() + target)
        agent.call("GET", agent.path("s") + "/fields/f")
        agent.call("GET", agent.path("s") + "/fields/p")
        agent.call("GET", agent.path("s"))
        agent.unwrap("s", "f", envelope)
        agent.unwrap("s", "f", {"dataKeyCiphertext": "AAAA"}, 400, "invalid_data_key")
        agent.call("GET", "/agent/secrets/team/none", status=403)
        self.assertEqual(self.entries()[start:], [
            ("secret.created", "allowed"), ("field.set", "allowed"), ("data_key.generated", "allowed"), ("field.set", "allowed"),
            ("field.read", "allowed"), ("secret.read", "allowed"), ("data_key.decrypted", "allowed"), ("data_key.refused", "denied"),
            ("scope.denied", "denied")])  # fmt: skip
        self.assertTrue(self.operator("POST", self.below("audit/verify"))["ok"])

    def test_no_audit_no_answer(self):
        coffer = self.use_fresh(options=self.options)
        agent = self.agent()
        agent.call("PUT", agent.path("s"), {"fields": [{"key": "p", "sensitivity": "plaintext", "value": "value-hidden"}]})
        envelope, minted = agent.store("s", "f", b"value"), agent.mint("s", "g")
        before = agent.ask("GET", agent.path("s") + "/fields/f").body
        coffer.stop()
        database = sqlite3.connect(coffer.folder + "/store/coffer.db", isolation_level=None)
        database.execute("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no audit'); END")
        database.close()
        coffer.up()
        agent.client.close()
        plain, field = {"sensitivity": "plaintext", "value": "new"}, agent.path("s") + "/fields/"
        for method, target, body in (
            ("GET", agent.path("s"), None), ("GET", field + "p", None), ("GET", "/agent/secrets/effective/s", None),
            ("PUT", agent.path("t"), {}), ("PATCH", agent.path("s"), {"category": "token"}), ("DELETE", agent.path("s"), None),
            ("PUT", field + "p", plain), ("PUT", field + "g", {"sensitivity": "encrypted", "envelope": seal(minted, b"x")}),
            ("DELETE", field + "f", None), ("POST", "/agent/secrets/generate-data-key", agent.binding("s", "f")),
            ("POST", "/agent/secrets/decrypt-data-key", {**agent.binding("s", "f"), "dataKeyCiphertext": envelope["dataKeyCiphertext"]}),
            ("POST", "/agent/identity/tokens", {"name": "t", "ttlSeconds": 60}), ("GET", "/agent/secrets/team/none", None),
        ):  # fmt: skip
            answer = agent.ask(method, target, body)
            self.assertEqual((answer.status, answer.json()["code"]), (503, "unavailable"), (method, target))
            self.assertNotIn(b"value-hidden", answer.body)
            self.assertNotIn(b"plaintextKey", answer.body)
        after = json.loads(agent.ask("GET", field + "f").body)
        self.assertEqual(after["data"], json.loads(before)["data"])
        self.assertEqual([row["secretId"] for row in agent.call("GET", agent.path())], ["s"])


class LimitTests(ScopedTestCase):
    """Section 8, with the limits on as they are by default."""

    options = ()

    def test_budgets_and_failed_credentials(self):
        agent = self.agent(rateLimit={"reads": {"perSecond": 1, "burst": 3}})
        answers = [agent.ask("GET", "/agent/identity/whoami") for _ in range(5)]
        self.assertEqual([answer.status for answer in answers], [200, 200, 200, 429, 429])
        self.assertEqual([answer.header("X-RateLimit-Remaining") for answer in answers], ["2", "1", "0", "0", "0"])
        self.assertEqual((answers[0].header("X-RateLimit-Limit"), answers[4].header("Retry-After")), ("3", "1"))
        self.assertEqual(answers[4].json()["code"], "rate_limited")
        budgets = agent.call("GET", "/agent/identity/limits")["budgets"]
        self.assertEqual((budgets["reads"]["remaining"], budgets["writes"]["limit"]), (0, 50))
        # One key never uses up another's budget, and failures never that of a good key from the same address.
        other = self.agent("other")
        failures = [self.ask("GET", "/agent/identity/whoami", headers=[("Authorization", "Bearer agk_x")], key=None) for _ in range(12)]
        self.assertEqual([answer.status for answer in failures], [401] * 10 + [429] * 2)
        self.assertIsNone(failures[0].header("X-RateLimit-Limit"))
        self.assertIsNotNone(failures[11].header("Retry-After"))
        other.call("GET", "/agent/identity/whoami")


class KeyTests(ScopedTestCase):
    def test_a_revocation_holds_on_the_next_request(self):
        """T73."""
        agent = self.agent()
        for _ in range(20):
            agent.call("GET", "/agent/identity/whoami")
        self.operator("POST", self.below("agents/%s/keys/%s/revoke" % (agent.id, agent.key_id)))
        for _ in range(20):
            agent.call("GET", "/agent/identity/whoami", status=401, code="key_revoked")

    def test_networks(self):
        inside = self.agent("inside", cidrs=["127.0.0.0/8"])
        outside = self.agent("outside", cidrs=["192.0.2.0/24"])
        made = inside.call("POST", "/agent/identity/tokens", {"name": "t", "ttlSeconds": 60, "cidrs": ["192.0.2.0/24"]})
        child = Agent(self, {"id": inside.id, "key": made["token"], "keyId": made["tokenId"]})
        for agent in (outside, child):
            agent.call("GET", "/agent/identity/whoami", status=401, code="unauthenticated")


class MatrixTests(ScopedTestCase):
    """T70: every route for callers who may not take it, on one kept connection each."""

    SECRET = "/agent/secrets/{scope}/{id}/s"
    FIELD = SECRET + "/fields/f"
    ROUTES = [
        ("GET", "/agent/identity/whoami", None), ("GET", "/agent/identity/limits", None),
        ("POST", "/agent/identity/tokens", {"name": "t", "ttlSeconds": 60}), ("DELETE", "/agent/identity/tokens/key_0", None),
        ("GET", "/agent/secrets/scopes", None), ("GET", "/agent/secrets/effective", None), ("GET", "/agent/secrets/effective/s", None),
        ("GET", "/agent/secrets/effective/s/fields/f", None), ("GET", "/agent/secrets/{scope}/{id}", None), ("GET", SECRET, None),
        ("PUT", SECRET, {}), ("PATCH", SECRET, {"category": "token"}), ("DELETE", SECRET, None), ("GET", SECRET + "/history", None),
        ("GET", FIELD, None), ("PUT", FIELD, {"sensitivity": "plaintext", "value": "x"}), ("DELETE", FIELD, None),
        ("GET", FIELD + "/versions", None), ("POST", FIELD + "/rollback", {"fieldVersion": 1}),
        ("POST", "/agent/secrets/generate-data-key", {}), ("POST", "/agent/secrets/decrypt-data-key", {}),
    ]  # fmt: skip

    def calls(self, scope, identifier):
        for method, target, body in self.ROUTES:
            if target.endswith("data-key"):
                body = {"scope": scope, "scopeId": identifier, "secretId": "s", "fieldKey": "f", "dataKeyCiphertext": "AAAA"}
            yield method, target.format(scope=scope, id=identifier), body

    def outcome(self, agent, call):
        answer = agent.ask(*call)
        return answer.status, answer.json().get("code")

    def test_callers_without_the_right(self):
        owner, revoked = self.agent("owner"), self.agent("revoked")
        self.operator("POST", self.below("agents/%s/keys/%s/revoke" % (revoked.id, revoked.key_id)))
        keys = {"none": "", "wrong": owner.key[:-1], "revoked": revoked.key, "admin": self.coffer.keys["adminKey"]}
        expected = {"none": (401, "unauthenticated"), "wrong": (401, "unauthenticated"), "revoked": (401, "key_revoked"),
                    "admin": (403, "wrong_key_kind")}  # fmt: skip
        for name, key in keys.items():
            caller = Agent(self, {"id": owner.id, "key": key, "keyId": ""})
            for call in self.calls("agent", owner.id):
                self.assertEqual(self.outcome(caller, call), expected[name], (name, call))

    def test_scopes_of_others(self):
        """Parent, sibling and foreign scopes: whatever the route, one answer; a parent may be read."""
        team, sibling = self.team("parent"), self.project("sibling")
        project = self.project("own", team)
        agent = self.agent()
        self.join(agent, "project", project, "manager")
        stranger = self.operator("POST", "/tenants", {"name": "foreign of " + self.id()}, status=201)["id"]
        for scope, identifier in (("project", sibling), ("org", stranger), ("team", self.team("foreign", stranger))):
            for call in self.calls(scope, identifier):
                if identifier in call[1] or call[1].endswith("data-key"):
                    self.assertEqual(self.outcome(agent, call), (403, "scope_forbidden"), call)
        for call in self.calls("team", team):
            if team not in call[1] and not call[1].endswith("data-key"):
                continue
            status, code = self.outcome(agent, call)
            changes = call[0] != "GET" and not call[1].endswith("decrypt-data-key")
            self.assertEqual((status, code)[1] == "capability_missing", changes, call)
        for call in self.calls("project", project):
            self.assertNotIn(self.outcome(agent, call)[0], (401, 403), call)
