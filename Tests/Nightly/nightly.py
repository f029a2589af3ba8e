#!/usr/bin/env python3
"""The tests with the long numbers, one row for each number of the test plan, and a report: what was wanted, what was reached.

A test says what it reached in a line `T20 reached: …`. The report goes to standard output and, as a table in Markdown, to the
file named by --report. Exit 1 when a row failed. --only T20,T31 runs some rows.
"""

import argparse
import dataclasses
import datetime
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


@dataclasses.dataclass
class Row:
    number: str
    promise: str
    wanted: str
    # Each is a command: see end_to_end, nightly, unit and script below.
    runs: list
    hours: float = 1.0


def module(folder, name, python=None, **environment):
    def run():
        words = [python() if python else PYTHON, "-W", "error::ResourceWarning", "-m", "unittest", name]
        return words, ROOT / "Tests" / folder, environment
    return run


def end_to_end(name, **environment):
    return module("EndToEnd", name, **environment)


def nightly(name, **environment):
    return module("Nightly", name, **environment)


def generated(name, **environment):
    def python():
        told = subprocess.run([ROOT / "Tests" / "Schemathesis" / "environment.sh"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return told.strip().splitlines()[-1]
    return module("EndToEnd", name, python, **environment)


def unit(pattern, **environment):
    # A filter that names no test would be green.
    text = 'swift test --skip-build --filter "$0" 2>&1 | tee /dev/stderr | grep -Eq "Test run with [1-9][0-9]* tests? in .* passed"'
    return lambda: (["bash", "-c", text, pattern], ROOT, environment)


def script(*words, **environment):
    return lambda: (list(words), ROOT, environment)


TABLE = [
    Row("T03", "no nonce and no data key's id comes twice; a key that is used up is replaced by itself",
        "10,000,000 wraps, and across 100 kills, no repeat",
        [unit("noNonceAndNoIDComesTwice", COFFER_WRAPS="10000000"), unit("aKeyVersionIsReplacedAtItsLimit"),
         end_to_end("test_crash.MintKillTests", COFFER_MINT_KILLS="100")]),
    Row("T13", "no input crashes or hangs a parser", "900 s for each parser, no finding", [script("Tests/Fuzz/run.sh", "900")], hours=2),
    Row("T14", "requests generated from our own OpenAPI document find nothing", "2,000 examples for each operation, no finding",
        [generated("test_openapi", COFFER_EXAMPLES="2000")], hours=3),
    Row("T20", "kill -9 loses no acknowledged write", "500 kills, 0 lost", [end_to_end("test_crash.KillTests", COFFER_ROUNDS="500")]),
    Row("T21", "a power cut loses no acknowledged write", "200 cuts, 0 lost",
        [end_to_end("test_crash.PowerCutTests", COFFER_CUTS="200")]),
    Row("T22", "a disk that fails is never acknowledged", "100 failing calls, 0 lost",
        [end_to_end("test_crash.FaultTests", COFFER_FAULTS="100")]),
    Row("T26", "one process writes; a second is refused and disturbs nothing", "refused each time",
        [end_to_end("test_crash.DiskTests.test_two_at_once")]),
    Row("T27", "a flipped bit gives the right value or an error", "every flip refused or harmless",
        [unit("BackupTests"), end_to_end("test_backup.RestoreTests"), nightly("test_flips", COFFER_FLIPS="1000")]),
    Row("T28", "a backup under load holds what was acknowledged before it began", "50 backups",
        [end_to_end("test_backup.LoadTests", COFFER_ROUNDS_BACKUP="50")]),
    Row("T29", "others at the store's files disturb nothing, and none of them writes", "3,600 s, integrity ok, each second process refused",
        [nightly("test_size.HammerTests", COFFER_HAMMER_SECONDS="3600")], hours=2),
    Row("T30", "an upgrade that is killed goes on", "100 kills for each version",
        [end_to_end("test_upgrade", COFFER_ROUNDS_UPGRADE="100")]),
    Row("T31", "a restart under load fails no request", "50 restarts, 0 failed",
        [end_to_end("test_restart.RestartTests", COFFER_ROUNDS_RESTART="50")]),
    Row("T32", "a reload of nginx fails no request; a restart loses no acknowledged write", "20 reloads, 0 failed",
        [nightly("test_under_load.NginxTests", COFFER_RELOADS="20")]),
    Row("T33", "slow clients slow nobody else down", "1,000 for 300 s: p99 of the others under 100 ms",
        [nightly("test_under_load.ManyClientsTests.test_slow_clients", COFFER_SLOW_SECONDS="300")]),
    Row("T34", "idle clients cost the responder nothing", "10,000 kept: p99 of the others under 100 ms",
        [nightly("test_under_load.ManyClientsTests.test_idle_connections")]),
    Row("T36", "a million secrets cost no more time than a few", "p99 of GET 5 ms at 500/s, of PUT 20 ms, of a page 50 ms; start 2 s; 200 MB",
        [nightly("test_size.MillionTests")]),
    Row("T37", "memory and descriptors stay", "1,000,000 requests: under 5 MB after the first 100,000",
        [nightly("test_under_load.MillionRequestsTests", COFFER_REQUESTS="1000000")]),
    Row("T52", "a change of keys that is killed goes on", "200 kills for each of the two",
        [end_to_end("test_rotation.KillTests", COFFER_ROUNDS_ROTATION="200"),
         end_to_end("test_root_rotation.RootKillTests", COFFER_ROUNDS_ROTATION="200")]),
    Row("T64", "no value stays in the responder's memory", "0 copies of values, the root key once", [end_to_end("test_canary.MemoryTests")]),
    Row("T71", "forbidden and missing take the same time", "medians within 5% over 10,000",
        [nightly("test_timing.ScopeTests", COFFER_SAMPLES="20000")]),
    Row("T72", "a key's check takes the same time whatever is wrong", "absolute t under 4.5 over 1,000,000 samples",
        [nightly("test_timing.KeyTests", COFFER_SAMPLES="1000000")]),
    Row("T75", "failed logins are limited by address, in bounded memory", "1,000,000 addresses", [unit("RateLimiterTests")]),
    Row("T80", "what clients see is linearizable", "2,000 histories, 0 violations", [end_to_end("test_histories", COFFER_HISTORIES="2000")]),
    Row("formats", "what is exported as variables comes back from each format's real reader", "10,000 values for each format",
        [end_to_end("test_environment_files", COFFER_VALUES="10000")]),
    Row("package", "the Debian package installs, serves the README's transcript, upgrades and goes in a clean Debian 12", "all of it",
        [nightly("test_package")]),
    Row("T95", "what is released is known and can be made again", "every linked library listed; two packages byte-identical",
        [nightly("test_release.BillOfMaterialsTests"), nightly("test_release.ReproducibleTests")]),
    Row("T96", "programs and unit are hardened", "position-independent, full RELRO, no executable stack, exposure 2.0 at most",
        [nightly("test_release.HardeningTests")]),
    Row("T82", "the unit tests and the product are clean under the sanitizers", "0 reports",
        [script("make", "sanitizers"), script("Tests/Nightly/sanitized.sh", "address"), script("Tests/Nightly/sanitized.sh", "thread")], hours=2),
]  # fmt: skip


def perform(row):
    """(passed, what was reached, seconds); what a run says goes on to standard error."""
    begun, reached, passed, counted = time.monotonic(), [], True, 0
    for run in row.runs:
        words, folder, environment = run()
        begin = dict(os.environ, **environment)
        begin.setdefault("COFFER_BIN", str(ROOT / ".build" / "release"))
        begin["PYTHONDONTWRITEBYTECODE"] = "1"
        try:
            done = subprocess.run(words, cwd=folder, env=begin, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, errors="replace", timeout=row.hours * 3600, check=False)  # fmt: skip
            said, status = done.stdout, done.returncode
        except subprocess.TimeoutExpired as error:
            said, status = (error.stdout or b"").decode(errors="replace") + "\nit did not end", 1
        reached += re.findall(r"^%s reached: (.*)$" % row.number, said, re.M)
        reached += re.findall(r"^fuzz (.*)$", said, re.M)
        counted += sum(map(int, re.findall(r"^Ran (\d+) tests? in", said, re.M) + re.findall(r"Test run with (\d+) tests? in .* passed", said)))
        if status != 0:
            passed = False
            print(said[-6000:], file=sys.stderr)
    return passed, "; ".join(reached) or "%d tests" % counted, time.monotonic() - begun


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default="", metavar="NUMBERS")
    options.add_argument("--report", default=str(ROOT / ".build" / "nightly.md"))
    options = options.parse_args()
    chosen = [row for row in TABLE if not options.only or row.number in options.only.split(",")]
    if not chosen:
        sys.exit("no row of that number")
    lines = ["# Nightly, %s" % datetime.date.today(), "", "| test | promise | wanted | reached | verdict |", "|---|---|---|---|---|"]
    failed = 0
    for row in chosen:
        passed, reached, seconds = perform(row)
        failed += not passed
        verdict = "holds" if passed else "FAILED"
        lines.append("| %s | %s | %s | %s | %s |" % (row.number, row.promise, row.wanted, reached, verdict))
        print("%s %s: wanted %s; reached %s (%.0f s)" % (row.number, verdict, row.wanted, reached, seconds), flush=True)
        pathlib.Path(options.report).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("%d passed, %d failed" % (len(chosen) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
