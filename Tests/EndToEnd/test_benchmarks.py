"""What the benchmarks make of their measurements. Nothing is timed here."""

import sys
import unittest

from nginx_harness import ROOT

sys.path.insert(0, str(ROOT / "Tests" / "Benchmarks"))
import report  # noqa: E402
from figures import Bound, Rounds, in_turns  # noqa: E402


class FigureTests(unittest.TestCase):
    def test_runs_take_turns(self):
        taken = []
        runs = {name: lambda name=name: taken.append(name) or {"rate": len(taken)} for name in ("one", "two")}
        rounds = in_turns(3, runs)
        self.assertEqual(taken, ["one", "two", "two", "one", "one", "two"])
        self.assertEqual([list(run) for run in rounds.rounds], [["one", "two"]] * 3)
        self.assertEqual([run["two"]["rate"] for run in rounds.rounds], [2, 3, 6])

    def test_a_ratio_is_of_runs_of_one_round(self):
        """The machine was three times as slow in the second round: the medians of each alone would say 1."""
        rounds = Rounds([{"a": {"rate": a}, "b": {"rate": b}} for a, b in ((90, 100), (27, 30), (80, 100))])
        self.assertEqual(rounds.ratio("a", "b"), 0.9)
        self.assertEqual(rounds.spread("a", "b"), (0.8, 0.9))
        self.assertEqual(rounds.median("a", "rate"), 80)
        self.assertEqual(rounds.total("b", "rate"), 230)

    def test_bounds(self):
        for bound, value, verdict in (
            (Bound(0.7, 0.9), 0.69, "missed"), (Bound(0.7, 0.9), 0.7, "floor"), (Bound(0.7, 0.9), 0.9, "goal"), (Bound(6), 60, "floor"),
            (Bound(30, 20, most=True), 31, "missed"), (Bound(30, 20, most=True), 30, "floor"), (Bound(30, 20, most=True), 20, "goal"),
            (Bound(2, most=True), 2.1, "missed"),
        ):  # fmt: skip
            with self.subTest(bound=bound.document(), value=value):
                self.assertEqual(bound.verdict(value), verdict)
                self.assertEqual(Bound(**bound.document()).verdict(value), verdict)


class TableTests(unittest.TestCase):
    def test_a_table_is_markdown_and_readable_as_it_is(self):
        table = report.Table(("name", "<"), ("value", ">"))
        table.add("a long name", 1)
        table.add("b", 1000)
        self.assertEqual(table.text(), (
            "| name        | value |\n"
            "|-------------|------:|\n"
            "| a long name |     1 |\n"
            "| b           |  1000 |\n"))  # fmt: skip
        with self.assertRaises(ValueError):
            table.add("c")


def run(rate, p99=1000.0):
    return {"rate": rate, "p50": 500, "p99": p99, "cpu": 10.0, "nginx": 20.0, "requests": rate, "failed": 0}


def row(name, bound, *rates, clients=64):
    return {"name": name, "bytes": 100, "clients": clients, "bound": bound, "rounds": [{"coffer": run(a), "echo": run(b)} for a, b in rates]}


MEASURED = {
    "rows": [
        row("PUT a secret", {"floor": 0.35, "goal": 0.5, "most": False}, (400, 1000), (500, 1000), (300, 1000)),
        row("GET a secret", {"floor": 0.4, "goal": 0.55, "most": False}, (390, 1000), (200, 1000), (900, 1000)),
        row("PATCH settings", None, (1, 1000)),
    ],
    "fewer clients": [row("PUT a secret", None, (100, 200), clients=1)],
    "memory": {"before": 15e6, "most": 19e6, "after": 18e6, "nginx": 30e6, "echo": 1e6},
    "start": [12.0, 14.0, 400.0],
    "beside": [{"name": "backups", "row": "GET settings", "bound": {"floor": 2.0, "goal": None, "most": True},
                "rounds": [{"quiet": run(10, 1000.0), "beside": run(9, 2500.0)}]}],
}  # fmt: skip


class ReportTests(unittest.TestCase):
    def test_what_is_missed_is_named(self):
        parts, judgement = report.sections(MEASURED)
        self.assertEqual(judgement.named("missed"), ["GET a secret", "PUT a secret at 64 clients ÷ at 1 client", "GET settings beside backups"])
        self.assertEqual(judgement.named("floor"), ["PUT a secret"])
        self.assertEqual(judgement.named("goal"), ["cofferd in memory at most", "start of cofferd to its first answer"])
        text = dict(parts)
        self.assertIn("Floors missed: GET a secret; ", text["Reached"])
        self.assertIn("6 figures have a floor: 2 reach their goal, 1 the floor alone, 3 miss it.", text["Reached"])
        self.assertIn("**floor missed**", next(line for line in text["Requests"].splitlines() if "GET a secret" in line))
        self.assertRegex(text["Requests"], r"PUT a secret .*\| +400 \| +0\.40 \| +0\.30–0\.50 \|")

    def test_parts_that_were_not_measured_are_left_out(self):
        parts, judgement = report.sections({"rows": MEASURED["rows"][:1]})
        self.assertEqual([title for title, _ in parts], ["Requests", "Reached"])
        self.assertEqual(judgement.named("missed"), [])


if __name__ == "__main__":
    unittest.main()
