"""Tables of what was measured, in Markdown, and what was reached of what had been asked."""

from figures import Bound, Rounds, median

RESPONDER_BOUNDS = {
    "group commit": Bound(6, 9),
    "memory": Bound(30e6, 20e6, most=True),
    "memory growth": Bound(2e6, 0, most=True),
    "start": Bound(100, 30, most=True),
}


class Table:
    """Columns are (title, "<" or ">"). Padded, so that it is a table on a terminal too."""

    def __init__(self, *columns):
        self.columns, self.rows = columns, []

    def add(self, *cells):
        if len(cells) != len(self.columns):
            raise ValueError("%d cells for %d columns" % (len(cells), len(self.columns)))
        self.rows.append([str(cell) for cell in cells])

    def text(self):
        titles = [title for title, _ in self.columns]
        widths = [max(len(line[place]) for line in [titles, *self.rows]) for place in range(len(titles))]

        def line(cells):
            return "| " + " | ".join(
                "{:{}{}}".format(cell, side, width) for cell, width, (_, side) in zip(cells, widths, self.columns)) + " |"  # fmt: skip

        rule = "|" + "|".join("-" * (width + 1) + (":" if side == ">" else "-") for width, (_, side) in zip(widths, self.columns)) + "|"
        return "\n".join([line(titles), rule, *map(line, self.rows)]) + "\n"


class Judgement:
    """Every figure that has a bound."""

    def __init__(self):
        self.found = []

    def of(self, what, value, bound):
        """One word on the figure, kept for the end."""
        if bound is None:
            return "–"
        verdict = bound.verdict(value)
        self.found.append((what, verdict))
        return {"missed": "**floor missed**", "floor": "the floor", "goal": "the goal"}[verdict]

    def named(self, verdict):
        return [what for what, found in self.found if found == verdict]

    def text(self):
        missed, floor = self.named("missed"), self.named("floor")
        lines = ["%d figures have a floor: %d reach their goal, %d the floor alone, %d miss it." % (
            len(self.found), len(self.named("goal")), len(floor), len(missed))]  # fmt: skip
        if missed:
            lines.append("Floors missed: %s." % "; ".join(missed))
        if floor:
            lines.append("Goals missed: %s." % "; ".join(floor))
        return "\n".join(lines) + "\n"


def bound_of(document):
    return Bound(**document) if document else None


def shown(limit):
    return "–" if limit is None else "%.2f" % limit


def thousands(number):
    return "{:,.0f}".format(number)


def megabytes(count):
    return "%.1f MB" % (count / 1e6)


def milliseconds(microseconds):
    return "%.2f" % (microseconds / 1000)


def rows_table(rows, judgement):
    table = Table(
        ("request", "<"), ("clients", ">"), ("bytes", ">"), ("requests/s", ">"), ("to echo", ">"), ("range", ">"), ("floor", ">"),
        ("goal", ">"), ("reached", "<"), ("to a file", ">"), ("p50 ms", ">"), ("p99 ms", ">"), ("echo p99", ">"), ("cofferd µs", ">"),
        ("echo µs", ">"), ("nginx µs", ">"))  # fmt: skip
    for row in rows:
        rounds, bound = Rounds(row["rounds"]), bound_of(row["bound"])
        ratio = rounds.ratio("coffer", "echo")
        table.add(
            row["name"], row["clients"], row["bytes"], thousands(rounds.median("coffer", "rate")), "%.2f" % ratio,
            "%.2f–%.2f" % rounds.spread("coffer", "echo"), shown(bound and bound.floor), shown(bound and bound.goal),
            judgement.of(row["name"], ratio, bound),
            "%.2f" % rounds.ratio("coffer", "file") if "file" in row["rounds"][0] else "–",
            milliseconds(rounds.median("coffer", "p50")), milliseconds(rounds.median("coffer", "p99")),
            milliseconds(rounds.median("echo", "p99")), "%.1f" % rounds.median("coffer", "cpu"), "%.1f" % rounds.median("echo", "cpu"),
            "%.1f" % rounds.median("coffer", "nginx"))  # fmt: skip
    return table.text()


