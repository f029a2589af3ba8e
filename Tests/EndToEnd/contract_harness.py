"""A tenant with teams, projects and agents, made through the operator surface, and what an agent's program does:
mint, seal, open. Sealing here is the `cryptography` library's, so that nothing of Coffer judges itself."""

import base64
import itertools
import os

from coffer_harness import Client
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENVELOPE_MEMBERS = {"version", "iv", "ciphertext", "authTag", "dataKeyCiphertext"}


def b64(data):
    return base64.b64encode(data).decode()


def seal(value, minted, iv=None):
    """The envelope of a client: fresh iv, no additional data."""
    iv = iv or os.urandom(12)
    sealed = AESGCM(base64.b64decode(minted["plaintextKey"])).encrypt(iv, value, None)
    return {
        "version": 1, "iv": b64(iv), "ciphertext": b64(sealed[:-16]), "authTag": b64(sealed[-16:]),
        "dataKeyCiphertext": minted["dataKeyCiphertext"],
    }  # fmt: skip


def open_envelope(envelope, plaintext_key):
    """The value, or None when the tag does not fit."""
    parts = {name: base64.b64decode(envelope[name], validate=True) for name in ("iv", "ciphertext", "authTag")}
    try:
        return AESGCM(base64.b64decode(plaintext_key)).decrypt(parts["iv"], parts["ciphertext"] + parts["authTag"], None)
    except InvalidTag:
        return None


class Operator:
    """The admin surface with an owner's key; `data` of each answer, which must have the expected status."""

    def __init__(self, coffer, key=None):
        self.client = Client(coffer.port, tls=coffer.tls)
        self.key = key or coffer.keys["adminKey"]

    def raw(self, method, path, body=None, headers=()):
        return self.client(method, "/admin/v1" + path, body, {"Authorization": "Bearer " + self.key, **dict(headers)}, key=None)

    def __call__(self, method, path, body=None, status=None):
        answer = self.raw(method, path, body)
        wanted = {status or {"POST": 201}.get(method, 200)} | ({201} if method == "PUT" else set())
        assert answer.status in wanted, "%s %s: %d %s" % (method, path, answer.status, answer.body[:300])
        return answer.json()["data"]

    def close(self):
        self.client.close()


class Agent:
    """One agent with its key."""

    def __init__(self, coffer, tenant, agent, key):
        self.client = Client(coffer.port, tls=coffer.tls)
        self.tenant, self.id, self.key = tenant, agent, key

    def __call__(self, method, path, body=None, headers=(), key=...):
        token = self.key if key is ... else key
        fields = {"Authorization": "Bearer " + token} if token is not None else {}
        return self.client(method, path, body, {**fields, **dict(headers)}, key=None)

    def data(self, method, path, body=None, headers=(), status=200):
        answer = self(method, path, body, headers)
        assert answer.status == status, "%s %s: %d %s" % (method, path, answer.status, answer.body[:300])
        return answer.json().get("data")

    @property
    def own(self):
        return "/agent/secrets/agent/" + self.id

    @property
    def org(self):
        return "/agent/secrets/org/" + self.tenant

    def binding(self, path, secret, field):
        scope, scope_id = path.split("/")[3:5]
        return {"scope": scope, "scopeId": scope_id, "secretId": secret, "fieldKey": field}

    def mint(self, path, secret, field):
        return self.data("POST", "/agent/secrets/generate-data-key", self.binding(path, secret, field))

    def set_sealed(self, path, secret, field, value, minted=None):
        """Mints, seals and stores; (minted, envelope)."""
        minted = minted or self.mint(path, secret, field)
        envelope = seal(value, minted)
        self.data("PUT", "%s/%s/fields/%s" % (path, secret, field), {"sensitivity": "encrypted", "envelope": envelope})
        return minted, envelope

    def open(self, path, secret, field, query=""):
        """Reads an encrypted field and opens it."""
        envelope = self.data("GET", "%s/%s/fields/%s%s" % (path, secret, field, query))["envelope"]
        body = {**self.binding(path, secret, field), "dataKeyCiphertext": envelope["dataKeyCiphertext"]}
        return open_envelope(envelope, self.data("POST", "/agent/secrets/decrypt-data-key", body)["plaintextKey"])

    def create(self, path, secret, **body):
        return self.data("PUT", "%s/%s" % (path, secret), body)

    def close(self):
        self.client.close()


class World:
    """A tenant of its own."""

    _numbers = itertools.count(1)

    def __init__(self, coffer, operator, **settings):
        self.coffer, self.operator = coffer, operator
        self.id = operator("POST", "/tenants", {"name": "tenant-%d" % next(self._numbers)})["id"]
        self.agents = []
        if settings:
            operator("PATCH", self.path + "/settings", settings)

    @property
    def path(self):
        return "/tenants/" + self.id

    def team(self, name):
        return self.operator("POST", self.path + "/teams", {"name": name})["id"]

    def project(self, name, team=None):
        return self.operator("POST", self.path + "/projects", {"name": name, **({"teamId": team} if team else {})})["id"]

    def agent(self, name="agent", **key):
        made = self.operator("POST", self.path + "/agents", {"name": name})
        return self.with_key(made["id"], **key)

    def with_key(self, agent, **key):
        made = self.operator("POST", "%s/agents/%s/keys" % (self.path, agent), {"name": "key", **key})
        client = Agent(self.coffer, self.id, agent, made["key"])
        client.key_id = made["id"]
        self.agents.append(client)
        return client

    def join(self, agent, scope, scope_id, role, **more):
        return self.operator(
            "PUT", "%s/agents/%s/memberships/%s/%s" % (self.path, agent.id, scope, scope_id), {"role": role, **more})

    def close(self):
        for agent in self.agents:
            agent.close()
