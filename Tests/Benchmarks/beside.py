"""What requests cost while something else goes on: the same row quiet and beside it, in turns, in one run.

To add one, write a context manager that takes the rig, brings about what the thing needs (a server behind cofferd, say, with
`rig.coffer.with_options`), and yields a function without arguments whose result is a context manager again: entered, the thing is
under way; left, it has ended. What was brought about holds for the quiet runs too. Then add a line to BESIDES.
"""

import contextlib
import os
import threading

from figures import in_turns


class Beside:
    """`row`: the name of the row whose latency is looked at. `bound`, if there is one: of its p99 beside, by its p99 quiet,
    such as `Bound(2.0, most=True)`."""

    def __init__(self, name, setting, row="GET settings", bound=None):
        self.name, self.setting, self.row, self.bound = name, setting, row, bound


@contextlib.contextmanager
def repeating(work):
    """`work` again and again on a thread of its own, at least once; what it raises is raised here at the end."""
    stopping, failures = threading.Event(), []

    def run():
        try:
            work()
            while not stopping.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    if failures:
        raise failures[0]


@contextlib.contextmanager
def backups(rig):
    path = os.path.join(rig.home, "beside.backup")
    yield lambda: repeating(lambda: rig.coffer.coffer("backup", "--to", path, "--force"))


@contextlib.contextmanager
def verification(rig):
    yield lambda: repeating(lambda: rig.coffer.coffer("verify"))


BESIDES = [
    Beside("backups, one after the other", backups),
    Beside("verification of the store, again and again", verification),
    Beside("backups, one after the other", backups, row="PUT a secret"),
]


def measure(rig, beside, request, rounds, seconds):
    """Rounds of a run that is quiet and a run beside, each after the other."""
    with beside.setting(rig) as company:

        def accompanied():
            with company():
                return rig.load(rig.coffer, request, seconds=seconds)

        return in_turns(rounds, {"quiet": lambda: rig.load(rig.coffer, request, seconds=seconds), "beside": accompanied})
