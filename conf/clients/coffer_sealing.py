"""Secrets of Coffer's scoped dialect, sealed and opened where they are used. One file; needs `cryptography`; Python 3.9 or later.

The server mints a one-time data key for one field. The value is sealed here with AES-256-GCM (12 random bytes of IV, no additional
data, a tag of 16 bytes), and the server keeps the envelope, which it does not open. Keys are bytearrays that are overwritten after
use; what Python and the libraries copy stays until it is collected.

    from coffer_sealing import CofferAgent
    agent = CofferAgent("https://secrets.example.org", key)
    me = agent.whoami()["agentId"]
    agent.create("agent", me, "acme-api", category="api_key")
    agent.set_sealed("agent", me, "acme-api", "token", "sk-test")
    text = agent.value("agent", me, "acme-api", "token").decode()
"""

import base64
import binascii
import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MEMBERS = {"version", "iv", "ciphertext", "authTag", "dataKeyCiphertext"}


class CofferError(Exception):
    """Why a call was refused. `code` is what programs decide by (`scope_forbidden`); no value is in any text."""

    def __init__(self, message, code="", status=0, details=None):
        super().__init__(message)
        self.code, self.status, self.details = code, status, details or {}


def seal(key, value, data_key_ciphertext):
    """A value (text or bytes) under a data key as an EncryptedEnvelopeV1. `key` (a bytearray of 32) is overwritten with zeros."""
    try:
        iv = os.urandom(12)
        sealed = _cipher(key).encrypt(iv, value.encode() if isinstance(value, str) else bytes(value), None)
        parts = {"iv": iv, "ciphertext": sealed[:-16], "authTag": sealed[-16:]}
        envelope = {name: base64.b64encode(part).decode() for name, part in parts.items()}
        return {"version": 1, **envelope, "dataKeyCiphertext": data_key_ciphertext}
    finally:
        wipe(key)


def unseal(envelope, key):
    """The bytes in an envelope. `key` (a bytearray of 32) is overwritten with zeros.

    Raises CofferError with the code `envelope_not_opened` whatever is wrong.
    """
    try:
        if set(envelope) != MEMBERS or type(envelope["version"]) is not int or envelope["version"] != 1:
            raise ValueError("not an envelope")
        tag = bytes(_decode(envelope["authTag"], 16))
        return _cipher(key).decrypt(bytes(_decode(envelope["iv"], 12)), bytes(_decode(envelope["ciphertext"])) + tag, None)
    except (InvalidTag, ValueError, TypeError, CofferError):
        raise CofferError("the envelope does not open with this data key", "envelope_not_opened") from None
    finally:
        wipe(key)


def wipe(key):
    """Overwrites a bytearray with zeros."""
    key[:] = bytes(len(key))


