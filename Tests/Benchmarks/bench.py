"""Times Coffer through nginx and TLS beside a C echo and nginx's own files, in interleaved rounds.

    bench.py                 both dialects with 64 clients; ten minutes at most
    bench.py --full          also few clients, growth to a million secrets and an OpenHands agent server; twenty at most
    bench.py --full --write  and writes docs/performance.md and docs/performance.svg
    bench.py --quick         less of everything, to see that it works; with --full three minutes at most

Exit 1 when a floor is missed or a part could not be measured.
"""

import argparse
import datetime
import functools
import json
import pathlib
import subprocess
import sys
import time
import traceback

import beside
import chart
import growth
import machine
import peer
import report
import sections
from rig import BINARIES, ROOT

SOME = ["GET settings", "GET a secret", "PUT a secret", "mint a data key", "GET a field", "PUT a field"]

CHART = "![The ratios, the agent server and the growth below as a chart](performance.svg)\n\n"


class Plan:
    """How much is measured. Rounds and seconds are of each thing that takes turns."""

    def __init__(self, full=False, quick=False, only=""):
        self.only, self.full = only, full
        self.rounds, self.seconds = (2, 1) if quick else (5, 2)
        self.fewer_rounds = self.beside_rounds = self.growth_rounds = self.peer_rounds = 1 if quick else 3
        self.fewer_clients = {1: SOME, 8: SOME} if full else {1: ["PUT a secret"]}
        self.memory_requests = (10_000, 100_000) if quick else (100_000, 1_000_000)
        self.sizes = [100, 1_000, 10_000] if quick else [100, 1_000, 10_000, 100_000, 1_000_000]
        self.peer_seconds = 3 if quick else 8

    def parts(self):
        """(name, function) of each part of the run; the functions take this plan and give members of the result."""
        yield "the requests", sections.responder
        if self.full:
            yield "memory over many requests", sections.memory_growth
        for each in beside.BESIDES:
            name = "%s beside %s" % (each.row, each.name)
            if self.wants(name):
                yield name, functools.partial(sections.company, each)
        if self.full:
            yield "the OpenHands agent server", peer.peer
            yield "growth", growth.growth

    def wants(self, name):
        return self.only in name


def measure(plan):
    begun, stolen = time.monotonic(), machine.Stolen()
    version = subprocess.run([str(BINARIES / "coffer"), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    result = {
        "machine": machine.machine(), "version": version, "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "rounds": plan.rounds, "seconds": plan.seconds, "clients": sections.CLIENTS,
        "not measured": []}  # fmt: skip
    for name, part in plan.parts():
        try:
            for member, found in part(plan).items():
                result[member] = [*result.get(member, []), *found] if isinstance(found, list) else found
        except Exception:  # the others are worth their time
            traceback.print_exc()
            result["not measured"].append(name)
    result["took"], result["stolen"] = time.monotonic() - begun, stolen.part()
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--full", action="store_true")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", default="", metavar="WORD", help="requests whose name holds this word")
    options.add_argument("--save", type=pathlib.Path, metavar="FILE", help="write every figure of every round there, as JSON")
    options.add_argument("--from", dest="saved", type=pathlib.Path, metavar="FILE", help="measure nothing; take what --save wrote")
    options.add_argument(
        "--write", nargs="?", type=pathlib.Path, const=ROOT / "docs", metavar="FOLDER",
        help="put the figures into performance.md and performance.svg there; docs unless a folder is named")  # fmt: skip
    options = options.parse_args()
    if options.saved:
        result = json.loads(options.saved.read_text(encoding="utf-8"))
    else:
        result = measure(Plan(options.full, options.quick, options.only))
    if options.save:
        options.save.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    parts, judgement = report.sections(result)
    text = report.heading(result) + "".join("\n### %s\n\n%s" % part for part in parts)
    print(text, end="")
    if options.write:
        page = options.write / "performance.md"
        page.write_text(report.put_between(page.read_text(encoding="utf-8"), CHART + text), encoding="utf-8")
        (options.write / "performance.svg").write_text(chart.chart(result), encoding="utf-8")
    sys.exit(1 if judgement.named("missed") or result["not measured"] else 0)


if __name__ == "__main__":
    main()
