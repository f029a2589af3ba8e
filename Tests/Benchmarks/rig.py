"""The processes of a benchmark: cofferd, a C echo of the same thread model, and one nginx before both.

The shipped nginx files are used as they are. The echo is reached through a second server block that differs in the
upstream's name alone, and a third one serves files, so that all share workers, TLS and machine. A rig can hold several
stores, each with a cofferd of its own, and pass requests on to other HTTP servers behind the same nginx.
"""

import contextlib
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))
import fastcgi  # noqa: E402
from nginx_harness import NGINX, SHIPPED, SHIPPED_SOCKET, SHIPPED_WEB, end_with_parent, free_port, make_certificate  # noqa: E402

# Taken out of the environment: cofferd refuses variables it does not know.
BINARIES = pathlib.Path(os.environ.pop("COFFER_BIN", None) or ROOT / ".build" / "release")
SCRIPT = pathlib.Path(__file__).with_name("request.lua")
TICKS = os.sysconf("SC_CLK_TCK")

MAIN = """
{user}
daemon off;
worker_processes {workers};
worker_rlimit_nofile 16384;
pid {home}/nginx.pid;
error_log {home}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
    include {home}/http.conf;
    access_log off;
    client_body_temp_path {home}/body; fastcgi_temp_path {home}/fastcgi;
    proxy_temp_path {home}/proxy; scgi_temp_path {home}/scgi; uwsgi_temp_path {home}/uwsgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    {upstreams}
    {servers}
}}
"""

# The pool of connections that coffer-http.conf has, for the others too.
UPSTREAM = """
    upstream {name} {{
        server {address};
        keepalive 64; keepalive_requests 1000; keepalive_time 1s; keepalive_timeout 1s;
    }}
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl http2;
        access_log {home}/access.log coffer;
        {content}
    }}
"""

FILES = "open_file_cache max=100; root {home}/files;"

RELAY = """
        client_max_body_size 1m;
        location / {{ proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 120s; }}
"""


class Request:
    """What wrk sends again and again. In `path` and `body`, `@` becomes a number below `numbers`, seven digits long, and `#`
    twenty digits that never come again, so that a write changes something."""

    def __init__(self, method, path, headers=(), body=None, numbers=1000):
        self.method, self.path, self.headers, self.body, self.numbers = method, path, list(headers), body, numbers

    def sample(self):
        """(path, body) of one of them."""
        one, fresh = "%07d" % 1, "%020d" % 1
        body = None if self.body is None else json.loads(self.body.replace("@", one).replace("#", fresh))
        return self.path.replace("@", one), body


