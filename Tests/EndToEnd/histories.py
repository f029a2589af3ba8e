"""Whether what clients saw of a register is linearizable: whether every operation can have happened at one moment between its
call and its answer (Herlihy and Wing, 1990).

The search is that of Wing and Gong (1993) with Lowe's memory of configurations (2017): operations are put in order one after
the other, each only when none that ended before it began is left out, and a set of operations done with the same value is
looked into once. Values are written once in a history, so that a read names the write that it saw.
"""

import dataclasses

PUT, GET, DELETE = "put", "get", "delete"
NEVER = float("inf")


@dataclasses.dataclass(frozen=True)
class Operation:
    """`value`: what was put, or what a GET found (None: nothing). `found`: whether a DELETE found something; None: unknown.

    `end` is NEVER when no answer came: it may have happened at any time since `start`, and it may not have happened."""

    kind: str
    start: float
    end: float
    value: object = None
    found: object = None

    @property
    def is_answered(self):
        return self.end != NEVER

    def after(self, state):
        """(whether it can happen at `state`, the state after it)."""
        if self.kind == PUT:
            return True, self.value
        if self.kind == GET:
            return self.value == state, state
        return self.found in (None, state is not None), None


def is_linearizable(operations, initial=None):
    """Of one register. GETs without an answer say nothing and are left out."""
    operations = sorted((one for one in operations if one.is_answered or one.kind != GET), key=lambda one: one.start)
    answered = sum(1 << index for index, one in enumerate(operations) if one.is_answered)
    seen, stack = set(), [(0, initial)]
    while stack:
        done, state = stack.pop()
        done = with_fitting_reads(operations, done, state)
        if done & answered == answered:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        for index in possible(operations, done):
            fits, state_after = operations[index].after(state)
            if fits:
                stack.append((done | 1 << index, state_after))
    return False


def fault(operations, lines=12):
    """The end of the shortest beginning of a history that is not linearizable, to be read by people.

    Of a linearizable history every beginning is linearizable, so that halving finds it."""
    ends = sorted(one.end for one in operations if one.is_answered)
    good, bad = 0, len(ends)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if is_linearizable(begun(operations, ends[middle - 1])) else (good, middle)
    last = sorted(begun(operations, ends[bad - 1]), key=lambda one: one.start)[-lines:]
    return "\n".join("%.6f to %.6f: %s %s" % (one.start, one.end, one.kind, one.found if one.kind == DELETE else one.value) for one in last)


def begun(operations, moment):
    """What had begun by then; what had not ended has no answer yet."""
    return [one if one.end <= moment else dataclasses.replace(one, end=NEVER, found=None) for one in operations if one.start <= moment]


def with_fitting_reads(operations, done, state):
    """A read that fits now may as well happen now: it changes nothing."""
    while True:
        fitting = [index for index in possible(operations, done) if operations[index].kind == GET and operations[index].value == state]
        if not fitting:
            return done
        for index in fitting:
            done |= 1 << index


def possible(operations, done):
    """The operations that may be next: no other that is left ended before they began."""
    first = (~done & (done + 1)).bit_length() - 1
    found, earliest = [], NEVER
    for index in range(first, len(operations)):
        one = operations[index]
        if one.start > earliest:
            break
        if not done >> index & 1:
            found.append(index)
            earliest = min(earliest, one.end)
    return found
