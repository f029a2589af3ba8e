"""What the benchmarks make of their measurements. Nothing is timed here."""

import sys
import unittest
import xml.etree.ElementTree

from nginx_harness import ROOT

sys.path.insert(0, str(ROOT / "Tests" / "Benchmarks"))
import chart  # noqa: E402
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


def growing(name, *rates):
    return {"name": name, "rounds": [dict(zip(("100", "10000", "1000000"), map(run, rates)))]}


def store(size):
    kinds = ("store", "memory before", "memory most", "backup", "backup memory", "backup bytes", "verify", "verify memory", "whole list",
             "whole list bytes", "whole list memory", "fill")  # fmt: skip
    return {"size": size, "start": [12.0], **{kind: 1e6 for kind in kinds}}


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
    "growth": {"rows": [growing("GET a secret", 130, 120, 100), growing("PUT a secret", 210, 150, 100), growing("list", 5, 4, 1)],
               "stores": [store(1000000), store(100)]},
    "peer": {"version": "1.2.3", "memory": {"coffer": 20e6, "peer before": 300e6, "peer": 350e6},
             "rows": [{"name": "GET <settings> & more", "bytes": {"coffer": 1, "peer": 2}, "bound": {"floor": 20, "goal": 40, "most": False},
                       "rounds": [{"coffer": run(40000), "peer": run(500)}]}]},
}  # fmt: skip


class ReportTests(unittest.TestCase):
    def test_what_is_missed_is_named(self):
        parts, judgement = report.sections(MEASURED)
        self.assertEqual(judgement.named("missed"), [
            "GET a secret", "PUT a secret at 64 clients ÷ at 1 client", "GET settings beside backups", "PUT a secret at 1,000,000 secrets"])
        self.assertEqual(judgement.named("floor"), ["PUT a secret", "GET a secret at 1,000,000 secrets"])
        self.assertEqual(judgement.named("goal"), [
            "cofferd in memory at most", "start of cofferd to its first answer", "GET <settings> & more beside the agent server"])
        text = dict(parts)
        self.assertIn("Floors missed: GET a secret; ", text["Reached"])
        self.assertIn("9 figures have a floor: 3 reach their goal, 2 the floor alone, 4 miss it.", text["Reached"])
        self.assertIn("**floor missed**", next(line for line in text["Requests"].splitlines() if "GET a secret" in line))
        self.assertRegex(text["Requests"], r"PUT a secret .*\| +400 \| +0\.40 \| +0\.30–0\.50 \|")
        self.assertRegex(text["Requests a second by secrets stored"], r"GET a secret \| 130 \| +120 \| +100 \| +1\.30 \|")
        self.assertRegex(text["Whole stores"], r"^\| secrets +\| +100 \| +1,000,000 \|")

    def test_a_floor_that_is_missed_by_little_is_not_shown_as_reached(self):
        missed, reached = Bound(0.35, 0.5), Bound(1.3, most=True)
        self.assertEqual([report.measured(value, missed) for value in (0.3, 0.349, 0.35)], ["0.30", "0.349", "0.35"])
        self.assertEqual([report.measured(value, reached) for value in (1.298, 1.304, 2)], ["1.30", "1.304", "2.00"])

    def test_the_bound_of_a_million_is_of_a_million(self):
        small = {"growth": {"rows": [{"name": "PUT a secret", "rounds": [{"100": run(900), "1000": run(100)}]}], "stores": [store(100)]}}
        self.assertEqual(report.sections(small)[1].found, [])

    def test_parts_that_were_not_measured_are_left_out(self):
        parts, judgement = report.sections({"rows": MEASURED["rows"][:1]})
        self.assertEqual([title for title, _ in parts], ["Requests", "CPU time of a request, in microseconds", "Reached"])
        self.assertEqual(judgement.named("missed"), [])
        self.assertNotIn("Not measured", parts[-1][1])

    def test_a_busy_machine_is_told(self):
        machine = {"cores": 2, "model": "CPU", "memory": 8, "kernel": "6.1", "nginx": "1.22.1", "openssl": "3.0", "sqlite": "3.40",
                   "wrk": "4.1", "sync": 0.1, "load": 0.9}  # fmt: skip
        result = {"machine": machine, "version": "1.0.0", "date": "2030-01-01", "stolen": 0.01, "took": 700, "rounds": 5, "seconds": 2, "clients": 64}
        self.assertIn("1.0 % of the CPU time went to other machines", report.heading(result))
        self.assertNotIn("not quiet", report.heading(result))
        machine["load"] = 1.1
        self.assertIn("not quiet", report.heading(result))

    def test_a_part_that_failed_is_named(self):
        parts, _ = report.sections({"rows": MEASURED["rows"][:1], "not measured": ["growth"]})
        self.assertIn("Not measured, for it failed: growth.", parts[-1][1])

    def test_only_what_is_between_the_marks_is_written(self):
        page = "# Title\n%s\nold\n%s\nend\n" % (report.BEGIN, report.END)
        written = report.put_between(page, "new\n")
        self.assertEqual(written, "# Title\n%s\n\nnew\n\n%s\nend\n" % (report.BEGIN, report.END))
        self.assertEqual(report.put_between(written, "new\n"), written)
        for wrong in ("no marks", report.BEGIN, report.END + report.BEGIN, page + report.END, page.replace(report.END, report.BEGIN)):
            with self.subTest(wrong), self.assertRaises(ValueError):
                report.put_between(wrong, "new\n")


