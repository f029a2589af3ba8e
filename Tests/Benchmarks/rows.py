"""The requests that are measured, and the store they are measured on."""

import base64
import json

from figures import Bound
from rig import Request

SETTINGS = {
    "agent_settings_diff": {
        "llm": {"model": "openai/gpt-5", "api_key": "benchmark-key-0123456789abcdef", "extra_headers": {"Authorization": "Bearer x1"}},
        "mcp_config": {"files": {"command": "npx", "args": ["-y"], "env": {"TOKEN": "benchmark-token"}}},
    },
    "misc_settings_diff": {"theme": "dark"},
}
VALUE = "v" * 200


class Row:
    """`bound` is of the ratio to the echo."""

    def __init__(self, name, request, bound=None):
        self.name, self.request, self.bound = name, request, bound


def settings_rows(headers):
    """The settings dialect, which the OpenHands agent server speaks too."""
    as_json = headers + [("Content-Type", "application/json")]
    put = json.dumps({"name": "BENCH_@", "value": VALUE, "description": "one of a thousand"})
    patch = json.dumps({"misc_settings_diff": {"counter": "#"}})
    return [
        Row("GET settings", Request("GET", "/api/settings", headers), Bound(0.70, 0.90)),
        Row("GET settings, encrypted", Request("GET", "/api/settings", headers + [("X-Expose-Secrets", "encrypted")]), Bound(0.70, 0.90)),
        Row("GET settings, plaintext", Request("GET", "/api/settings", headers + [("X-Expose-Secrets", "plaintext")])),
        Row("GET a secret", Request("GET", "/api/settings/secrets/BENCH_@", headers), Bound(0.40, 0.55)),
        Row("PUT a secret", Request("PUT", "/api/settings/secrets", as_json, put), Bound(0.35, 0.50)),
        Row("PATCH settings", Request("PATCH", "/api/settings", as_json, patch)),
    ]


def scoped_rows(coffer):
    """The scoped dialect, for the agent of that responder."""
    agent, own = coffer.agent_headers, "/agent/secrets/agent/" + coffer.agent
    place = sealed_place(coffer)
    decrypt = json.dumps({**place, "dataKeyCiphertext": coffer.wrapped})
    put = json.dumps({"sensitivity": "plaintext", "value": "#"})
    return [
        Row("mint a data key", Request("POST", "/agent/secrets/generate-data-key", agent, json.dumps(place)), Bound(0.40, 0.55)),
        Row("decrypt a data key", Request("POST", "/agent/secrets/decrypt-data-key", agent, decrypt), Bound(0.40, 0.55)),
        Row("GET a field", Request("GET", own + "/bench_%07d/fields/sealed" % 0, agent), Bound(0.75, 0.90)),
        Row("PUT a field", Request("PUT", own + "/bench_@/fields/f", agent, put), Bound(0.35, 0.50)),
    ]


def rows(coffer):
    """Everything that has a bound, and what explains it."""
    return settings_rows(coffer.session) + scoped_rows(coffer) + [Row("GET /alive", Request("GET", "/alive"))]


def sealed_place(coffer):
    return {"scope": "agent", "scopeId": coffer.agent, "secretId": "bench_%07d" % 0, "fieldKey": "sealed"}


def prepare(rig, coffer, count=1000):
    """Settings, `count` custom secrets, and as many scoped ones, the first with a sealed field too."""
    status, answer = coffer.ask("PATCH", "/api/settings", SETTINGS, coffer.session)
    assert status == 200, (status, answer)
    request = next(row.request for row in settings_rows(coffer.session) if row.name == "PUT a secret")
    rig.fill(coffer, Request("PUT", request.path, request.headers, request.body, count))
    own = "/agent/secrets/agent/" + coffer.agent
    rig.fill(coffer, Request("PUT", own + "/bench_@", coffer.agent_headers, "{}", count))

    def done(method, target, body):
        status, answer = coffer.ask(method, target, body, coffer.agent_headers)
        assert status == 200, (status, answer)
        return json.loads(answer)["data"]

    coffer.wrapped = done("POST", "/agent/secrets/generate-data-key", sealed_place(coffer))["dataKeyCiphertext"]
    # The server cannot tell sealed bytes from others, and need not.
    parts = {"iv": bytes(12), "ciphertext": bytes(200), "authTag": bytes(16)}
    envelope = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    done("PUT", own + "/bench_%07d/fields/sealed" % 0, {
        "sensitivity": "encrypted", "envelope": {"version": 1, **envelope, "dataKeyCiphertext": coffer.wrapped}})  # fmt: skip
