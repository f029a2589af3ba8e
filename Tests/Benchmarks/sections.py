"""The parts of a run. Each takes a plan and gives members of the plain document from which report.py makes tables; none judges."""

import sys

import beside
from figures import in_turns
from rig import Rig
from rows import prepare, rows

CLIENTS = 64


def say(text):
    print(text, file=sys.stderr, flush=True)


def document(bound):
    return bound and bound.document()


def checked(server, request):
    """The size of the answer in bytes, once it was seen to be one."""
    path, body = request.sample()
    status, answer = server.ask(request.method, path, body, request.headers)
    if status not in (200, 201):
        raise RuntimeError("%s %s: %d %s" % (request.method, path, status, answer[:300]))
    return len(answer)


def run(rig, server, request, clients, seconds):
    figures = rig.load(server, request, clients, seconds)
    if not figures["requests"]:
        say("%s answered nothing in %d s: once more" % (server.name, seconds))
        figures = rig.load(server, request, clients, seconds)
    if figures["failed"] or not figures["requests"]:
        raise RuntimeError("%s: %d requests failed: %s %s" % (server.name, figures["failed"], request.method, request.path))
    return figures


def against_echo(rig, row, clients, rounds, seconds, with_file=False):
    """The row beside an echo that answers as many bytes, and when asked beside nginx with a file of that size."""
    say("%s, %d clients" % (row.name, clients))
    request = row.request
    size = checked(rig.coffer, request)
    echo = type(request)(request.method, "/echo/%d" % size, request.headers, request.body, request.numbers)
    runs = {
        "coffer": lambda: run(rig, rig.coffer, request, clients, seconds),
        "echo": lambda: run(rig, rig.echo, echo, clients, seconds),
    }
    if with_file:
        file = rig.file_request(size)
        runs["file"] = lambda: run(rig, rig.files, file, clients, seconds)
    measured = in_turns(rounds, runs)
    return {"name": row.name, "bytes": size, "clients": clients, "bound": document(row.bound),
            "rounds": measured.rounds}  # fmt: skip


def responder(plan):
    """Everything about one cofferd with a thousand secrets in either dialect."""
    with Rig() as rig:
        started = rig.coffer.start_time()
        rig.coffer.wait_ready()
        before = rig.coffer.resident()
        prepare(rig, rig.coffer)
        every = [row for row in rows(rig.coffer) if plan.wants(row.name)]
        measured = [
            against_echo(rig, row, CLIENTS, plan.rounds, plan.seconds, with_file=row.request.method == "GET") for row in every]  # fmt: skip
        fewer = [
            against_echo(rig, row, clients, plan.fewer_rounds, plan.seconds)
            for clients, names in plan.fewer_clients.items() for row in every if row.name in names]  # fmt: skip
        under, after = rig.coffer.peak(), rig.coffer.resident()
        return {
            "rows": measured,
            "fewer clients": fewer,
            "memory": {"before": before, "most": under, "after": after, "nginx": rig.nginx.resident(), "echo": rig.echo.peak()},
            "start": started,
        }


def memory_growth(plan):
    """Bytes in memory after so many audited reads of a cofferd that has just started."""
    say("memory after %s requests" % " and ".join("{:,}".format(count) for count in plan.memory_requests))
    with Rig() as rig:
        prepare(rig, rig.coffer)
        rig.coffer.restart()
        request = next(row.request for row in rows(rig.coffer) if row.name == "GET a secret")
        found, sent = {}, 0
        for count in plan.memory_requests:
            while sent < count:
                sent += run(rig, rig.coffer, request, CLIENTS, 1)["requests"]
            found[str(count)] = rig.coffer.resident()
        return {"memory growth": found}


def company(each, plan):
    """One of beside.BESIDES, on a rig of its own."""
    say("%s beside %s" % (each.row, each.name))
    with Rig() as rig:
        prepare(rig, rig.coffer)
        request = next(row.request for row in rows(rig.coffer) if row.name == each.row)
        measured = beside.measure(rig, each, request, plan.beside_rounds, plan.seconds)
    if any(measured.total(who, "failed") for who in ("quiet", "beside")):
        raise RuntimeError("requests failed beside " + each.name)
    return {"beside": [{"name": each.name, "row": each.row, "bound": document(each.bound), "rounds": measured.rounds}]}
