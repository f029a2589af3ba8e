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
        self.found, self.without_goal = [], set()

    def of(self, what, value, bound):
        """One word on the figure, kept for the end."""
        if bound is None:
            return "–"
        verdict = bound.verdict(value)
        self.found.append((what, verdict))
        if bound.goal is None:
            self.without_goal.add(what)
        return {"missed": "**floor missed**", "floor": "the floor", "goal": "the goal"}[verdict]

    def named(self, verdict):
        return [what for what, found in self.found if found == verdict]

    def text(self):
        missed, floor = self.named("missed"), self.named("floor")
        lines = ["%d figures have a floor: %d reach their goal, %d the floor alone, %d miss it." % (
            len(self.found), len(self.named("goal")), len(floor), len(missed))]  # fmt: skip
        if missed:
            lines.append("Floors missed: %s." % "; ".join(missed))
        if short := [what for what in floor if what not in self.without_goal]:
            lines.append("Goals missed: %s." % "; ".join(short))
        return "\n".join(lines) + "\n"


def bound_of(document):
    return Bound(**document) if document else None


def shown(limit):
    return "–" if limit is None else "%.2f" % limit


def measured(value, bound):
    """With a digit more where two would look like the floor that was missed."""
    text = "%.2f" % value
    return "%.3f" % value if bound and bound.verdict(value) == "missed" and text == shown(bound.floor) else text


def thousands(number):
    return "{:,.0f}".format(number)


def megabytes(count):
    return "%.1f MB" % (count / 1e6)


def milliseconds(microseconds):
    return "%.2f" % (microseconds / 1000)


def rows_table(rows, judgement):
    table = Table(
        ("request", "<"), ("bytes", ">"), ("requests/s", ">"), ("to echo", ">"), ("range", ">"), ("floor", ">"), ("goal", ">"),
        ("reached", "<"), ("to a file", ">"), ("p50 ms", ">"), ("p99 ms", ">"), ("echo p99", ">"))  # fmt: skip
    for row in rows:
        rounds, bound = Rounds(row["rounds"]), bound_of(row["bound"])
        ratio = rounds.ratio("coffer", "echo")
        table.add(
            row["name"], row["bytes"], thousands(rounds.median("coffer", "rate")), measured(ratio, bound),
            "%.2f–%.2f" % rounds.spread("coffer", "echo"), shown(bound and bound.floor), shown(bound and bound.goal),
            judgement.of(row["name"], ratio, bound),
            "%.2f" % rounds.ratio("coffer", "file") if "file" in row["rounds"][0] else "–",
            milliseconds(rounds.median("coffer", "p50")), milliseconds(rounds.median("coffer", "p99")),
            milliseconds(rounds.median("echo", "p99")))  # fmt: skip
    return table.text()


def cpu_table(rows):
    """A noisy neighbour changes these less than the rates."""
    table = Table(("request", "<"), ("cofferd", ">"), ("its nginx", ">"), ("echo", ">"), ("its nginx", ">"), ("both to both", ">"))
    for row in rows:
        rounds = Rounds(row["rounds"])
        parts = [rounds.median(who, what) for who in ("coffer", "echo") for what in ("cpu", "nginx")]
        table.add(row["name"], *("%.1f" % part for part in parts), "%.2f" % (sum(parts[:2]) / sum(parts[2:])))
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
            measured(ratio, bound), "%.2f–%.2f" % rounds.spread("beside", "quiet", "p99"), shown(bound and bound.floor), shown(bound and bound.goal),
            judgement.of("%s beside %s" % (each["row"], each["name"]), ratio, bound), thousands(rounds.median("quiet", "rate")),
            thousands(rounds.median("beside", "rate")))  # fmt: skip
    return table.text()


def growth_bound(name):
    """Of the cost at a million secrets, by the cost at a hundred."""
    return Bound(1.3, 1.1, most=True) if name.startswith("GET") else Bound(2.0, 1.3, most=True) if name.startswith("PUT") else None


def costs(row):
    """(size, what a request costs there by what it costs in the smallest store) for each size."""
    rounds = Rounds(row["rounds"])
    sizes = sorted(map(int, row["rounds"][0]))
    return [(size, rounds.ratio(str(sizes[0]), str(size))) for size in sizes]


def growth_table(rows, judgement):
    sizes = sorted(map(int, rows[0]["rounds"][0]))
    table = Table(
        ("request", "<"), *((thousands(size), ">") for size in sizes), ("cost at %s" % thousands(sizes[-1]), ">"), ("range", ">"), ("floor", ">"),
        ("goal", ">"), ("reached", "<"), *(("p99 ms at %s" % thousands(size), ">") for size in (sizes[0], sizes[-1])))  # fmt: skip
    small, large = str(sizes[0]), str(sizes[-1])
    for row in rows:
        rounds, bound = Rounds(row["rounds"]), growth_bound(row["name"])
        if sizes[-1] < 1_000_000:
            bound = None  # which is of a million
        cost = rounds.ratio(small, large)
        table.add(
            row["name"], *(thousands(rounds.median(str(size), "rate")) for size in sizes), measured(cost, bound),
            "%.2f–%.2f" % rounds.spread(small, large), shown(bound and bound.floor), shown(bound and bound.goal),
            judgement.of("%s at %s secrets" % (row["name"], thousands(sizes[-1])), cost, bound),
            milliseconds(rounds.median(small, "p99")), milliseconds(rounds.median(large, "p99")))  # fmt: skip
    return table.text()


