"""Makes the frozen store of the schema that the built programs write: Tests/Baselines/schema-N. See README.md."""

import base64
import json
import pathlib
import shutil
import sqlite3
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "EndToEnd"))

from coffer_harness import SECRET_KEY, SECRET_SETTINGS, Coffer  # noqa: E402

SECRETS = [
    {"name": "GITHUB_TOKEN", "value": "value-github", "description": "for the build agent"},
    {"name": "EMPTY", "value": "", "description": None},
    {"name": "UNICODE_2", "value": "value-é☃🔑\r\n\u0000end", "description": "line\nbreak \u202e é"},
    {"name": "token_like", "value": "gAAAAABvalue-that-is-no-token", "description": ""},
    {"name": "LONG", "value": "value-" + "x" * 10000, "description": None},
    {"name": "AGAIN", "value": "value-second-life", "description": "deleted and made again"},
]
PROFILES = {
    "work": {"model": "openai/gpt-4o", "api_key": "value-profile", "aws_secret_access_key": "value-profile-aws"},
    "odd.name-1_2": {"model": "m", "api_key": None},
}
AGENT_PROFILE = {"llm_profile_ref": "work", "enable_sub_agents": True}
CONNECTION = {"display_name": "shared", "api_key": "value-connection", "base_url": "https://llm.example.com"}
# Texts of one field of the scoped dialect, version by version: more than a tenant retains.
FIELD = ["value-field-%d" % version for version in range(1, 9)]
WORKSPACES = [{"id": "1", "name": "a b", "path": "/srv/a b"}, {"id": "2", "name": "é", "path": "/srv/é"}]


def fill(coffer, ask):
    def done(method, target, body=None, **options):
        answer = ask(method, target, body, **options)
        assert answer.status in (200, 201), "%s %s: %d %s" % (method, target, answer.status, answer.body)
        return answer

    done("PATCH", "/api/settings", {"agent_settings_diff": SECRET_SETTINGS, "misc_settings_diff": {"kept": [1, {"é": None}]}})
    done("PUT", "/api/settings/secrets", {"name": "AGAIN", "value": "value-first-life"})
    done("DELETE", "/api/settings/secrets/AGAIN")
    done("PUT", "/api/settings/secrets", {"name": "DELETED", "value": "value-deleted"})
    done("DELETE", "/api/settings/secrets/DELETED")
    for secret in SECRETS:
        done("PUT", "/api/settings/secrets", secret)
    connection = done("POST", "/api/llm/provider-connections", CONNECTION).json()["id"]
    for name, llm in {**PROFILES, "linked": {"model": "m", "provider_connection_id": connection}}.items():
        done("POST", "/api/profiles/" + name, {"llm": llm})
    done("POST", "/api/agent-profiles/coder", AGENT_PROFILE)
    done("POST", "/api/workspaces", {"workspaces": WORKSPACES})
    done("GET", "/api/settings/secrets/GITHUB_TOKEN")

    def key(*options):
        return json.loads(coffer.command("key", "create", "--dir", coffer.folder, "--json", *options).stdout)

    masked, revoked = key("--level", "masked", "--name", "kept"), key("--level", "backend", "--name", "revoked")
    coffer.command("key", "revoke", "--dir", coffer.folder, revoked["id"])
    assert ask("GET", "/api/settings/secrets/EMPTY", key=masked["key"]).status == 403
    return {"masked": masked["key"], "revoked": revoked["key"]}


def fill_scoped(coffer, ask):
    """A secret of an agent: a field of many versions, one that was removed, and one sealed under a data key."""
    agent = coffer.command("agent", "create", "keeper", "--dir", coffer.folder).stdout.split()[0]
    key = coffer.command("agent", "key", "create", agent, "--dir", coffer.folder).stdout.split()[0]
    own = "/agent/secrets/agent/%s/kept" % agent

    def done(method, target, body=None):
        answer = ask(method, target, body, key=None, headers={"Authorization": "Bearer " + key})
        assert answer.status == 200, "%s %s: %d %s" % (method, target, answer.status, answer.body)
        return answer.json()["data"]

    done("PUT", own, {"name": "Kept", "fields": [{"key": "gone", "sensitivity": "plaintext", "value": "value-gone"}]})
    for value in FIELD:
        done("PUT", own + "/fields/many", {"sensitivity": "plaintext", "value": value})
    done("DELETE", own + "/fields/gone")
    place = {"scope": "agent", "scopeId": agent, "secretId": "kept", "fieldKey": "sealed"}
    minted = done("POST", "/agent/secrets/generate-data-key", place)
    parts = {"iv": bytes(12), "ciphertext": b"sealed elsewhere", "authTag": bytes(16)}
    envelope = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    envelope = {"version": 1, **envelope, "dataKeyCiphertext": minted["dataKeyCiphertext"]}
    done("PUT", own + "/fields/sealed", {"sensitivity": "encrypted", "envelope": envelope})
    return {"key": key, "agent": agent, "versions": FIELD, "envelope": envelope, "dataKey": minted["plaintextKey"]}


def main():
    coffer = Coffer(environment={"OH_SECRET_KEY": SECRET_KEY})
    try:
        keys = coffer.init()
        coffer.up()
        ask = coffer.client()
        keys = {"session": keys["sessionKey"], "admin": keys["adminKey"], **fill(coffer, ask)}
        scoped = fill_scoped(coffer, ask)
        ask.close()
        coffer.stop()
        entries = len(coffer.audit())
        folder = pathlib.Path(coffer.folder)
        database = folder / "store" / "coffer.db"
        assert (folder / "store" / "coffer.db-wal").stat().st_size == 0
        connection = sqlite3.connect("file:%s?mode=ro&immutable=1" % database, uri=True)
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.close()
        target = HERE / ("schema-%d" % schema)
        target.mkdir()
        shutil.copyfile(database, target / "coffer.db")
        shutil.copyfile(folder / "keys" / "root.key", target / "root.key")
        expected = {
            "wireSecret": SECRET_KEY, "keys": keys, "auditEntries": entries, "agentSettings": SECRET_SETTINGS, "secrets": SECRETS,
            "profiles": PROFILES, "agentProfile": AGENT_PROFILE, "connection": CONNECTION, "workspaces": WORKSPACES,
            "scoped": scoped,
        }  # fmt: skip
        (target / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=True) + "\n")
        print("%s: schema %d, %d audit entries" % (target, schema, entries))
    finally:
        coffer.destroy()


if __name__ == "__main__":
    main()
