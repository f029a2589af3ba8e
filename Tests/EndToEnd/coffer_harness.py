"""Starts the real thing: `coffer up` with nginx and cofferd in a folder of its own, and talks to it.

COFFER_BIN names the folder of the two executables; without it .build/release is used, else
.build/debug.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

import fastcgi
from nginx_harness import ROOT, end_with_parent, free_port

RECORDINGS = ROOT / "Tests" / "Conformance" / "recordings"
SECRET_KEY = "example-secret-key-for-demo-only-32b"
MASK = "**********"
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


def binaries():
    """The folder of `coffer` and `cofferd`."""
    named = os.environ.get("COFFER_BIN")
    for folder in [named] if named else [ROOT / ".build" / "release", ROOT / ".build" / "debug"]:
        if (pathlib.Path(folder) / "coffer").exists() and (pathlib.Path(folder) / "cofferd").exists():
            return pathlib.Path(folder)
    raise RuntimeError("no coffer and cofferd: run `make build` or set COFFER_BIN")


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if values else None


class Client:
    """One kept connection. `key` is sent as the session key unless it is None."""

    def __init__(self, port, key=None, tls=False, timeout=30):
        self.port, self.key, self.tls, self.timeout = port, key, tls, timeout
        self._connection = None

    def _connect(self):
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)

    def __call__(self, method, target, body=None, headers=(), key=...):
        """`body`: bytes as they are, anything else as JSON. A broken connection is not tried again."""
        self._connection = self._connection or self._connect()
        key = self.key if key is ... else key
        fields = {"X-Session-API-Key": key} if key is not None else {}
        if body is not None:
            fields["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields.update(headers)
        try:
            self._connection.request(method, target, body=body, headers=fields)
            response = self._connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        except BaseException:
            self.close()
            raise

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None


class Coffer:
    """A store in `folder` and the processes that serve it over plain HTTP, or over TLS."""

    def __init__(self, folder=None, environment=None, options=(), tls=False):
        self.home = tempfile.mkdtemp(prefix="coffer-test-")
        self.folder = str(folder or os.path.join(self.home, "store"))
        self.port = free_port()
        self.tls = tls
        self.options = list(options)
        self.environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.environment.update(environment or {})
        self.log = os.path.join(self.home, "up.log")
        self.process = None
        self.keys = {}

    # --- the command line

    def command(self, *arguments, input=None, check=True, timeout=60):
        """Runs `coffer ARGUMENTS`; its output as text."""
        result = subprocess.run(
            [str(binaries() / "coffer"), *arguments], input=input, capture_output=True, text=True,
            env=self.environment, timeout=timeout, check=False)  # fmt: skip
        if check and result.returncode != 0:
            raise AssertionError("coffer %s: %d: %s" % (arguments[0], result.returncode, result.stderr.strip()))
        return result

    def init(self):
        """Makes the store; {"adminKey", "sessionKey"}."""
        self.keys = json.loads(self.command("init", "--dir", self.folder, "--json").stdout)
        return self.keys

    def audit(self):
        """All audit entries, oldest first: from one JSON document, or one for each line."""
        text = self.command("audit", "list", "--dir", self.folder, "--json").stdout
        try:
            entries = first_list(json.loads(text))
        except ValueError:
            entries = [json.loads(line) for line in text.splitlines()]
        return sorted(entries, key=lambda entry: entry["sequence"])

    def create_key(self, level):
        """A new session key of that level."""
        made = json.loads(self.command("key", "create", "--dir", self.folder, "--level", level, "--json").stdout)
        return next(value for path, value in leaves(made) if path[-1] == "key")

    # --- the processes

    def up(self, wait=True, timeout=30):
        address = "127.0.0.1:%d" % self.port
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(binaries() / "coffer"), "up", "--dir", self.folder, "--https" if self.tls else "--http", address, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd=self.home, start_new_session=True,
                preexec_fn=end_with_parent)  # fmt: skip
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30):
        """Until /ready answers 200; the seconds it took."""
        start = time.monotonic()
        client = Client(self.port, tls=self.tls, timeout=2)
        while True:
            try:
                if client("GET", "/ready").status == 200:
                    return time.monotonic() - start
            except (OSError, http.client.HTTPException):
                pass
            finally:
                client.close()
            if self.process.poll() is not None:
                raise RuntimeError("coffer up ended with %d: %s" % (self.process.returncode, self.output()[-2000:]))
            if time.monotonic() - start > timeout:
                raise RuntimeError("not ready after %d seconds: %s" % (timeout, self.output()[-2000:]))
            time.sleep(0.02)

    def output(self):
        try:
            return pathlib.Path(self.log).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self):
        """Ends it as a service manager would; its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                raise AssertionError("coffer up did not end on SIGTERM") from None
        status, self.process = self.process.returncode, None
        return status

    @property
    def socket_path(self):
        return os.path.join(self.folder, "run", "cofferd.sock")

    def responder(self):
        """The process id of the cofferd that listens on the socket now."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(self.socket_path)
            return struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def kill_responder(self):
        """kill -9 of cofferd, then everything else down and up again; the seconds until it serves."""
        os.kill(self.responder(), signal.SIGKILL)
        with contextlib.suppress(AssertionError):
            self.stop()
        start = time.monotonic()
        self.up()
        return time.monotonic() - start

    def client(self, key=..., timeout=60):
        return Client(self.port, self.keys.get("sessionKey") if key is ... else key, self.tls, timeout)

    def direct(self, method, target, body=b"", key=..., headers=(), **params):
        """A request to cofferd itself, past nginx: (status, headers, body)."""
        key = self.keys.get("sessionKey") if key is ... else key
        headers = list(headers) + ([("X-Session-API-Key", key)] if key else [])
        return fastcgi.exchange(self.socket_path, fastcgi.settings_params(method, target, headers, body, **params), body)

    def destroy(self):
        try:
            self.stop()
        finally:
            if self.process is not None and self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            shutil.rmtree(self.home, ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)


def tomorrow():
    """The day before which everything is."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))


