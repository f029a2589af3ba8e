"""T02 for data keys and envelopes: a second implementation of both, after docs/formats.md and with Python's `cryptography`, against the server. What the server
wraps it opens, and what it wraps the server takes."""

import base64
import concurrent.futures
import dataclasses
import os
import pathlib
import random
import sqlite3
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scoped_harness import Agent, ScopedTestCase, seal, unseal

COUNT = int(os.environ.get("COFFER_ENVELOPES", "10000"))
THREADS = 4


def lp(*parts):
    """Each behind its length, four bytes."""
    return b"".join(struct.pack(">I", len(part)) + part for part in (p.encode() if isinstance(p, str) else p for p in parts))


@dataclasses.dataclass
class KEK:
    id: bytes
    version: int
    key: bytes

    @classmethod
    def newest(cls, folder, tenant):
        """Out of the files of a store, with its root key."""
        kind, root_id, root_key, _ = pathlib.Path(folder, "keys", "root.key").read_text(encoding="ascii").split()
        assert kind == "coffer-root-key-v1"
        database = next(pathlib.Path(folder, "store").glob("*.db"))
        with sqlite3.connect("file:%s?mode=ro" % database, uri=True) as connection:
            rows = connection.execute("SELECT version, kek_id, root_key_id, wrapped FROM keks WHERE tenant = ? ORDER BY version", (tenant,)).fetchall()
        connection.close()
        version, kek_id, wrapped_by, wrapped = rows[-1]
        assert wrapped_by == root_id and len(wrapped) == 60
        binding = lp("scoped-secrets/kek/v1", root_id, tenant, kek_id) + struct.pack(">I", version)
        return cls(kek_id, version, AESGCM(base64.b64decode(root_key)).decrypt(wrapped[:12], wrapped[12:], binding))

    @staticmethod
    def additional(header, tenant, place):
        return header + lp("scoped-secrets/data-key/v1", tenant, place["scope"], place["scopeId"], place["secretId"], place["fieldKey"])

    def unwrap(self, blob, tenant, place):
        """(data key, its id, Unix milliseconds of its issue)."""
        assert len(blob) == 110
        magic, algorithm, flags, kek_id, version, key_id, issued = struct.unpack(">4sBB16sI16sQ", blob[:50])
        assert (magic, algorithm, flags, kek_id, version) == (b"DKW1", 1, 0, self.id, self.version)
        return AESGCM(self.key).decrypt(blob[50:62], blob[62:], self.additional(blob[:50], tenant, place)), key_id, issued

    def wrap(self, key, tenant, place, issued=None):
        issued = int(time.time() * 1000) if issued is None else issued
        header = struct.pack(">4sBB16sI16sQ", b"DKW1", 1, 0, self.id, self.version, os.urandom(16), issued)
        nonce = os.urandom(12)
        return header + nonce + AESGCM(self.key).encrypt(nonce, key, self.additional(header, tenant, place))


class EnvelopeTests(ScopedTestCase):
    def setUp(self):
        super().setUp()
        self.operator("PATCH", self.below("settings"), {"maxSecretsPerScope": 1000, "retainVersions": 3})
        self.mine = self.agent()
        self.kek = KEK.newest(self.coffer.folder, self.tenant)

    def test_both_implementations_open_what_either_made(self):
        ids, began = set(), int(time.time() * 1000)

        def exchange(number):
            source = random.Random(number)
            agent = Agent(self, {"id": self.mine.id, "key": self.mine.key, "keyId": self.mine.key_id})
            secrets = ["%s%d-%d" % (source.choice("aZ9"), number, n) for n in range(5)]
            for secret in secrets:
                agent.call("PUT", agent.path(secret), {})
            found = []
            for n in range(COUNT // THREADS):
                place = agent.binding(source.choice(secrets), source.choice(("a", "_b.c", "long-" + "x" * 59)))
                # The server's, opened here.
                minted = agent.mint(place["secretId"], place["fieldKey"])
                key, key_id, issued = self.kek.unwrap(base64.b64decode(minted["dataKeyCiphertext"]), self.tenant, place)
                assert base64.b64encode(key).decode() == minted["plaintextKey"] and key_id.hex() == minted["dataKeyId"]
                assert began - 1000 <= issued <= time.time() * 1000 + 1000
                found.append(key_id)
                # One made here, taken by the server.
                key, value = os.urandom(32), source.randbytes(source.choice((0, 1, 16, 100, 1000)))
                wrapped = self.kek.wrap(key, self.tenant, place)
                made = {"plaintextKey": base64.b64encode(key).decode(), "dataKeyCiphertext": base64.b64encode(wrapped).decode()}
                envelope = seal(made, value)
                target = agent.path(place["secretId"]) + "/fields/" + place["fieldKey"]
                agent.call("PUT", target, {"sensitivity": "encrypted", "envelope": envelope})
                opened = agent.unwrap(place["secretId"], place["fieldKey"], envelope)["plaintextKey"]
                assert opened == made["plaintextKey"]
                if n % 10 == 0:
                    read = agent.call("GET", target)["envelope"]
                    assert read == envelope and unseal(read, opened) == value
            return found

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for found in pool.map(exchange, range(THREADS)):
                ids.update(found)
        self.assertEqual(len(ids), COUNT // THREADS * THREADS)
        print("\nT02 reached: %d data keys in each direction, 0 differ" % len(ids))

    def test_what_differs_in_one_bit_or_place_is_refused(self):
        self.mine.call("PUT", self.mine.path("s"), {})
        place, key = self.mine.binding("s", "f"), os.urandom(32)
        good = self.kek.wrap(key, self.tenant, place)

        def store(blob, status=400, code="invalid_data_key"):
            made = {"plaintextKey": base64.b64encode(key).decode(), "dataKeyCiphertext": base64.b64encode(blob).decode()}
            body = {"sensitivity": "encrypted", "envelope": seal(made, b"value")}
            self.mine.call("PUT", self.mine.path("s") + "/fields/f", body, status, code)

        for position in range(len(good)):
            with self.subTest(position=position):
                changed = bytearray(good)
                changed[position] ^= 1 << random.randrange(8)
                store(bytes(changed))
        others = {**place, "fieldKey": "g"}, {**place, "secretId": "t"}, {**place, "scope": "org"}, {**place, "secretId": "sf", "fieldKey": ""}
        for other in others:
            store(self.kek.wrap(key, self.tenant, other))
        store(self.kek.wrap(key, "ten_" + "0" * 26, place))
        store(KEK(self.kek.id, self.kek.version, os.urandom(32)).wrap(key, self.tenant, place))
        store(KEK(self.kek.id, self.kek.version + 1, self.kek.key).wrap(key, self.tenant, place))
        store(KEK(os.urandom(16), self.kek.version, self.kek.key).wrap(key, self.tenant, place))
        for issued in (0, 1, int(time.time() * 1000) - 901_000):
            store(self.kek.wrap(key, self.tenant, place, issued), 409, "data_key_expired")
        store(good, 200, None)
        minted = self.mine.mint("s", "f")
        with self.assertRaises(InvalidTag):
            self.kek.unwrap(base64.b64decode(minted["dataKeyCiphertext"]), self.tenant, {**place, "fieldKey": "g"})
