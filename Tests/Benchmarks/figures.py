"""What rounds of measurements come down to."""

import statistics

median = statistics.median


class Rounds:
    """Runs of several things, taken in turns: each round is one run of each, by name, and a run is figures by name."""

    def __init__(self, rounds=()):
        self.rounds = list(rounds)

    def median(self, who, figure):
        return median(run[who][figure] for run in self.rounds)

    def ratios(self, who, to, figure):
        """`who` by `to`, a ratio for each round: the two ran one right after the other, so what slows the machine for a
        while slows both."""
        return [run[who][figure] / run[to][figure] for run in self.rounds]

    def ratio(self, who, to, figure="rate"):
        return median(self.ratios(who, to, figure))

    def spread(self, who, to, figure="rate"):
        """The lowest and the highest of the ratios."""
        ratios = self.ratios(who, to, figure)
        return min(ratios), max(ratios)

    def total(self, who, figure):
        return sum(run[who][figure] for run in self.rounds)


def in_turns(count, runs):
    """`count` rounds of `runs`, a dictionary from names to functions that measure. Every other round goes the other way
    round, so that nothing is always the one that comes second."""
    rounds = []
    for number in range(count):
        names = list(runs) if number % 2 == 0 else list(reversed(runs))
        taken = {name: runs[name]() for name in names}
        rounds.append({name: taken[name] for name in runs})
    return Rounds(rounds)


class Bound:
    """A floor that must be reached and a goal that should be; `most` when the figure must stay below them instead."""

    def __init__(self, floor, goal=None, most=False):
        self.floor, self.goal, self.most = floor, goal, most

    def document(self):
        return {"floor": self.floor, "goal": self.goal, "most": self.most}

    def holds(self, limit, value):
        return value <= limit if self.most else value >= limit

    def verdict(self, value):
        """"missed", "floor" or "goal"."""
        if not self.holds(self.floor, value):
            return "missed"
        return "goal" if self.goal is not None and self.holds(self.goal, value) else "floor"