def fewer_table(rows):
    table = Table(
        ("request", "<"), ("clients", ">"), ("requests/s", ">"), ("to echo", ">"), ("p50 ms", ">"), ("p99 ms", ">"), ("cofferd µs", ">"))
    for row in rows:
        rounds = Rounds(row["rounds"])
        table.add(
            row["name"], row["clients"], thousands(rounds.median("coffer", "rate")), "%.2f" % rounds.ratio("coffer", "echo"),
            milliseconds(rounds.median("coffer", "p50")), milliseconds(rounds.median("coffer", "p99")),
            "%.1f" % rounds.median("coffer", "cpu"))  # fmt: skip
    return table.text()


def rate(rows, name, clients):
    found = [row for row in rows if row["name"] == name and row["clients"] == clients]
    return Rounds(found[0]["rounds"]).median("coffer", "rate") if found else None


def process_table(result, judgement):
    """Group commit, memory and start."""
    table = Table(("figure", "<"), ("measured", ">"), ("floor", ">"), ("goal", ">"), ("reached", "<"))

    def add(what, value, write, bound=None, name=None):
        table.add(what, write(value), write(bound.floor) if bound else "–", write(bound.goal) if bound else "–", judgement.of(name or what, value, bound))

    many, one = (rate(result["rows"] + result["fewer clients"], "PUT a secret", clients) for clients in (64, 1))
    if many and one:
        add("PUT a secret at 64 clients ÷ at 1 client", many / one, lambda value: "%.1f" % value, RESPONDER_BOUNDS["group commit"])
    memory = result["memory"]
    add("cofferd in memory before the load", memory["before"], megabytes)
    add("cofferd in memory at most", memory["most"], megabytes, RESPONDER_BOUNDS["memory"])
    add("cofferd in memory after the load", memory["after"], megabytes)
    add("nginx in memory after the load, all workers", memory["nginx"], megabytes)
    add("the echo in memory at most", memory["echo"], megabytes)
    if "memory growth" in result:
        (first, before), (last, after) = result["memory growth"].items()
        add("cofferd's growth from request %s to %s" % (thousands(int(first)), thousands(int(last))), after - before, megabytes,
            RESPONDER_BOUNDS["memory growth"])  # fmt: skip
    add("start of cofferd to its first answer", median(result["start"]), lambda value: "%.0f ms" % value, RESPONDER_BOUNDS["start"])
    return table.text()


def beside_table(found, judgement):
    table = Table(
        ("request", "<"), ("beside", "<"), ("p99 quiet ms", ">"), ("p99 beside ms", ">"), ("ratio", ">"), ("range", ">"), ("floor", ">"),
        ("goal", ">"), ("reached", "<"), ("requests/s quiet", ">"), ("requests/s beside", ">"))  # fmt: skip
    for each in found:
        rounds, bound = Rounds(each["rounds"]), bound_of(each["bound"])
        ratio = rounds.ratio("beside", "quiet", "p99")
        table.add(
            each["row"], each["name"], milliseconds(rounds.median("quiet", "p99")), milliseconds(rounds.median("beside", "p99")),
            "%.2f" % ratio, "%.2f–%.2f" % rounds.spread("beside", "quiet", "p99"), shown(bound and bound.floor), shown(bound and bound.goal),
            judgement.of("%s beside %s" % (each["row"], each["name"]), ratio, bound), thousands(rounds.median("quiet", "rate")),
            thousands(rounds.median("beside", "rate")))  # fmt: skip
    return table.text()


def sections(result):
    """(title, text) of each part that was measured, the last of them what was reached of what had been asked."""
    judgement = Judgement()
    found = []
    if result.get("rows"):
        found.append(("Requests", rows_table(result["rows"], judgement)))
    if result.get("fewer clients"):
        found.append(("Fewer clients", fewer_table(result["fewer clients"])))
    if "memory" in result:
        found.append(("The process", process_table(result, judgement)))
    if result.get("beside"):
        found.append(("Beside other work", beside_table(result["beside"], judgement)))
    return [*found, ("Reached", judgement.text())], judgement
