"""The same requests to an OpenHands agent server, behind the same nginx and with the same thousand secrets, in turns."""

import os
import pathlib
import subprocess
import sys

from figures import Bound, in_turns
from rig import ROOT, Rig
from rows import prepare, settings_rows
from sections import CLIENTS, checked, document, run, say

sys.path.insert(0, str(ROOT / "Tests" / "RealServer"))
from behind_coffer import UPSTREAM_KEY, agent_server  # noqa: E402

# How many times as many requests a second.
BOUNDS = {"GET settings": Bound(20, 40), "GET a secret": Bound(200, 500), "PUT a secret": Bound(200, 500)}
NAME = "agent-server"


def python():
    """The Python of its environment, which is made when there is none."""
    made = subprocess.run([str(ROOT / "Tests" / "RealServer" / "environment.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise RuntimeError("no agent server could be installed")
    return made.stdout.strip()


def peer(plan):
    """`rows` with a row for each request, and the memory of both."""
    interpreter = python()
    with Rig(relays=[NAME]) as rig:
        prepare(rig, rig.coffer)
        (theirs,) = rig.relays
        home = os.path.join(rig.home, NAME)
        os.mkdir(home)
        rig.coffer.coffer("export", "openhands", os.path.join(home, "store"))
        key = pathlib.Path(rig.coffer.store, "keys", "wire.key").read_text(encoding="utf-8").strip()
        with open(os.path.join(rig.home, NAME + ".out"), "wb") as log:
            theirs.process = agent_server(
                home, rig.behind[NAME], os.path.join(home, "conversations"), log, python=interpreter, secret_key=key)  # fmt: skip
        rows = []
        before = theirs.resident()
        for ours, other in zip(settings_rows(rig.coffer.session), settings_rows([("X-Session-API-Key", UPSTREAM_KEY)])):
            if not plan.wants(ours.name):
                continue
            say(ours.name + ", and of the agent server")
            sizes = {"coffer": checked(rig.coffer, ours.request), "peer": checked(theirs, other.request)}
            rounds = in_turns(plan.peer_rounds, {
                "coffer": lambda ours=ours: run(rig, rig.coffer, ours.request, CLIENTS, plan.seconds),
                "peer": lambda other=other: run(rig, theirs, other.request, CLIENTS, plan.peer_seconds)})  # fmt: skip
            rows.append({"name": ours.name, "bytes": sizes, "bound": document(BOUNDS.get(ours.name)), "rounds": rounds.rounds})
        memory = {"coffer": rig.coffer.peak(), "peer before": before, "peer": theirs.peak()}
        return {"peer": {"rows": rows, "memory": memory, "version": version(interpreter)}}


def version(interpreter):
    script = "import importlib.metadata as m; print(m.version('openhands-agent-server'))"
    return subprocess.run([interpreter, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
