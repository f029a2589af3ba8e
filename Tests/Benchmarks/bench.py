"""Times both dialects through nginx and TLS beside a C echo and nginx's own files, in interleaved rounds.

    bench.py [--rounds N] [--seconds N] [--only WORD]

Prints one line a row: requests a second (median of the rounds), the ratio to the echo of equal answer size measured just
before it, the floor and the goal, latencies in milliseconds, and the CPU time a request costs cofferd and nginx.
Exit 1 when a floor is missed.
"""

import argparse
import base64
import json
import statistics
import sys

from rig import Rig, machine, start_time

SETTINGS = {
    "agent_settings_diff": {
        "llm": {"model": "openai/gpt-5", "api_key": "benchmark-key-0123456789abcdef", "extra_headers": {"Authorization": "Bearer x1"}},
        "mcp_config": {"files": {"command": "npx", "args": ["-y"], "env": {"TOKEN": "benchmark-token"}}},
    },
    "misc_settings_diff": {"theme": "dark"},
}
VALUE = "v" * 200


class Row:
    def __init__(self, name, method, path, floor, goal, headers=(), body=None, clients=64):
        self.name, self.method, self.path, self.floor, self.goal = name, method, path, floor, goal
        self.headers, self.body, self.clients = list(headers), body, clients


def rows(rig):
    key = [("X-Session-API-Key", rig.key)]
    as_json = key + [("Content-Type", "application/json")]
    agent = [("Authorization", "Bearer " + rig.agent_key), ("Content-Type", "application/json")]
    place = {"scope": "agent", "scopeId": rig.agent, "secretId": "bench_0", "fieldKey": "sealed"}
    own = "/agent/secrets/agent/" + rig.agent
    put = json.dumps({"name": "BENCH_@", "value": VALUE, "description": "one of a thousand"})
    patch = json.dumps({"misc_settings_diff": {"counter": "@"}})
    return [
        Row("GET /api/settings", "GET", "/api/settings", 0.70, 0.90, key),
        Row("GET /api/settings, encrypted", "GET", "/api/settings", 0.70, 0.90, key + [("X-Expose-Secrets", "encrypted")]),
        Row("GET /api/settings, plaintext, audited", "GET", "/api/settings", None, None, key + [("X-Expose-Secrets", "plaintext")]),
        Row("GET a secret's value, audited", "GET", "/api/settings/secrets/BENCH_@", 0.40, 0.55, key),
        Row("PUT a secret, durable, audited", "PUT", "/api/settings/secrets", 0.35, 0.50, as_json, put),
        Row("PUT a secret, 1 client", "PUT", "/api/settings/secrets", None, None, as_json, put, clients=1),
        Row("PATCH /api/settings, durable, audited", "PATCH", "/api/settings", None, None, as_json, patch),
        Row("mint a data key, audited", "POST", "/agent/secrets/generate-data-key", 0.40, 0.55, agent, json.dumps(place)),
        Row("decrypt a data key, audited", "POST", "/agent/secrets/decrypt-data-key", 0.40, 0.55, agent,
            json.dumps({**place, "dataKeyCiphertext": rig.wrapped})),
        Row("GET a field, its envelope", "GET", own + "/bench_0/fields/sealed", 0.75, 0.90, agent),
        Row("PUT a field, durable, audited", "PUT", own + "/bench_@/fields/f", 0.35, 0.50, agent,
            json.dumps({"sensitivity": "plaintext", "value": "#"})),
        Row("GET /alive", "GET", "/alive", None, None),
    ]


def prepare_agent(rig):
    """A thousand secrets to write fields of, as many as a scope holds; the first with a sealed field too."""
    agent = [("Authorization", "Bearer " + rig.agent_key)]
    own = "/agent/secrets/agent/" + rig.agent

    def done(method, target, body):
        status, answer = rig.ask(method, target, body, agent)
        assert status == 200, (status, answer)
        return json.loads(answer)["data"]

    for number in range(1000):
        done("PUT", "%s/bench_%d" % (own, number), {})
    place = {"scope": "agent", "scopeId": rig.agent, "secretId": "bench_0", "fieldKey": "sealed"}
    rig.wrapped = done("POST", "/agent/secrets/generate-data-key", place)["dataKeyCiphertext"]
    # The server cannot tell sealed bytes from others, and need not.
    parts = {"iv": bytes(12), "ciphertext": bytes(200), "authTag": bytes(16)}
    envelope = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    done("PUT", own + "/bench_0/fields/sealed", {
        "sensitivity": "encrypted", "envelope": {"version": 1, **envelope, "dataKeyCiphertext": rig.wrapped}})  # fmt: skip


