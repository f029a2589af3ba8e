"""T71 and T72: how long a refusal takes tells nothing: not how much of a key was right, not whether something exists.

COFFER_SAMPLES sets the samples of each kind (20,000 by default). They are taken at the responder's socket, past nginx, in
random order over one connection."""

import math
import os
import pathlib
import random
import socket
import statistics
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
import fastcgi  # noqa: E402
from coffer_harness import CofferTestCase  # noqa: E402
from scoped_harness import ScopedTestCase  # noqa: E402

SAMPLES = int(os.environ.get("COFFER_SAMPLES", "20000"))


def welch(first, second):
    """Welch's t of two samples, each without its slowest tenth, which is the machine's."""
    first, second = (sorted(one)[: len(one) * 9 // 10] for one in (first, second))
    error = math.sqrt(statistics.variance(first) / len(first) + statistics.variance(second) / len(second))
    return (statistics.fmean(first) - statistics.fmean(second)) / error


class Timing:
    """Takes times at the responder's socket; a mix-in."""

    def times(self, requests, count=SAMPLES):
        """{name: nanoseconds of each}, of requests {name: (method, target, headers, status)}."""
        chance = random.Random(72)
        prepared = {
            name: (fastcgi.request_bytes(fastcgi.settings_params(method, target, headers), keep=True), status)
            for name, (method, target, headers, status) in requests.items()
        }
        found = {name: [] for name in requests}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.coffer.socket_path)
            for _ in range(count):
                for name in chance.sample(list(prepared), len(prepared)):
                    request, status = prepared[name]
                    start = time.perf_counter_ns()
                    connection.sendall(request)
                    reply = fastcgi.read_reply(connection)
                    found[name].append(time.perf_counter_ns() - start)
                    assert fastcgi.split_reply(reply)[0] == status, fastcgi.split_reply(reply)
        return found


class KeyTests(Timing, CofferTestCase):
    def test_a_wrong_key(self):
        """T72."""
        key = self.coffer.keys["sessionKey"]
        prefix, identifier, text = key.split("_", 2)

        def wrong(index):
            changed = "A" if text[index] != "A" else "B"
            return "%s_%s_%s" % (prefix, identifier, text[:index] + changed + text[index + 1 :])

        other = "".join(reversed(identifier))
        kinds = {
            "first": wrong(0), "middle": wrong(len(text) // 2), "last": wrong(len(text) - 1), "same": wrong(0),
            "unknown": "%s_%s_%s" % (prefix, other, text),
        }  # fmt: skip
        times = self.times({name: ("GET", "/api/settings", [("X-Session-API-Key", one)], 401) for name, one in kinds.items()})
        values = {name: welch(times["first"], times[name]) for name in kinds if name != "first"}
        told = ", ".join("%s %.1f" % pair for pair in values.items())
        print("\nT72 reached: t of %d samples against the first byte wrong: %s" % (SAMPLES, told))
        for name, value in values.items():
            self.assertLess(abs(value), 4.5, name)


class ScopeTests(Timing, ScopedTestCase):
    def test_forbidden_and_missing(self):
        """T71."""
        stranger = self.operator("POST", "/tenants", {"name": "stranger of " + self.id()}, status=201)["id"]
        agent = self.agent()
        targets = {
            "unjoined": "team/" + self.team("unjoined"), "foreign": "team/" + self.team("other", stranger), "missing": "team/team_none",
            "another agent": "agent/" + self.agent("foreign", stranger).id,
        }  # fmt: skip
        headers = [("Authorization", "Bearer " + agent.key)]
        times = self.times({name: ("GET", "/agent/secrets/%s/x" % one, headers, 403) for name, one in targets.items()}, SAMPLES // 2)
        medians = {name: statistics.median(one) for name, one in times.items()}
        told = ", ".join("%s %.3f" % (name, median / medians["missing"]) for name, median in medians.items())
        print("\nT71 reached: medians of %d against a scope that is missing: %s" % (SAMPLES // 2, told))
        for name, median in medians.items():
            self.assertLess(abs(median / medians["missing"] - 1), 0.05, name)


if __name__ == "__main__":
    unittest.main()