class CofferAgent:
    """One agent and its calls. Each gives what stands in `data` of the answer, or raises CofferError."""

    def __init__(self, url, key, cafile=None, timeout=30):
        """`url`: the server's origin; `key`: an agent key; `cafile`: certificates (PEM) to trust instead of the system's."""
        # A key travels over TLS, or does not leave the machine.
        if not re.match(r"https://|http://(localhost|\[::1\]|127(\.\d+){3})(:\d+)?/*$", url):
            raise CofferError("the address must begin with https://; http:// is for this machine only", "invalid_url")
        self._url, self._key, self._timeout = url.rstrip("/"), key, timeout
        handlers = [_NoRedirect]
        if self._url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=cafile)))
        self._opener = urllib.request.build_opener(*handlers)

    def whoami(self):
        """Which agent this is: agentId, tenantId, capabilities and more."""
        return self._call("GET", "/identity/whoami")

    def scopes(self):
        """The scopes this agent is in, each with scope, scopeId, name and role."""
        return self._call("GET", "/secrets/scopes")

    def list(self, scope, scope_id):
        """The secrets of a scope, without values."""
        return self._call("GET", _path(scope, scope_id))

    def get(self, scope, scope_id, secret_id):
        """A secret: aggregate and envelopes; plaintext fields have their value, others an envelope. The read is recorded."""
        return self._call("GET", _path(scope, scope_id, secret_id))

    def resolve(self, secret_id):
        """The secret this agent uses under an id, over all its scopes; resolvedFrom names where it is from."""
        return self._call("GET", _path("effective", secret_id))

    def create(self, scope, scope_id, secret_id, **secret):
        """Makes a secret: secretName, category, tags, fields, all of them optional."""
        return self._call("PUT", _path(scope, scope_id, secret_id), secret, {"If-None-Match": "*"})

    def remove(self, scope, scope_id, secret_id):
        """Deletes a secret; an operator can restore it for a while."""
        return self._call("DELETE", _path(scope, scope_id, secret_id))

    def mint(self, scope, scope_id, secret_id, field_key):
        """A one-time data key for one field: the key as a bytearray of 32, and its wrapped form for the envelope."""
        minted = self._call("POST", "/secrets/generate-data-key", _binding(scope, scope_id, secret_id, field_key))
        return _decode(minted["plaintextKey"], 32), minted["dataKeyCiphertext"]

    def decrypt_data_key(self, scope, scope_id, secret_id, field_key, data_key_ciphertext):
        """The data key of a stored envelope as a bytearray of 32. It is recorded."""
        body = {**_binding(scope, scope_id, secret_id, field_key), "dataKeyCiphertext": data_key_ciphertext}
        return _decode(self._call("POST", "/secrets/decrypt-data-key", body)["plaintextKey"], 32)

    def set_sealed(self, scope, scope_id, secret_id, field_key, value):
        """Seals a text or bytes here and stores the envelope in a field. The secret must be there."""
        key, wrapped = self.mint(scope, scope_id, secret_id, field_key)
        body = {"sensitivity": "encrypted", "envelope": seal(key, value, wrapped)}
        return self._call("PUT", _path(scope, scope_id, secret_id, "fields", field_key), body)

    def set_plain(self, scope, scope_id, secret_id, field_key, value):
        """Stores a text that the server may see."""
        body = {"sensitivity": "plaintext", "value": value}
        return self._call("PUT", _path(scope, scope_id, secret_id, "fields", field_key), body)

    def value(self, scope, scope_id, secret_id, field_key):
        """A field's value as bytes, opened here when it is sealed."""
        field = self._call("GET", _path(scope, scope_id, secret_id, "fields", field_key))
        if field["sensitivity"] == "plaintext":
            return field["value"].encode()
        return self.open_sealed(scope, scope_id, secret_id, field_key, field["envelope"])

    def open_sealed(self, scope, scope_id, secret_id, field_key, envelope):
        """The bytes in an envelope of a field, with the data key that the server unwraps for it."""
        return unseal(envelope, self.decrypt_data_key(scope, scope_id, secret_id, field_key, envelope["dataKeyCiphertext"]))

    def _call(self, method, target, body=None, headers=()):
        data = None if body is None else json.dumps(body).encode()
        fields = {"Authorization": "Bearer " + self._key, "Accept": "application/json", **dict(headers)}
        if data is not None:
            fields["Content-Type"] = "application/json"
        request = urllib.request.Request(self._url + "/agent" + target, data, fields, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return json.loads(answer.read())["data"]
        except urllib.error.HTTPError as answer:
            with answer:
                raise _refusal(answer) from None
        except (OSError, http.client.HTTPException) as error:
            raise CofferError("%s gave no answer: %s" % (self._url, getattr(error, "reason", error)), "unreachable") from None
        except (ValueError, KeyError, TypeError):
            raise CofferError("%s answered without JSON data; is it a Coffer server?" % self._url, "unexpected_answer") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the server that was named, and to no other."""

    def redirect_request(self, *_):
        return None


def _refusal(answer):
    try:
        document = json.loads(answer.read())
        return CofferError(document["message"], document.get("code", ""), answer.code, document.get("details"))
    except (ValueError, KeyError, TypeError):
        return CofferError("the server answered %d" % answer.code, status=answer.code)


def _binding(scope, scope_id, secret_id, field_key):
    return {"scope": scope, "scopeId": scope_id, "secretId": secret_id, "fieldKey": field_key}


def _path(*parts):
    return "/secrets/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)


def _cipher(key):
    if len(key) != 32:
        raise CofferError("a data key has 32 bytes", "invalid_data_key")
    return AESGCM(bytes(key))


def _decode(text, count=None):
    """Standard base64 with padding (RFC 4648, section 4) and nothing else: no white space, unused bits zero."""
    try:
        data = bytearray(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError, ValueError):
        data = None
    if data is None or base64.b64encode(data).decode() != text or (count is not None and len(data) != count):
        raise CofferError("the base64 is not what it should be", "invalid_base64")
    return data