def prepare(rig):
    status, _ = rig.ask("PATCH", "/api/settings", SETTINGS)
    assert status == 200, status
    for number in range(1000):
        status, _ = rig.ask("PUT", "/api/settings/secrets", {"name": "BENCH_%d" % number, "value": VALUE})
        assert status == 200, status


def measure(rig, row, rounds, seconds):
    """Rounds of (echo, Coffer), one right after the other."""
    status, body = rig.ask(row.method, row.path.replace("@", "1"), row.body and json.loads(row.body.replace("@", "1").replace("#", "1")), row.headers)
    assert status == 200, "%s: %d" % (row.name, status)
    echo_path = "/echo/%d" % len(body)
    pairs = []
    for _ in range(rounds):
        echo = rig.load("echo", row.method, echo_path, row.clients, seconds, row.headers, row.body)
        ours = rig.load("coffer", row.method, row.path, row.clients, seconds, row.headers, row.body)
        assert echo["failed"] == 0 and ours["failed"] == 0, "%s: requests failed: %r" % (row.name, (echo, ours))
        pairs.append((echo, ours))
    return len(body), pairs


def median(values):
    return statistics.median(values)


HEAD = "%-40s %7s %9s %9s %6s %6s %6s %8s %8s %9s %9s %9s" % (
    "row", "bytes", "req/s", "echo", "ratio", "floor", "goal", "p50 ms", "p99 ms", "cofferd", "echo us", "nginx us")  # fmt: skip


def line(row, size, pairs):
    ratio = median([ours["rate"] / echo["rate"] for echo, ours in pairs])

    def of(which, name):
        return median([pair[which][name] for pair in pairs])

    print("%-40s %7d %9.0f %9.0f %6.2f %6s %6s %8.2f %8.2f %9.1f %9.1f %9.1f" % (
        row.name, size, of(1, "rate"), of(0, "rate"), ratio, row.floor or "-", row.goal or "-", of(1, "p50") / 1000, of(1, "p99") / 1000,
        of(1, "cofferd"), of(0, "echo"), of(1, "nginx")), flush=True)  # fmt: skip
    return ratio


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--only", default="")
    options = options.parse_args()
    print(machine())
    print("64 TLS connections, %d rounds of %d s; CPU in microseconds a request\n" % (options.rounds, options.seconds))
    print(HEAD)
    missed, rates = [], {}
    with Rig() as rig:
        rested = rig.resident("cofferd")
        prepare(rig)
        prepare_agent(rig)
        loaded = rested
        for row in rows(rig):
            if options.only not in row.name:
                continue
            size, pairs = measure(rig, row, options.rounds, options.seconds)
            ratio = line(row, size, pairs)
            rates[row.name] = median([ours["rate"] for _, ours in pairs])
            loaded = max(loaded, rig.resident("cofferd"))
            if row.floor and ratio < row.floor:
                missed.append(row.name)
            if row.name == "GET /api/settings":
                files = [rig.load("static", "GET", rig.static_file(size), 64, options.seconds) for _ in range(options.rounds)]
                print("%-40s %7d %9.0f" % ("nginx, a file of that size", size, median([run["rate"] for run in files])))
        after = rig.resident("cofferd")
    if "PUT a secret, 1 client" in rates and "PUT a secret, durable, audited" in rates:
        gain = rates["PUT a secret, durable, audited"] / rates["PUT a secret, 1 client"]
        print("\nPUT at 64 clients / PUT at 1 client: %.1f (floor 6, goal 9)" % gain)
        if gain < 6:
            missed.append("group commit")
    print("cofferd's resident memory: %.1f MB before, %.1f MB at most, %.1f MB after (floor 30, goal 20)" % (
        rested / 1e6, loaded / 1e6, after / 1e6))  # fmt: skip
    if loaded > 30e6:
        missed.append("memory")
    begun = median(start_time())
    print("start to first answer: %.0f ms (floor 100, goal 30)" % begun)
    if begun > 100:
        missed.append("start")
    print("\nfloors missed: %s" % (", ".join(missed) or "none"))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