class Server:
    """One port of nginx and, unless nginx answers itself, the process behind it."""

    def __init__(self, rig, name):
        self.rig, self.name, self.port = rig, name, free_port()
        self.process = None

    def start(self, words, **options):
        with open(os.path.join(self.rig.home, self.name + ".out"), "ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent, **options)  # fmt: skip

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def pids(self):
        """The process and its children: nginx works in its workers."""
        pid = self.process.pid
        return [pid, *map(int, pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split())]

    def cpu(self):
        """Seconds of CPU time so far, all threads."""
        return sum(cpu_seconds(pid) for pid in self.pids())

    def resident(self):
        """Bytes in memory now."""
        return sum(memory(pid, "VmRSS") for pid in self.pids())

    def peak(self):
        """Bytes in memory at most, since each process began or since `forget_peak`."""
        return sum(memory(pid, "VmHWM") for pid in self.pids())

    def forget_peak(self):
        """`peak` counts from here on (proc(5), /proc/PID/clear_refs)."""
        for pid in self.pids():
            pathlib.Path("/proc/%d/clear_refs" % pid).write_text("5", encoding="utf-8")

    def output(self):
        return pathlib.Path(self.rig.home, self.name + ".out").read_text(errors="replace")[-2000:]

    def ask(self, method, target, body=None, headers=()):
        """One request on a connection of its own: (status, body)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=300, context=context)
        try:
            fields = {"Content-Type": "application/json", **dict(headers)}
            connection.request(method, target, body=None if body is None else json.dumps(body), headers=fields)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_ready(self, target="/ready", seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", target)[0] == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError("%s is not ready: %s" % (self.name, self.output()))


class Responder(Server):
    """A cofferd with a store of its own, a session key (`session`: headers) and an agent with a key (`agent_headers`)."""

    def __init__(self, rig, name):
        super().__init__(rig, name)
        self.store = os.path.join(rig.home, "store-" + name)
        self.socket = os.path.join(self.store, "run", "cofferd.sock")

    def make(self):
        made = json.loads(self.coffer("init", "--json"))
        self.key, self.admin_key = made["sessionKey"], made["adminKey"]
        self.session = [("X-Session-API-Key", self.key)]
        self.agent = self.coffer("agent", "create", "bench")
        self.agent_key = self.coffer("agent", "key", "create", self.agent)
        self.agent_headers = [("Authorization", "Bearer " + self.agent_key), ("Content-Type", "application/json")]

    def coffer(self, *words):
        """The first line that `coffer WORDS` prints."""
        done = subprocess.run(
            [str(BINARIES / "coffer"), *words, "--dir", self.store], capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError("coffer %s: %s" % (words[0], done.stderr.strip()))
        return done.stdout.partition("\n")[0]

    def begin(self, *options):
        # Open, which takes the rate limits of agents' keys away; every request here has its key.
        self.start([str(BINARIES / "cofferd"), "--dir", self.store, "--insecure-open=true", *options])

    @contextlib.contextmanager
    def with_options(self, *options):
        """cofferd runs with these options meanwhile: `--name=value`."""
        self.restart(*options)
        try:
            yield
        finally:
            self.restart()

    def restart(self, *options):
        self.stop()
        self.begin(*options)
        self.wait_ready()

    def start_time(self, rounds=5):
        """Milliseconds from the start of the process to its first answer on its own socket, for each round."""
        return [self._first_answer() for _ in range(rounds)]

    def _first_answer(self):
        self.stop()
        begun = time.monotonic()
        self.begin()
        while True:
            with contextlib.suppress(OSError, fastcgi.ConnectionEnded):
                if fastcgi.exchange(self.socket, fastcgi.settings_params("GET", "/ready", [], b""), b"")[0] == 200:
                    return (time.monotonic() - begun) * 1000
            if self.process.poll() is not None or time.monotonic() - begun > 30:
                raise RuntimeError("cofferd did not answer: " + self.output())
            time.sleep(0.0005)


class Rig:
    """`responders`: names of the stores, each with a cofferd. `relays`: names of servers that nginx passes requests on to;
    whoever wants one starts it, on loopback at the port in `behind`."""

    def __init__(self, responders=("coffer",), relays=()):
        self.home = tempfile.mkdtemp(prefix="coffer-bench-")
        self.threads = len(os.sched_getaffinity(0))
        self.nginx = Server(self, "nginx")
        self.echo = Server(self, "echo")
        self.files = Server(self, "files")
        self.responders = [Responder(self, name) for name in responders]
        self.relays = [Server(self, name) for name in relays]
        self.behind = {relay.name: free_port() for relay in self.relays}
        self.coffer = self.responders[0]

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self):
        echo = os.path.join(self.home, "echo")
        source = pathlib.Path(__file__).with_name("echo.c")
        subprocess.run(["cc", "-O2", "-pthread", "-o", echo, str(source), "-lfcgi"], check=True)
        self.echo.start([echo, os.path.join(self.home, "echo.sock"), str(self.threads)])
        for responder in self.responders:
            responder.make()
            responder.begin()
        self._configure()
        self.nginx.start([NGINX, "-c", os.path.join(self.home, "nginx.conf"), "-p", self.home, "-e", self.home + "/nginx.log"])
        for responder in self.responders:
            responder.wait_ready()

    def _configure(self):
        http_conf, shipped = (SHIPPED / "coffer-http.conf").read_text(), (SHIPPED / "coffer-server.conf").read_text()
        upstreams, servers = [], []

        def serve(server, content):
            servers.append(SERVER.format(port=server.port, home=self.home, content=content))

        def through(server, upstream):
            path = os.path.join(self.home, server.name + ".conf")
            pathlib.Path(path).write_text(shipped.replace("fastcgi_pass coffer;", "fastcgi_pass %s;" % upstream), encoding="utf-8")
            serve(server, "include %s;" % path)

        for index, responder in enumerate(self.responders):
            if index == 0:  # the upstream of the shipped file
                http_conf = http_conf.replace(SHIPPED_SOCKET, responder.socket).replace(SHIPPED_WEB, str(SHIPPED / "web"))
                through(responder, "coffer")
            else:
                upstreams.append(UPSTREAM.format(name="coffer_%d" % index, address="unix:" + responder.socket))
                through(responder, "coffer_%d" % index)
        upstreams.append(UPSTREAM.format(name="echo", address="unix:%s/echo.sock" % self.home))
        through(self.echo, "echo")
        serve(self.files, FILES.format(home=self.home))
        for index, relay in enumerate(self.relays):
            upstreams.append(UPSTREAM.format(name="relay_%d" % index, address="127.0.0.1:%d" % self.behind[relay.name]))
            serve(relay, RELAY.format(name="relay_%d" % index))
        certificate, key = make_certificate(self.home)
        main = MAIN.format(
            user="user root;" if os.geteuid() == 0 else "", home=self.home, workers=self.threads, certificate=certificate, key=key,
            upstreams="".join(upstreams), servers="".join(servers))  # fmt: skip
        pathlib.Path(self.home, "http.conf").write_text(http_conf, encoding="utf-8")
        pathlib.Path(self.home, "nginx.conf").write_text(main, encoding="utf-8")
        os.mkdir(os.path.join(self.home, "files"))

    def file_request(self, size):
        """The request for a file of that size, which nginx answers itself."""
        pathlib.Path(self.home, "files", str(size)).write_bytes(b"x" * size)
        return Request("GET", "/%d" % size)

    # --- load

    def load(self, server, request, clients=64, seconds=3):
        """One run of wrk against a server. Rate per second, latencies in microseconds, requests that failed, and the CPU
        time in microseconds that a request cost the server's own processes ("cpu") and nginx's ("nginx")."""
        measured = {"nginx": self.nginx, **({"cpu": server} if server.process else {})}
        before = {name: it.cpu() for name, it in measured.items()}
        result = subprocess.run(
            self._wrk(server, clients, seconds), env=_environment(request), capture_output=True, text=True,
            timeout=seconds + 60, check=True)  # fmt: skip
        figures = _result(result.stdout)
        for name, it in measured.items():
            figures[name] = (it.cpu() - before[name]) / max(1, figures["requests"]) * 1e6
        return figures

    def fill(self, server, request, clients=64):
        """Sends the request once for each of its numbers, in order, whatever time it takes; seconds."""
        begun = time.monotonic()
        threads = min(2, clients)
        environment = {**_environment(request), "BENCH_FILL": str(threads)}
        with subprocess.Popen(
            self._wrk(server, clients, 24 * 3600), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=end_with_parent) as wrk:  # fmt: skip
            for _ in range(threads):  # each says when it has sent its share
                if wrk.stderr.readline() != "FILLED\n":
                    wrk.kill()
                    raise RuntimeError("filling ended early")
            took = time.monotonic() - begun
            wrk.send_signal(signal.SIGINT)
            figures = _result(wrk.stdout.read())
        if figures["failed"]:
            raise RuntimeError("%d of the requests that fill a store failed" % figures["failed"])
        return took

    def _wrk(self, server, clients, seconds):
        return ["wrk", "-t", str(min(2, clients)), "-c", str(clients), "-d", "%ds" % seconds, "--timeout", "60s", "-s", str(SCRIPT),
                "https://127.0.0.1:%d" % server.port]  # fmt: skip

    def close(self):
        for server in (self.nginx, *self.relays, *self.responders, self.echo):
            server.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def _environment(request):
    # A key comes by environment and not by argument.
    environment = {
        "PATH": os.environ["PATH"],
        "BENCH_METHOD": request.method,
        "BENCH_PATH": request.path,
        "BENCH_HEADERS": "\n".join("%s: %s" % pair for pair in request.headers),
        "BENCH_NUMBERS": str(request.numbers),
    }
    if request.body is not None:
        environment["BENCH_BODY"] = request.body
    return environment


def _result(output):
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    figures = json.loads(line[7:])
    figures["rate"] = figures["requests"] / (figures.pop("microseconds") / 1e6)
    return figures


def cpu_seconds(pid):
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid, name):
    """Bytes of a line of /proc/PID/status."""
    for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
