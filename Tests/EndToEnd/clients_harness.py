"""The clients that can seal, all with the same calls: the command line, Node, a browser and the Python module."""

import base64
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from coffer_harness import binaries
from nginx_harness import ROOT, Change, Nginx, make_certificate

sys.path.insert(0, str(ROOT / "conf" / "clients"))
from coffer_sealing import CofferAgent  # noqa: E402

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
MODULE = ROOT / "nginx" / "web" / "sealing.js"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NODE = shutil.which("node") or shutil.which("nodejs")


def text(data):
    return base64.b64encode(data).decode()


class CommandLine:
    def __init__(self, url, key):
        names = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**names, "COFFER_URL": url, "COFFER_AGENT_KEY": key}

    def run(self, *arguments, input=b"", status=0):
        """Runs `coffer ARGUMENTS`; what it printed, as bytes. With another expected status: what it said on standard error."""
        result = subprocess.run(
            [str(binaries() / "coffer"), *arguments], input=input, capture_output=True, env=self.environment, timeout=300, check=False)  # fmt: skip
        if result.returncode != status:
            raise AssertionError("coffer %s: %d: %s" % (arguments[0], result.returncode, result.stderr.decode(errors="replace")))
        return result.stderr.decode() if status else result.stdout

    def write_all(self, place, values):
        for field, value in values.items():
            self.run("set", place[2], field, "--exact", input=value)

    def read_all(self, place, fields):
        return {field: self.run("get", place[2], field) for field in fields}


class Steps:
    """A client that performs a list of steps (clients/steps.mjs)."""

    def write_all(self, place, values):
        for result in self.perform([["write", *place, field, text(value)] for field, value in values.items()]):
            if result is not True:
                raise AssertionError("not written: %s" % result)

    def read_all(self, place, fields):
        results = self.perform([["read", *place, field] for field in fields])
        return {field: base64.b64decode(result) if isinstance(result, str) else result for field, result in zip(fields, results)}


class Node(Steps):
    def __init__(self, url, key):
        self.job = {"url": url, "key": key}

    def perform(self, steps):
        with tempfile.TemporaryDirectory(prefix="coffer-node-") as folder:
            # Node 18 takes a file for a module by its name alone.
            module = shutil.copy(MODULE, os.path.join(folder, "sealing.mjs"))
            result = subprocess.run(
                [NODE, str(CLIENTS / "node_client.mjs"), module], input=json.dumps({**self.job, "steps": steps}).encode(),
                capture_output=True, timeout=120, check=False)  # fmt: skip
        if result.returncode != 0:
            raise AssertionError("node: " + result.stderr.decode(errors="replace"))
        return json.loads(result.stdout)


class Browser(Steps):
    """Headless Chromium on a page of the same origin, under a policy that allows nothing but scripts and calls of that origin."""

    POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'"

    def __init__(self, socket_path, key):
        self.folder = tempfile.mkdtemp(prefix="coffer-browser-")
        self.key = key
        served = os.path.join(self.folder, "clients")
        shutil.copytree(CLIENTS, served)
        location = (
            "include @folder@/server.conf;\n location /clients/ { root %s; types { text/html html; text/javascript js mjs; }"
            ' default_type application/json; add_header Content-Security-Policy "%s"; add_header Cache-Control no-store; }'
        )
        page = Change("server", r"include @folder@/server\.conf;", location % (self.folder, self.POLICY))
        self.site = Nginx(make_certificate(self.folder), socket_path=socket_path, change=page)
        self.site.__enter__()

    def perform(self, steps):
        with open(os.path.join(self.folder, "clients", "job.json"), "w", encoding="utf-8") as job:
            json.dump({"key": self.key, "steps": steps}, job)
        address = "http://127.0.0.1:%d/clients/page.html" % self.site.plain
        profile = os.path.join(self.folder, "profile")
        result = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + profile,
             "--virtual-time-budget=60000", "--dump-dom", address],
            capture_output=True, timeout=180, check=False)  # fmt: skip
        found = re.search(r'<pre id="results">([^<]+)</pre>', result.stdout.decode(errors="replace"))
        if not found:
            raise AssertionError("the page left no results: " + result.stderr.decode(errors="replace")[-2000:])
        return json.loads(base64.b64decode(html.unescape(found.group(1))))

    def close(self):
        self.site.__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)


class Python:
    def __init__(self, url, key):
        self.agent = CofferAgent(url, key)

    def write_all(self, place, values):
        for field, value in values.items():
            self.agent.set_sealed(*place, field, value)

    def read_all(self, place, fields):
        return {field: self.agent.value(*place, field) for field in fields}