def seconds(value):
    return "%.2f s" % value


def stores_table(stores):
    """What is done with whole stores."""
    stores = sorted(stores, key=lambda line: line["size"])
    table = Table(("secrets", "<"), *((thousands(line["size"]), ">") for line in stores))
    for title, name, write in (
        ("filling, each secret one durable PUT", "fill", seconds),
        ("files of the store", "store", megabytes),
        ("start of cofferd to its first answer", "start", lambda values: "%.0f ms" % median(values)),
        ("cofferd in memory, started", "memory before", megabytes),
        ("cofferd in memory at most under load", "memory most", megabytes),
        ("`coffer backup`", "backup", seconds),
        ("cofferd in memory meanwhile", "backup memory", megabytes),
        ("the backup", "backup bytes", megabytes),
        ("`coffer verify`", "verify", seconds),
        ("cofferd in memory meanwhile", "verify memory", megabytes),
        ("GET of all custom secrets in one list", "whole list", seconds),
        ("the list", "whole list bytes", megabytes),
        ("cofferd in memory meanwhile", "whole list memory", megabytes),
    ):
        table.add(title, *(write(line[name]) for line in stores))
    return table.text()


def peer_table(peer, judgement):
    table = Table(
        ("request", "<"), ("Coffer/s", ">"), ("agent server/s", ">"), ("times", ">"), ("range", ">"), ("floor", ">"), ("goal", ">"),
        ("reached", "<"), ("p50 ms", ">"), ("its p50", ">"), ("p99 ms", ">"), ("its p99", ">"), ("CPU µs", ">"), ("its CPU µs", ">"))  # fmt: skip
    for row in peer["rows"]:
        rounds, bound = Rounds(row["rounds"]), bound_of(row["bound"])
        times = rounds.ratio("coffer", "peer")
        table.add(
            row["name"], thousands(rounds.median("coffer", "rate")), thousands(rounds.median("peer", "rate")), "%.0f" % times,
            "%.0f–%.0f" % rounds.spread("coffer", "peer"), "%d" % bound.floor if bound else "–", "%d" % bound.goal if bound else "–",
            judgement.of(row["name"] + " beside the agent server", times, bound),
            *(milliseconds(rounds.median(who, what)) for what in ("p50", "p99") for who in ("coffer", "peer")),
            *("%.0f" % rounds.median(who, "cpu") for who in ("coffer", "peer")))  # fmt: skip
    memory = peer["memory"]
    return table.text() + "\nIn memory at most: cofferd %s, the agent server (%s) %s.\n" % (
        megabytes(memory["coffer"]), peer["version"], megabytes(memory["peer"]))  # fmt: skip


def sections(result):
    """(title, text) of each part that was measured, the last of them what was reached of what had been asked."""
    judgement = Judgement()
    found = []
    if result.get("rows"):
        found.append(("Requests", rows_table(result["rows"], judgement)))
        found.append(("CPU time of a request, in microseconds", cpu_table(result["rows"])))
    if result.get("fewer clients"):
        found.append(("Fewer clients", fewer_table(result["fewer clients"])))
    if "memory" in result:
        found.append(("The process", process_table(result, judgement)))
    if result.get("beside"):
        found.append(("Beside other work", beside_table(result["beside"], judgement)))
    if result.get("growth"):
        if result["growth"]["rows"]:
            found.append(("Requests a second by secrets stored", growth_table(result["growth"]["rows"], judgement)))
        found.append(("Whole stores", stores_table(result["growth"]["stores"])))
    if result.get("peer"):
        found.append(("An OpenHands agent server with the same thousand secrets", peer_table(result["peer"], judgement)))
    missing = "".join("Not measured, for it failed: %s.\n" % name for name in result.get("not measured", []))
    return [*found, ("Reached", judgement.text() + missing)], judgement


def heading(result):
    """The machine and how much was measured."""
    machine = result["machine"]
    lines = [
        "%d × %s, %d GiB of memory, Linux %s; nginx %s, OpenSSL %s, SQLite %s, wrk %s; a durable write of 4 KiB takes the disk %.2f ms." % (
            machine["cores"], machine["model"], machine["memory"], machine["kernel"], machine["nginx"], machine["openssl"],
            machine["sqlite"], machine["wrk"], machine["sync"]),
        "Load before the run %.2f; %.1f %% of the CPU time went to other machines of the host meanwhile." % (
            machine["load"], 100 * result["stolen"]),
        "Coffer %s, measured on %s in %d minutes: medians of %d rounds of %d s, %d TLS connections unless said otherwise." % (
            result["version"], result["date"], max(1, round(result["took"] / 60)), result["rounds"], result["seconds"], result["clients"]),
    ]  # fmt: skip
    if machine["load"] > machine["cores"] / 2:
        lines.append("**The machine was not quiet: the figures show that all of this works, and little more.**")
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- figures of a run -->", "<!-- end of the figures -->"


def put_between(page, text):
    """The page with `text` between its two marks; what stands around them stays."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or END in after or BEGIN in after:
        raise ValueError("the page must have the marks %s and %s, once and in this order" % (BEGIN, END))
    return before + begin + "\n\n" + text + "\n" + end + after
