"""The processes of a benchmark: cofferd, a C echo of the same thread model, and one nginx before both.

The shipped nginx files are used as they are. The echo is reached through a second server block that differs in the
upstream's name alone, and a third one serves files, so that all three share workers, TLS and machine.
"""

import http.client
import json
import os
import pathlib
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))
from nginx_harness import NGINX, SHIPPED, SHIPPED_SOCKET, end_with_parent, free_port, make_certificate  # noqa: E402

# Taken out of the environment: cofferd refuses variables it does not know.
BINARIES = pathlib.Path(os.environ.pop("COFFER_BIN", None) or ROOT / ".build" / "release")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

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
    upstream echo {{
        server unix:{home}/echo.sock;
        keepalive 64; keepalive_requests 1000; keepalive_time 3s; keepalive_timeout 2s;
    }}
    access_log off;
    client_body_temp_path {home}/body; fastcgi_temp_path {home}/fastcgi;
    proxy_temp_path {home}/proxy; scgi_temp_path {home}/scgi; uwsgi_temp_path {home}/uwsgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    server {{ listen 127.0.0.1:{coffer} ssl http2; access_log {home}/access.log coffer; include {home}/server.conf; }}
    server {{ listen 127.0.0.1:{echo} ssl http2; access_log {home}/access.log coffer; include {home}/echo.conf; }}
    server {{
        listen 127.0.0.1:{static} ssl http2;
        access_log {home}/access.log coffer;
        open_file_cache max=100;
        root {home}/files;
    }}
}}
"""


def statistics_of(pid):
    """(CPU seconds, resident bytes) of a process, all its threads."""
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE


class Rig:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="coffer-bench-")
        self.store = os.path.join(self.home, "store")
        self.processes = {}
        self.threads = len(os.sched_getaffinity(0))
        self.ports = {name: free_port() for name in ("coffer", "echo", "static")}

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
        made = subprocess.run(
            [str(BINARIES / "coffer"), "init", "--dir", self.store, "--json"], capture_output=True, text=True, check=True)
        self.key = json.loads(made.stdout)["sessionKey"]
        self.agent = self.coffer("agent", "create", "bench")
        self.agent_key = self.coffer("agent", "key", "create", self.agent)
        echo = os.path.join(self.home, "echo")
        source = pathlib.Path(__file__).with_name("echo.c")
        subprocess.run(["cc", "-O2", "-pthread", "-o", echo, str(source), "-lfcgi"], check=True)
        self.start("echo", [echo, os.path.join(self.home, "echo.sock"), str(self.threads)])
        self.start_responder()
        self._configure()
        self.start("nginx", [NGINX, "-c", os.path.join(self.home, "nginx.conf"), "-p", self.home, "-e", self.home + "/nginx.log"])
        self.wait_ready()

    def coffer(self, *words):
        """The first line that `coffer WORDS` prints."""
        done = subprocess.run(
            [str(BINARIES / "coffer"), *words, "--dir", self.store], capture_output=True, text=True, check=True)  # fmt: skip
        return done.stdout.splitlines()[0]

    def start(self, name, words):
        with open(os.path.join(self.home, name + ".out"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)

    def start_responder(self):
        # Open, which takes the rate limits of agents' keys away; every request here has its key.
        self.start("cofferd", [str(BINARIES / "cofferd"), "--dir", self.store, "--insecure-open=true"])

    def _configure(self):
        http_conf = (SHIPPED / "coffer-http.conf").read_text().replace(SHIPPED_SOCKET, self.store + "/run/cofferd.sock")
        server = (SHIPPED / "coffer-server.conf").read_text()
        certificate, key = make_certificate(self.home)
        files = {
            "http.conf": http_conf,
            "server.conf": server,
            "echo.conf": server.replace("fastcgi_pass coffer;", "fastcgi_pass echo;"),
            "nginx.conf": MAIN.format(
                user="user root;" if os.geteuid() == 0 else "", home=self.home, workers=self.threads, certificate=certificate, key=key,
                **self.ports),
        }  # fmt: skip
        for name, text in files.items():
            pathlib.Path(self.home, name).write_text(text, encoding="utf-8")
        os.mkdir(os.path.join(self.home, "files"))

    def static_file(self, size):
        path = os.path.join(self.home, "files", str(size))
        pathlib.Path(path).write_bytes(b"x" * size)
        return "/%d" % size

    def wait_ready(self):
        for _ in range(500):
            try:
                if self.ask("GET", "/ready")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError("not ready: " + pathlib.Path(self.home, "cofferd.out").read_text()[-2000:])

    def ask(self, method, target, body=None, headers=()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports["coffer"], timeout=30, context=context)
        try:
            fields = {"X-Session-API-Key": self.key, "Content-Type": "application/json", **dict(headers)}
            connection.request(method, target, body=None if body is None else json.dumps(body), headers=fields)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def pids(self, name):
        """A process and its children: nginx works in its workers."""
        pid = self.processes[name].pid
        children = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split()
        return [pid, *map(int, children)]

    def cpu(self, name):
        return sum(statistics_of(pid)[0] for pid in self.pids(name))

    def resident(self, name):
        return sum(statistics_of(pid)[1] for pid in self.pids(name))

    def load(self, target, method, path, clients, seconds, headers=(), body=None):
        """One run of wrk: its figures and the CPU seconds that each side used meanwhile."""
        environment = {
            "PATH": os.environ["PATH"],
            "BENCH_METHOD": method,
            "BENCH_PATH": path,
            "BENCH_HEADERS": "\n".join("%s: %s" % pair for pair in headers),
        }
        if body is not None:
            environment["BENCH_BODY"] = body
        served = {"coffer": "cofferd", "echo": "echo"}.get(target)
        before = {name: self.cpu(name) for name in ("nginx", served) if name}
        result = subprocess.run(
            ["wrk", "-t", str(min(2, clients)), "-c", str(clients), "-d", "%ds" % seconds, "--timeout", "10s", "-s",
             str(pathlib.Path(__file__).with_name("request.lua")), "https://127.0.0.1:%d" % self.ports[target]],
            env=environment, capture_output=True, text=True, timeout=seconds + 60, check=True)  # fmt: skip
        line = next(line for line in result.stdout.splitlines() if line.startswith("RESULT "))
        figures = json.loads(line[7:])
        done = max(1, figures["requests"])
        figures["rate"] = done / (figures["microseconds"] / 1e6)
        for name in before:
            figures[name] = (self.cpu(name) - before[name]) / done * 1e6
        return figures

    def close(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def start_time(rounds=5):
    """Milliseconds from the start of cofferd to its first answer on its own socket, each with a store that exists."""
    import fastcgi

    found = []
    with tempfile.TemporaryDirectory(prefix="coffer-bench-") as home:
        store = os.path.join(home, "store")
        subprocess.run([str(BINARIES / "coffer"), "init", "--dir", store, "--json"], capture_output=True, check=True)
        for _ in range(rounds):
            begun = time.monotonic()
            process = subprocess.Popen(
                [str(BINARIES / "cofferd"), "--dir", store], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                preexec_fn=end_with_parent)  # fmt: skip
            try:
                while True:
                    try:
                        if fastcgi.exchange(store + "/run/cofferd.sock", fastcgi.settings_params("GET", "/ready", [], b""), b"")[0] == 200:
                            break
                    except (OSError, socket.error):
                        pass
                    if time.monotonic() - begun > 20:
                        raise RuntimeError("cofferd did not answer")
                    time.sleep(0.0005)
                found.append((time.monotonic() - begun) * 1000)
            finally:
                process.terminate()
                process.wait(15)
    return found


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE >> 30
    return "%d x %s, %d GiB, Linux %s" % (len(os.sched_getaffinity(0)), model, memory, os.uname().release)


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
