"""How Coffer's costs grow with what is stored: stores of different sizes, each with a cofferd of its own, measured in turns.

Half of a store's secrets are custom secrets of one tenant, half are scoped secrets with a field in one agent's scope (its tenant
lets a scope hold that many). They come in by PUT through nginx, like anybody's. Requests draw from all of them at random.
"""

import json
import os
import time

from figures import in_turns
from rig import Request, Rig
from rows import SETTINGS, VALUE, Row
from sections import checked, run, say

MEASURED = ("GET settings", "GET a secret", "PUT a secret", "GET a field", "PUT a field", "list 50 scoped secrets")


def growing_rows(coffer, size):
    """The rows of MEASURED, and first the two that fill the store."""
    half = size // 2
    session = coffer.session + [("Content-Type", "application/json")]
    own = "/agent/secrets/agent/" + coffer.agent
    put = json.dumps({"name": "BENCH_@", "value": VALUE, "description": "one of many"})
    secret = json.dumps({"fields": [{"key": "f", "sensitivity": "plaintext", "value": VALUE}]})
    field = json.dumps({"sensitivity": "plaintext", "value": VALUE + "#"})
    agent = coffer.agent_headers
    return [
        Row("fill, custom", Request("PUT", "/api/settings/secrets", session, put, half)),
        Row("fill, scoped", Request("PUT", own + "/bench_@", agent, secret, half)),
        Row("GET settings", Request("GET", "/api/settings", session)),
        Row("GET a secret", Request("GET", "/api/settings/secrets/BENCH_@", session, numbers=half)),
        Row("PUT a secret", Request("PUT", "/api/settings/secrets", session, put, half)),
        Row("GET a field", Request("GET", own + "/bench_@/fields/f", agent, numbers=half)),
        Row("PUT a field", Request("PUT", own + "/bench_@/fields/f", agent, field, half)),
        Row("list 50 scoped secrets", Request("GET", own + "?limit=50", agent)),
    ]


def fill(rig, coffer, size, rows):
    """Seconds that it took to store so many."""
    say("filling a store with {:,} secrets".format(size))
    coffer.coffer("tenant", "settings", "set", "maxSecretsPerScope=%d" % size)
    status, answer = coffer.ask("PATCH", "/api/settings", SETTINGS, coffer.session)
    if status != 200:
        raise RuntimeError("PATCH /api/settings: %d %s" % (status, answer))
    return sum(rig.fill(coffer, rows[name].request) for name in ("fill, custom", "fill, scoped"))


def timed(work):
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def files(folder):
    """Bytes of the store's files on disk."""
    return sum(os.stat(os.path.join(folder, "store", name)).st_size for name in os.listdir(os.path.join(folder, "store")))


def upkeep(rig, coffer, size):
    """What is done with a store as a whole, before requests make its audit chain longer. Memory is cofferd's at most meanwhile."""
    say("backup, verification and start with {:,} secrets".format(size))
    coffer.restart()
    found = {"size": size, "store": files(coffer.store)}

    def noting(name, work):
        coffer.forget_peak()
        found[name], found[name + " memory"] = timed(work), coffer.peak()

    backup = os.path.join(rig.home, "backup")
    noting("backup", lambda: coffer.coffer("backup", "--to", backup))
    found["backup bytes"] = os.stat(backup).st_size
    os.unlink(backup)
    noting("verify", lambda: coffer.coffer("verify"))
    whole = Request("GET", "/api/settings/secrets", coffer.session)
    noting("whole list", lambda: found.update({"whole list bytes": checked(coffer, whole)}))
    found["start"] = coffer.start_time(3)
    coffer.wait_ready()
    found["memory before"] = coffer.resident()
    return found


def growth(plan):
    """`rows` with rounds that have a run for each size, and `stores` with a line for each size."""
    with Rig(responders=[str(size) for size in plan.sizes]) as rig:
        stores = dict(zip(plan.sizes, rig.responders))
        rows = {size: {row.name: row for row in growing_rows(coffer, size)} for size, coffer in stores.items()}
        filled = {size: fill(rig, coffer, size, rows[size]) for size, coffer in stores.items()}
        kept = [upkeep(rig, coffer, size) for size, coffer in stores.items()]
        os.sync()  # what backups left to be written would slow the first rounds
        measured = []
        for name in MEASURED:
            if not plan.wants(name):
                continue
            say("%s at %s secrets" % (name, ", ".join("{:,}".format(size) for size in stores)))
            for size, coffer in stores.items():
                checked(coffer, rows[size][name].request)
            turns = in_turns(plan.growth_rounds, {
                str(size): lambda size=size, coffer=coffer, name=name: run(rig, coffer, rows[size][name].request, 64, plan.seconds)
                for size, coffer in stores.items()})  # fmt: skip
            measured.append({"name": name, "rounds": turns.rounds})
        for line in kept:
            line.update({"fill": filled[line["size"]], "memory most": stores[line["size"]].peak()})
        return {"growth": {"rows": measured, "stores": kept}}
