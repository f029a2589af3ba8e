"""A running server is sealed: its keys leave its memory and nothing opens until the host brings the root key back."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import sqlite3
import struct
import time
import unittest

import canaries
from contract_harness import Operator
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nginx_harness import ROOT
from test_operator_commands import routes
from test_rotation import RotationTestCase

# What answers without a key.
OPEN = {"/", "/server_info", "/alive", "/health", "/docs", "/redoc", "/openapi.json", "/api/init"}


def table(module, form):
    """(METHOD, pattern) of every route in a table of the sources."""
    text = (ROOT / "Sources" / module).read_text(encoding="utf-8")
    rows = re.findall(form, text)
    assert len(rows) > 20, module
    return [(method.upper(), pattern) for method, pattern in rows]


def lp(part):
    return struct.pack(">I", len(part)) + part


def hkdf(key, info):
    """RFC 5869 without a salt, one block."""
    extracted = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


class SealTestCase(RotationTestCase):
    def seal(self, *words):
        return self.coffer.command(*words, "--dir", self.coffer.folder, check=False)

    def root_key(self):
        _, identity, text = pathlib.Path(self.coffer.folder, "keys", "root.key").read_text(encoding="ascii").split()[:3]
        return identity, base64.b64decode(text)

    def keks(self):
        """Every KEK version in the clear (scoped spec, section 6.1)."""
        identity, root = self.root_key()
        database = sqlite3.connect("file:%s/store/coffer.db?mode=ro" % self.coffer.folder, uri=True)
        try:
            for tenant, version, kek, wrapped in database.execute("SELECT tenant, version, kek_id, wrapped FROM keks"):
                aad = b"".join(map(lp, (b"scoped-secrets/kek/v1", identity.encode(), tenant.encode(), kek))) + struct.pack(">I", version)
                yield AESGCM(root).decrypt(wrapped[:12], wrapped[12:], aad)
        finally:
            database.close()

    def refused(self, answer):
        self.assertEqual(answer.status, 503, answer.body[:300])
        self.assertEqual(answer.header("Retry-After"), "30")
        return answer.json()


class SealTests(SealTestCase):
    def test_nothing_opens_until_the_host_brings_the_key_back(self):
        before = self.reads()
        done = self.seal("seal")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("coffer unseal", done.stdout)
        for method, pattern in table("SettingsAPI/Route.swift", r'methods: \[\.(\w+)\], pattern: "([^"]+)"'):
            if pattern in OPEN or pattern == "/ready":
                continue
            answer = self.ask(method, re.sub(r"{\w+}", "S1", pattern), None if method in ("GET", "DELETE") else {})
            self.assertEqual(self.refused(answer)["exception"], "503: The server is sealed", (method, pattern))
        # A key that is none learns no more than one that is.
        self.refused(self.ask("GET", "/api/settings", key="nobody"))
        for target in OPEN - {"/api/init"}:
            self.assertEqual(self.ask("GET", target, key=None).status, 200, target)
        ready = self.ask("GET", "/ready")
        self.assertEqual((ready.status, ready.json()["status"]), (503, "sealed"))
        self.assertIn("sealed", self.seal("doctor").stdout)
        self.assertEqual(self.seal("seal").returncode, 0, "a second time is no error")
        done = self.seal("unseal")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.ask("GET", "/ready").status, 200)
        after = self.reads()
        self.assertEqual(after, before)
        self.put("AFTER", "value")
        entries = [json.loads(line) for line in self.seal("audit", "list", "--json").stdout.splitlines()]
        self.assertLessEqual({"server.seal", "server.unseal"}, {entry["action"] for entry in entries})
        verified = self.seal("verify", "--json")
        self.assertIs(json.loads(verified.stdout)["ok"], True, verified.stdout)

    def test_agents_are_refused_on_every_route(self):
        agent = self.mine
        self.assertEqual(self.seal("seal").returncode, 0)
        names = {"{scope}": "agent", "{scopeId}": agent.id, "{secretId}": "s", "{fieldKey}": "f", "{tokenId}": "key_0"}
        for method, pattern in table("ScopedAPI/ScopedRoute.swift", r'Entry\(\.(\w+), "([^"]+)"'):
            target = pattern
            for name, value in names.items():
                target = target.replace(name, value)
            self.assertNotIn("{", target)
            document = self.refused(agent.ask(method, target, None if method in ("GET", "DELETE") else {}))
            self.assertEqual((document["code"], document["status"]), ("sealed", 503), (method, pattern))
        # Not even whether there is a key.
        self.assertEqual(self.refused(self.ask("GET", "/agent/identity/whoami", key=None))["code"], "sealed")
        self.assertEqual(agent.ask("GET", "/agent/nowhere").status, 404)
        self.assertEqual(self.seal("unseal").returncode, 0)
        self.assertEqual(agent.ask("GET", "/agent/identity/whoami").status, 200)

    def test_operators_read_the_structure_and_change_nothing(self):
        """Every route of the operator surface, sealed."""
        team = self.team("t", tenant="default")
        project = self.project("p", team, tenant="default")
        self.assertEqual(self.operator("POST", "/seal", status=200), {"sealed": True, "recorded": True})
        names = {"{agent}": self.mine.id, "{scope}": "agent", "{scopeId}": self.mine.id, "{secretId}": "s", "{key}": self.mine.key_id,
                 "{name}": "S1", "{version}": "1"}  # fmt: skip
        served = {"GET /metrics", "GET status", "GET admins", "GET tenants", "GET T", "GET T/keys", "GET root", "GET seal", "POST seal"}
        served |= {"GET T/" + name for name in (
            "settings", "teams", "teams/{id}", "projects", "projects/{id}", "agents", "agents/{id}", "agents/{id}/access",
            "agents/{id}/memberships", "agents/{id}/keys", "invites", "keks")}  # fmt: skip
        seen = set()
        for route in routes():
            method, path = route.split(" ", 1)
            kind = path.split("/")[1] if "/" in path else ""
            names["{id}"] = {"teams": team, "projects": project}.get(kind, self.mine.id)
            target = path if path.startswith("/") else "/admin/v1/" + path.replace("T", "tenants/default", 1) if path[0] == "T" else "/admin/v1/" + path
            for name, value in names.items():
                target = target.replace(name, value)
            answer = self.ask(method, target, None if method in ("GET", "DELETE") else {}, headers=self.headers, key=None)
            if route == "POST unseal":
                self.assertEqual(answer.status, 404, "only the host unseals")
            elif route in served:
                seen.add(route)
                self.assertEqual(answer.status, 200, (route, target, answer.body[:300]))
            else:
                self.assertEqual(self.refused(answer)["code"], "sealed", route)
        self.assertEqual(seen, served)
        self.assertIs(self.operator("GET", "/status")["sealed"], True)
        self.assertIn(b"\ncoffer_sealed 1\n", self.ask("GET", "/metrics", headers=self.headers, key=None).body)
        # A page of a list says where it goes on, as ever, and over the unseal.
        keys, ids = "/admin/v1/tenants/default/keys?limit=1", []
        page = self.ask("GET", keys, headers=self.headers, key=None).json()
        self.assertIs(page["hasMore"], True)
        ids += [page["data"][0]["id"]]
        page = self.ask("GET", keys + "&cursor=" + page["cursor"], headers=self.headers, key=None).json()
        ids += [page["data"][0]["id"]]
        self.assertEqual(ids, sorted(set(ids)))
        self.assertEqual(self.seal("unseal").returncode, 0)
        self.assertEqual(self.operator("GET", "/seal"), {"sealed": False})
        self.assertIn(b"\ncoffer_sealed 0\n", self.ask("GET", "/metrics", headers=self.headers, key=None).body)
        self.assertEqual({team["name"] for team in self.operator("GET", "/tenants/default/teams")}, {"t"})

    def test_only_owners_seal(self):
        for role, status in (("auditor", 403), ("operator", 403)):
            made = self.operator("POST", "/admins", {"name": role, "role": role}, status=201)
            operator = Operator(self.coffer, made["key"])
            self.addCleanup(operator.close)
            self.assertEqual(operator.raw("POST", "/seal").status, status, role)
            self.assertEqual(operator.raw("GET", "/seal").json()["data"], {"sealed": False}, role)
        self.assertEqual(self.ask("POST", "/admin/v1/seal", key=None).status, 401)
        self.assertEqual(self.ask("GET", "/api/settings").status, 200)

    def test_another_key_or_none_does_not_unseal(self):
        path = pathlib.Path(self.coffer.folder, "keys", "root.key")
        mine = path.read_bytes()
        self.assertEqual(self.seal("seal").returncode, 0)
        path.rename(path.with_suffix(".away"))
        done = self.seal("unseal")
        self.assertEqual(done.returncode, 1)
        self.assertIn("root.key", done.stderr)
        other = self.fresh()
        path.write_bytes(pathlib.Path(other.folder, "keys", "root.key").read_bytes())
        path.chmod(0o400)
        done = self.seal("unseal")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not the one of this store", done.stderr)
        self.refused(self.ask("GET", "/api/settings"))
        path.unlink()
        path.with_suffix(".away").rename(path)
        self.assertEqual(path.read_bytes(), mine)
        self.assertEqual(self.seal("unseal").returncode, 0)
        self.assertEqual(self.ask("GET", "/api/settings").status, 200)

    def test_a_restart_reads_the_key_and_serves(self):
        self.assertEqual(self.seal("seal").returncode, 0)
        pid = self.coffer.responder()
        os.kill(pid, signal.SIGHUP)
        end = time.monotonic() + 30
        while self.ask("GET", "/ready").status != 200:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.assertNotEqual(self.coffer.responder(), pid)
        self.assertEqual(self.value("S1").decode(), "value-1")

    def test_without_a_server_there_is_nothing_to_seal(self):
        self.stop()
        for word in ("seal", "unseal"):
            done = self.seal(word)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no cofferd runs", done.stderr)


@unittest.skipIf(os.geteuid() != 0, "needs root to look into a process")
class MemoryTests(SealTestCase):
    def test_the_keys_leave_the_memory(self):
        """The root key, what signs the audit chain, each KEK and what seals and proves rows under it."""
        agent = self.agent()
        self.reads()
        self.rotate()
        self.wait_for_rewrap()
        self.reads()
        self.operator("POST", "/tenants/default/audit/verify")
        root = self.root_key()[1]
        gone = {"root": root, "audit": hkdf(root, b"scoped-secrets/audit-mac/v1")}
        for number, kek in enumerate(self.keks()):
            gone["kek-%d" % number] = kek
            gone["storage-%d" % number] = hkdf(kek, b"scoped-secrets/plain-storage/v1")
            gone["rows-%d" % number] = hkdf(kek, b"coffer/row-mac-key/v1")
        self.assertGreaterEqual(len(gone), 8)
        rows = hkdf(root, b"coffer/root-row-mac/v1")
        pid = self.coffer.responder()
        texts = [*gone.values(), rows]
        before = canaries.counts_in_memory(pid, texts)
        # The KEK whose rows all went under the next one need not be there.
        self.assertTrue(all(before[gone[name]] for name in ("root", "audit", "kek-1", "storage-1", "rows-1")), before)
        self.assertEqual(self.seal("seal").returncode, 0)
        time.sleep(2.5)
        counts = canaries.counts_in_memory(pid, texts)
        left = {name: counts[key] for name, key in gone.items() if counts[key]}
        self.assertEqual(left, {})
        # What proves rows stays, so that a search that sees nothing is none.
        self.assertGreater(counts[rows], 0)
        print("\nsealed: %d keys, 0 copies in memory" % len(gone))
        self.assertEqual(self.seal("unseal").returncode, 0)
        self.reads()
        agent.call("GET", "/agent/identity/whoami")


if __name__ == "__main__":
    unittest.main()
