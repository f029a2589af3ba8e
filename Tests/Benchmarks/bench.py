"""Times Coffer through nginx and TLS beside a C echo and nginx's own files, in interleaved rounds.

    bench.py [--quick] [--only WORD] [--save FILE]

Exit 1 when a floor is missed.
"""

import argparse
import json
import pathlib
import sys

import report
import sections
from rig import machine

SOME = ["GET settings", "GET a secret", "PUT a secret", "mint a data key", "GET a field", "PUT a field"]


class Plan:
    """How much is measured. `only`: a word that the names of rows must hold."""

    def __init__(self, quick=False, only=""):
        self.rounds, self.seconds = (2, 1) if quick else (5, 2)
        self.only = only
        self.fewer_clients = {1: ["PUT a secret"]}
        self.memory_requests = None

    def wants(self, name):
        return self.only in name


def measure(plan):
    result = {"machine": machine(), "rounds": plan.rounds, "seconds": plan.seconds, **sections.responder(plan)}
    if plan.memory_requests:
        result["memory growth"] = sections.memory_growth(plan)
    result["beside"] = sections.company(plan)
    return result


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="less of everything: to see that it works")
    options.add_argument("--only", default="", help="rows whose name holds this word")
    options.add_argument("--save", type=pathlib.Path, help="write every figure of every round there, as JSON")
    options = options.parse_args()
    result = measure(Plan(options.quick, options.only))
    if options.save:
        options.save.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    parts, judgement = report.sections(result)
    print("%s\n%d rounds of %d s, %d TLS connections unless said otherwise; CPU in microseconds a request" % (
        result["machine"], result["rounds"], result["seconds"], sections.CLIENTS))  # fmt: skip
    for title, text in parts:
        print("\n## %s\n\n%s" % (title, text), end="")
    sys.exit(1 if judgement.named("missed") else 0)


if __name__ == "__main__":
    main()
