"""What requests cost while something else goes on: the same row quiet and beside it, in turns, in one run.

To add one, write a context manager that takes the rig, brings about what the thing needs (a server behind cofferd, say, with
`rig.coffer.with_options`), and yields a function without arguments whose result is a context manager again: entered, the thing is
under way; left, it has ended. What was brought about holds for the quiet runs too. Then add a line to BESIDES.
"""

import contextlib
import os
import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
from agent_server import AgentServer, Said  # noqa: E402
from figures import Bound, in_turns  # noqa: E402
from nginx_harness import free_port  # noqa: E402
from web_sockets import Client as WebSocket  # noqa: E402
from web_sockets import SocketAgent, echo  # noqa: E402


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


@contextlib.contextmanager
def rotations(rig):
    def rotate():
        rig.coffer.coffer("kek", "rotate")
        # Long enough for the re-wrap to have begun, and for some hundred rows.
        time.sleep(0.5)

    yield lambda: repeating(rotate)


START = {"agent": {"kind": "Agent", "llm": {"model": "m", "api_key": "value"}}, "workspace": {"working_dir": "/w"}}


@contextlib.contextmanager
def root_rotations(rig):
    yield lambda: repeating(lambda: rig.coffer.coffer("root", "rotate"))


def conversations(url):
    """Starts of conversations by eight clients, 40 a second at most, with an agent server at `url` that does not serve them.
    More would measure these clients and that server, which share the cores."""

    @contextlib.contextmanager
    def setting(rig):
        def start():
            status, _ = rig.coffer.ask("POST", "/api/conversations", START, rig.coffer.session)
            if status not in (502, 503, 504):
                raise RuntimeError("the start was answered with %d" % status)
            time.sleep(0.2)

        @contextlib.contextmanager
        def company():
            with contextlib.ExitStack() as stack:
                for _ in range(8):
                    stack.enter_context(repeating(start))
                yield

        with url() as address, rig.coffer.with_options("--agent-server=" + address, "--agent-server-deadline=1"):
            yield company

    return setting


@contextlib.contextmanager
def sockets(rig):
    """Two hundred WebSockets at the relay, on each of which a message goes to the agent server and back every second."""
    agent = SocketAgent(echo)

    def talk(clients, stopping):
        while not stopping.wait(1):
            for client in clients:
                client.send("a message of some length, as an event of a conversation has it")
            for client in clients:
                client.receive()

    @contextlib.contextmanager
    def company():
        place = os.path.join(rig.coffer.store, "run", "sockets.sock")
        clients = [WebSocket(place, "/sockets/events/x", rig.coffer.session) for _ in range(200)]
        if any(client.status != 101 for client in clients):
            raise RuntimeError("a socket was refused")
        stopping = threading.Event()
        thread = threading.Thread(target=talk, args=(clients, stopping))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            for client in clients:
                client.close()

    try:
        with rig.coffer.with_options("--agent-server=" + agent.address):
            yield company
    finally:
        agent.close()


@contextlib.contextmanager
def gone():
    yield "http://127.0.0.1:%d" % free_port()


@contextlib.contextmanager
def frozen():
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        yield "http://127.0.0.1:%d" % listener.getsockname()[1]


def flooding(length):
    """A gigabyte for an answer; `length` is the field that tells of it, or says that the end of the connection will."""

    def gigabyte():
        yield b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n%s\r\n\r\n" % length
        for _ in range(1024):
            yield b" " * (1 << 20)

    @contextlib.contextmanager
    def url():
        server = AgentServer(lambda request: Said(raw=gigabyte()))
        try:
            yield server.url
        finally:
            server.close()

    return url


BESIDES = [
    Beside("rotations of the tenant's key, each with its re-wrap", rotations, bound=Bound(2.0, most=True)),
    Beside("rotations of the tenant's key, each with its re-wrap", rotations, row="GET a secret", bound=Bound(2.0, most=True)),
    Beside("changes of the root key, each proven", root_rotations, bound=Bound(2.0, most=True)),
    Beside("changes of the root key, each proven", root_rotations, row="GET a secret", bound=Bound(2.0, most=True)),
    Beside("starts of conversations, the agent server gone", conversations(gone), bound=Bound(2.0, most=True)),
    Beside("starts of conversations, the agent server frozen", conversations(frozen), bound=Bound(2.0, most=True)),
    Beside("starts of conversations, the agent server answering 1 GB", conversations(flooding(b"Content-Length: 1073741824")),
           bound=Bound(2.0, most=True)),
    Beside("starts of conversations, the agent server answering 1 GB unannounced", conversations(flooding(b"Connection: close")),
           bound=Bound(2.0, most=True)),
    Beside("two hundred WebSockets, each with a message a second", sockets, bound=Bound(1.2, most=True)),
    Beside("two hundred WebSockets, each with a message a second", sockets, row="GET a secret"),
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