@contextlib.contextmanager
def working(threads, seconds=30):
    """Threads with an event `stopping` and a client `ask`, which work while the body runs."""
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.stopping.set()
        for thread in threads:
            thread.join(seconds)
            thread.ask.close()


def running(pid):
    """Whether it is there and no zombie."""
    try:
        return "\nState:\tZ" not in pathlib.Path("/proc/%d/status" % pid).read_text()
    except OSError:
        return False


def may_trace():
    """Some machines let nobody trace, root neither."""
    return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def traced(coffer, calls):
    """The system calls of cofferd that have these names, while the body runs: lines, complete once it is over."""
    path, lines = os.path.join(coffer.home, "calls"), []
    words = ["strace", "-f", "-o", path, "-e", "trace=" + calls, "-p", str(coffer.responder())]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert "attached" in tracer.stderr.readline()
            yield lines
        finally:
            tracer.terminate()
    lines += pathlib.Path(path).read_text(encoding="ascii", errors="replace").splitlines()


class CofferTestCase(unittest.TestCase):
    """One running Coffer for the tests of a class, with the keys that init made."""

    environment = {"OH_SECRET_KEY": SECRET_KEY}
    options = ()
    tls = False

    @classmethod
    def setUpClass(cls):
        cls.coffer = Coffer(environment=cls.environment, options=cls.options, tls=cls.tls)
        cls.addClassCleanup(cls.coffer.destroy)
        cls.coffer.init()
        cls.coffer.up()

    def setUp(self):
        self.ask = self.coffer.client()
        self.addCleanup(self.ask.close)

    def fresh(self, start=True, **options):
        """Another Coffer, for this test alone."""
        coffer = Coffer(**{"environment": self.environment, **options})
        self.addCleanup(coffer.destroy)
        coffer.init()
        if start:
            coffer.up()
        return coffer

    def put(self, name, value, ask=None, **more):
        answer = (ask or self.ask)("PUT", "/api/settings/secrets", {"name": name, "value": value, **more})
        self.assertEqual(answer.status, 200, answer.body[:200])
        return answer

    def value(self, name, ask=None):
        answer = (ask or self.ask)("GET", "/api/settings/secrets/" + name)
        self.assertEqual(answer.status, 200)
        return answer.body

    def patch(self, body, status=200, **options):
        answer = self.ask("PATCH", "/api/settings", body, **options)
        self.assertEqual(answer.status, status, answer.body[:200])
        return answer

    def settings(self, mode=None):
        answer = self.ask("GET", "/api/settings", headers={"X-Expose-Secrets": mode} if mode else {})
        self.assertEqual(answer.status, 200)
        return answer.json()


def recorded(file, name):
    """One exchange of a recording."""
    with open(RECORDINGS / file, encoding="utf-8") as recording:
        return next(exchange for exchange in json.load(recording)["exchanges"] if exchange["name"] == name)


def first_list(document):
    """The document when it is a list, else the first list among its members."""
    if isinstance(document, list):
        return document
    return next(first_list(value) for value in document.values() if isinstance(value, (dict, list)))


def leaves(document, path=()):
    """Every (path, value) that is neither an object nor a list."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield from leaves(value, (*path, name))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from leaves(value, (*path, index))
    else:
        yield path, document


def at(document, path):
    for step in path:
        document = document[step]
    return document


# A value in every place the settings document can hold a secret.
SECRET_SETTINGS = {
    "llm": {
        "model": "openai/gpt-4o",
        "api_key": "value-llm-api-key",
        "aws_access_key_id": "value-aws-access",
        "aws_secret_access_key": "value-aws-secret",
        "aws_session_token": "value-aws-session",
        "extra_headers": {"X-Title": "peer", "Authorization": "Bearer value-extra-header"},
        "litellm_extra_body": {"metadata": {"api_key": "value-extra-body", "list": [{"token": "value-extra-list"}]}},
    },
    "mcp_config": {
        "files": {"command": "npx", "args": ["-y"], "env": {"TOKEN": "value-mcp-env", "MODE": "value-mcp-mode"}},
        "web": {"url": "https://mcp.example.com/mcp", "headers": {"X-Api-Key": "value-mcp-header"},
                "auth": {"strategy": "bearer", "value": "value-mcp-bearer"}},
    },
    "agent_context": {"secrets": {"CTX_TOKEN": "value-ctx-secret"}},
    "verification": {"critic_api_key": "value-critic-key"},
}  # fmt: skip


def secret_paths(prefix="value-"):
    """Where SECRET_SETTINGS holds its secrets."""
    return [path for path, value in leaves(SECRET_SETTINGS) if isinstance(value, str) and prefix in value]
