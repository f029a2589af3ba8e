"""A tenant with agents for the scoped dialect, and the client's side of sealing (AES-256-GCM, empty additional data)."""

import base64
import os

from coffer_harness import CofferTestCase
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def seal(minted, value, iv=None):
    """The envelope of `value` under a minted data key, as the documented client makes it."""
    iv = iv or os.urandom(12)
    sealed = AESGCM(base64.b64decode(minted["plaintextKey"])).encrypt(iv, value, None)
    texts = {"iv": iv, "ciphertext": sealed[:-16], "authTag": sealed[-16:]}
    envelope = {name: base64.b64encode(part).decode() for name, part in texts.items()}
    return {"version": 1, **envelope, "dataKeyCiphertext": minted["dataKeyCiphertext"]}


def unseal(envelope, key):
    parts = {name: base64.b64decode(envelope[name]) for name in ("iv", "ciphertext", "authTag")}
    return AESGCM(base64.b64decode(key)).decrypt(parts["iv"], parts["ciphertext"] + parts["authTag"], None)


class Agent:
    """One agent's key and its calls. Each call checks the status and gives what stands in `data`."""

    def __init__(self, test, made):
        self.test, self.id, self.key, self.key_id = test, made["id"], made["key"], made["keyId"]
        self.client = test.coffer.client(None)
        test.addCleanup(self.client.close)

    def ask(self, method, target, body=None, headers=()):
        return self.client(method, target, body, headers=[("Authorization", "Bearer " + self.key), *headers])

    def call(self, method, target, body=None, status=200, code=None, headers=()):
        answer = self.ask(method, target, body, headers)
        self.test.assertEqual(answer.status, status, (method, target, answer.body[:400]))
        document = answer.json() if answer.body else None
        if status >= 400:
            self.test.assertEqual(document["status"], status)
            if code:
                self.test.assertEqual(document["code"], code, document)
            return document
        return document["data"] if document else None

    def path(self, secret="", scope="agent", scope_id=None):
        return "/agent/secrets/%s/%s" % (scope, scope_id or self.id) + ("/" + secret if secret else "")

    def binding(self, secret, field, scope="agent", scope_id=None):
        return {"scope": scope, "scopeId": scope_id or self.id, "secretId": secret, "fieldKey": field}

    def mint(self, secret, field, **place):
        return self.call("POST", "/agent/secrets/generate-data-key", self.binding(secret, field, **place))

    def store(self, secret, field, value, minted=None, **place):
        envelope = seal(minted or self.mint(secret, field, **place), value)
        self.call("PUT", self.path(secret, **place) + "/fields/" + field, {"sensitivity": "encrypted", "envelope": envelope})
        return envelope

    def unwrap(self, secret, field, envelope, status=200, code=None, **place):
        body = {**self.binding(secret, field, **place), "dataKeyCiphertext": envelope["dataKeyCiphertext"]}
        return self.call("POST", "/agent/secrets/decrypt-data-key", body, status, code)


class ScopedTestCase(CofferTestCase):
    # Rate limits are off; the tests of these say so.
    options = ("--insecure-open",)

    def setUp(self):
        super().setUp()
        self.headers = [("Authorization", "Bearer " + self.coffer.keys["adminKey"])]
        self.tenant = self.operator("POST", "/tenants", {"name": "tenant of " + self.id()}, status=201)["id"]

    def use_fresh(self, **options):
        """A Coffer for this test alone, with a tenant, in the place of the one of all tests."""
        self.coffer = self.fresh(**options)
        self.ask = self.coffer.client()
        self.addCleanup(self.ask.close)
        self.headers = [("Authorization", "Bearer " + self.coffer.keys["adminKey"])]
        self.tenant = self.operator("POST", "/tenants", {"name": "first"}, status=201)["id"]
        return self.coffer

    def operator(self, method, target, body=None, status=200, code=None):
        answer = self.ask(method, "/admin/v1" + target, body, headers=self.headers, key=None)
        self.assertEqual(answer.status, status, (method, target, answer.body[:400]))
        if code:
            self.assertEqual(answer.json()["code"], code)
        return answer.json().get("data")

    def below(self, target, tenant=None):
        return "/tenants/%s/%s" % (tenant or self.tenant, target)

    def agent(self, name="agent", tenant=None, **key):
        return Agent(self, self.operator("POST", self.below("agents", tenant), {"name": name, "issueKey": key}, status=201))

    def team(self, name="team", tenant=None):
        return self.operator("POST", self.below("teams", tenant), {"name": name}, status=201)["id"]

    def project(self, name="project", team=None, tenant=None):
        return self.operator("POST", self.below("projects", tenant), {"name": name, "teamId": team}, status=201)["id"]

    def join(self, agent, scope, scope_id, role, **more):
        target = self.below("agents/%s/memberships/%s/%s" % (agent.id, scope, scope_id))
        self.operator("PUT", target, {"role": role, **more}, status=201)
