"""The Debian package in a clean Debian 12 without Swift: installed, used as the README says, upgraded, removed. Needs root.

systemd does not run there: what its units do (the listening socket as descriptor 0, the account, the credential) is done here."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "EndToEnd"))
from coffer_harness import Client  # noqa: E402
from nginx_harness import ROOT, end_with_parent, free_port  # noqa: E402
from test_readme import blocks  # noqa: E402

SITE = """
server {
    listen 127.0.0.1:%d ssl;
    server_name localhost;
    ssl_certificate /etc/nginx/localhost.pem;
    ssl_certificate_key /etc/nginx/localhost.key;
    access_log off;
    include /usr/share/coffer/nginx/coffer-server.conf;
}
"""


def build(*version):
    made = subprocess.run([ROOT / "conf" / "debian" / "build", *version], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return ROOT / made.strip().splitlines()[-1]


class PackageTests(unittest.TestCase):
    def setUp(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="coffer-package-"))
        self.addCleanup(shutil.rmtree, home)
        self.root = home / "root"
        self.first, self.second = build(), build("0.1.0-2~test")
        # What it depends on is there before, so that apt inside needs no network.
        depends = subprocess.run(["dpkg-deb", "-f", self.first, "Depends"], stdout=subprocess.PIPE, text=True, check=True).stdout
        packages = ",".join(["bash", "curl", "nginx-light", "openssl", *(one.split()[0] for one in depends.split(","))])
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + packages, "bookworm", self.root], check=True)
        # Swift's runtime reads a program's arguments there.
        subprocess.run(["mount", "-t", "proc", "proc", self.root / "proc"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.root / "proc"], check=True)
        self.port = free_port()
        self.processes = contextlib.ExitStack()
        self.addCleanup(self.processes.close)

    def inside(self, *words, check=True, **options):
        done = subprocess.run(["/usr/sbin/chroot", self.root, *words], capture_output=True, text=True, check=False, **options)
        if check:
            self.assertEqual(done.returncode, 0, (words[:3], done.stdout[-2000:], done.stderr[-2000:]))
        return done

    def as_coffer(self, *words, **options):
        return self.inside("setpriv", "--reuid=coffer", "--regid=coffer", "--init-groups", *words, **options)

    def install(self, package):
        shutil.copy(package, self.root / "tmp" / "coffer.deb")
        return self.apt("install", "/tmp/coffer.deb")

    def apt(self, verb, package):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        return self.inside("apt-get", verb, "-y", "-qq", "--no-install-recommends", package, env=environment)

    def start(self, words, **options):
        process = subprocess.Popen(["/usr/sbin/chroot", self.root, *words], preexec_fn=end_with_parent, **options)
        self.processes.callback(process.wait, 20)
        self.processes.callback(process.terminate)

    def serve(self):
        """What coffer.socket, coffer.service and nginx's own unit do."""
        folder = self.root / "run" / "coffer"
        folder.mkdir(exist_ok=True)
        path = folder / "cofferd.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(4096)
        users = dict(line.split(":")[0::2][:2] for line in (self.root / "etc" / "passwd").read_text().splitlines())
        shutil.chown(path, int(users["coffer"]), int(users["www-data"]))
        path.chmod(0o660)
        credentials = self.root / "run" / "credentials"
        credentials.mkdir(exist_ok=True)
        shutil.copy(self.root / "etc" / "coffer" / "root.key", credentials / "coffer-root-key")
        for one in (credentials, credentials / "coffer-root-key"):
            shutil.chown(one, int(users["coffer"]))
        (credentials / "coffer-root-key").chmod(0o400)
        environment = {"PATH": "/usr/bin:/bin", "CREDENTIALS_DIRECTORY": "/run/credentials"}
        words = ["setpriv", "--reuid=coffer", "--regid=coffer", "--init-groups", "cofferd", "--dir", "/var/lib/coffer"]
        with listener, open(self.root / "cofferd.log", "ab") as log:
            self.start(words, stdin=listener, stdout=log, stderr=log, env=environment)
        with open(self.root / "nginx.log", "ab") as log:
            self.start(["nginx", "-g", "daemon off;"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        client = Client(self.port, tls=True, timeout=2)
        end = time.monotonic() + 20
        while True:
            try:
                if client("GET", "/ready").status == 200:
                    return client.close()
            except OSError:
                pass
            finally:
                client.close()
            self.assertLess(time.monotonic(), end, (self.root / "cofferd.log").read_text() + (self.root / "nginx.log").read_text())
            time.sleep(0.1)

    def stop(self):
        self.processes.close()
        self.processes = contextlib.ExitStack()
        self.addCleanup(self.processes.close)

    def test_install_use_upgrade_remove(self):
        self.assertNotEqual(self.inside("sh", "-c", "command -v swift", check=False).returncode, 0)
        self.assertIn("no store yet", self.install(self.first).stdout)
        self.inside("coffer", "--version")
        # minbase leaves manual pages out.
        self.inside("test", "-s", "/usr/share/bash-completion/completions/coffer")
        keys = json.loads(self.as_coffer("coffer", "init", "--json").stdout)
        self.inside("mv", "/var/lib/coffer/keys/root.key", "/etc/coffer/")
        self.inside("chown", "root:", "/etc/coffer/root.key")
        self.inside("ln", "-s", "/usr/share/coffer/nginx/coffer-http.conf", "/etc/nginx/conf.d/")
        self.inside("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", "/etc/nginx/localhost.key", "-out", "/etc/nginx/localhost.pem")  # fmt: skip
        self.inside("rm", "-f", "/etc/nginx/sites-enabled/default")
        (self.root / "etc" / "nginx" / "conf.d" / "site.conf").write_text(SITE % self.port)
        self.serve()
        # The key by standard input: not in an argument.
        script = next(block for block in blocks("Try it") if block.startswith("KEY=")).replace("csk_…", keys["sessionKey"])
        script = script.replace("127.0.0.1:8443", "127.0.0.1:%d" % self.port).replace("curl -k", "curl -skf")
        said = self.inside("bash", "-eu", input=script).stdout
        for expected in ("GITHUB_TOKEN", "ghp_example", '"api_key":"sk-example"', '"api_key":"**********"', '"api_key":"gAAAA'):
            self.assertIn(expected, said)
        self.stop()
        self.assertNotIn("no store yet", self.install(self.second).stdout)
        self.assertIn("0.1.0-2~test", self.inside("dpkg-query", "-W", "coffer").stdout)
        self.serve()
        ask = Client(self.port, keys["sessionKey"], tls=True)
        self.assertEqual(ask("GET", "/api/settings/secrets/GITHUB_TOKEN").body, b"ghp_example")
        ask.close()
        self.stop()
        self.apt("purge", "coffer")
        self.assertFalse((self.root / "usr" / "bin" / "cofferd").exists())
        for kept in ("var/lib/coffer/store/coffer.db", "etc/coffer/root.key"):
            self.assertTrue((self.root / kept).exists(), kept)


if __name__ == "__main__":
    unittest.main()