SVG = "{http://www.w3.org/2000/svg}"


class ChartTests(unittest.TestCase):
    def test_scales(self):
        self.assertEqual(chart.steps(1.0), [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0])
        self.assertEqual(chart.steps(23), [0, 5, 10, 15, 20, 25])
        self.assertEqual(chart.decades(25, 53000), [10, 100, 1000, 10000, 100000])
        linear, logarithmic = chart.scale(0, 10, 100, 200), chart.scale(1, 100, 100, 200, logarithmic=True)
        self.assertEqual([linear(value) for value in (-1, 0, 5, 10, 11)], [100, 100, 150, 200, 200])
        self.assertEqual([logarithmic(value) for value in (0, 1, 10, 100, 1000)], [100, 100, 150, 200, 200])

    def test_labels_keep_apart_and_in_order(self):
        places = [50.0, 51.0, 10.0, 50.5]
        moved = chart.apart(places, 16)
        self.assertEqual(moved[2], 10.0)
        self.assertLess(moved[0], moved[3])
        self.assertLess(moved[3], moved[1])
        for low, high in ((0, 3), (3, 1)):
            self.assertGreaterEqual(moved[high] - moved[low], 15.9)

    def test_the_chart_is_well_formed_and_says_everything_inside_its_borders(self):
        root = xml.etree.ElementTree.fromstring(chart.chart(MEASURED))
        width, height = map(float, root.get("viewBox").split()[2:])
        texts = list(root.iter(SVG + "text"))
        for text in texts:
            length = 7.0 * len(text.text) * (1.25 if text.get("class") == "title" else 1)
            start = float(text.get("x")) - length * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
            with self.subTest(text.text):
                self.assertGreaterEqual(start, 0)
                self.assertLessEqual(start + length, width)
                self.assertLess(float(text.get("y")), height)
        said = {text.text for text in texts}
        self.assertLessEqual({"PUT a secret", "0.40", "GET <settings> & more", "× 80", "PUT a secret: 2.10"}, said)
        self.assertIn("GET <settings> & more 80 times", root.find(SVG + "desc").text)
        # What has no bound is in the table, not in the first panel.
        self.assertNotIn("PATCH settings", said)

    def test_a_missed_floor_is_told_without_colour(self):
        root = xml.etree.ElementTree.fromstring(chart.chart({"rows": MEASURED["rows"]}))
        bars = [bar.get("class") for bar in root.iter(SVG + "rect") if bar.get("class") != "ground"]
        self.assertEqual(bars, ["ours", "short"])


if __name__ == "__main__":
    unittest.main()
