"""A shared host: Apache with mod_fcgid and TLS, and an account whose folders Coffer's files lie in."""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from coffer_harness import Client, binaries
from nginx_harness import end_with_parent, free_port, make_certificate

APACHE = shutil.which("apache2") or "/usr/sbin/apache2"
MODULES = pathlib.Path("/usr/lib/apache2/modules")

MAIN = """
ServerRoot {home}
ServerName localhost
PidFile {home}/apache.pid
Listen 127.0.0.1:{port}
{user}
DefaultRuntimeDir {home}
TypesConfig /dev/null
{modules}
ErrorLog {home}/error.log
LogFormat "%h %t \\"%r\\" %>s %b" usual
CustomLog {home}/access.log usual
StartServers 1
MinSpareThreads 1
MaxSpareThreads 64
ThreadsPerChild 64
MaxRequestWorkers 64
ServerLimit 1
SSLEngine on
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
FcgidIPCDir {home}/sockets
FcgidProcessTableFile {home}/sockets/table
FcgidMaxRequestLen 2097152
# As on hosts that are short of memory: what is idle goes soon.
FcgidIdleScanInterval 1
FcgidIdleTimeout 2
FcgidMinProcessesPerClass 0
DocumentRoot {site}
<Directory {site}>
    AllowOverride All
    Require all granted
</Directory>
"""
LOADED = [
    "mpm_event", "authn_core", "authz_core", "authz_host", "mime", "dir", "headers", "rewrite", "socache_shmcb", "ssl", "fcgid",
]  # fmt: skip


class SharedHost:
    """Programs run under an account that is not root: Apache refuses to serve as root."""

    def __init__(self):
        self.account = pwd.getpwnam("www-data") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.home = tempfile.mkdtemp(prefix="coffer-shared-host-")
        self.site, self.store, self.programs = (os.path.join(self.home, name) for name in ("site", "a coffer", "bin"))
        self.port, self.process, self.apache_log = free_port(), None, os.path.join(self.home, "error.log")
        sockets = os.path.join(self.home, "sockets")
        for path in (self.site, self.programs, sockets):
            os.mkdir(path)
        for file in (binaries() / "coffer", binaries() / "cofferd", self.library()):
            shutil.copy(file, self.programs)
        for path in (self.home, self.site, self.programs, sockets):
            os.chmod(path, 0o755)
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    @staticmethod
    def library():
        """libfcgi, which a host most likely lacks: it lies beside the programs."""
        told = subprocess.run(["ldd", binaries() / "cofferd"], stdout=subprocess.PIPE, text=True, check=True).stdout
        return next(line.split()[2] for line in told.splitlines() if "libfcgi" in line)

    def command(self, *words, check=True):
        """`coffer WORDS` as the account."""
        result = subprocess.run(
            [os.path.join(self.programs, "coffer"), *words], capture_output=True, text=True, timeout=60, check=False, cwd=self.home,
            env={"PATH": "/usr/bin:/bin"}, **self.as_account())  # fmt: skip
        if check and result.returncode != 0:
            raise AssertionError("coffer %s: %s" % (words[0], result.stderr))
        return result

    def as_account(self):
        """For subprocess: run as the account."""
        return {"user": self.account.pw_uid, "group": self.account.pw_gid} if os.geteuid() == 0 else {}

    def init(self):
        self.keys = json.loads(self.command("init", "--dir", self.store, "--json").stdout)
        self.command("fcgi", "--dir", self.store, "--install", self.site)

    def start(self):
        certificate, key = make_certificate(self.home)
        modules = "\n".join("LoadModule %s_module %s/mod_%s.so" % (name, MODULES, name) for name in LOADED)
        user = "User #%d\nGroup #%d" % (self.account.pw_uid, self.account.pw_gid) if os.geteuid() == 0 else ""
        path = pathlib.Path(self.home, "apache.conf")
        path.write_text(
            MAIN.format(home=self.home, port=self.port, user=user, modules=modules, site=self.site, certificate=certificate, key=key),
            encoding="utf-8")  # fmt: skip
        self.restart()

    def restart(self):
        path = os.path.join(self.home, "apache.conf")
        with open(os.path.join(self.home, "apache.out"), "ab") as log:
            self.process = subprocess.Popen(
                [APACHE, "-DFOREGROUND", "-f", path], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)  # fmt: skip
        deadline = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.home, "apache.pid")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("Apache did not start: " + pathlib.Path(self.home, "apache.out").read_text() + self.errors())
            time.sleep(0.05)

    def client(self, key=None, port=None):
        return Client(port or self.port, key, tls=True)

    def errors(self):
        with contextlib.suppress(FileNotFoundError):
            return pathlib.Path(self.apache_log).read_text(encoding="utf-8", errors="replace")[-3000:]
        return ""

    def responder(self):
        """The pid of the cofferd that serves, or None. Its first answers may leave before it has written its pid."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            with contextlib.suppress(FileNotFoundError, ValueError):
                pid = int(pathlib.Path(self.store, "run", "cofferd.pid").read_text())
                if self.store.encode() in pathlib.Path("/proc", str(pid), "cmdline").read_bytes():
                    return pid
            time.sleep(0.02)
        return None

    def programs_of(self, name):
        """Pids of what runs from our own folder under that name."""
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.readlink("/proc/%s/exe" % entry) == os.path.join(self.programs, name):
                    found.append(int(entry))
        return found

    def end_responder(self, how=signal.SIGTERM):
        for pid in self.programs_of("cofferd"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        deadline = time.monotonic() + 15
        while (self.programs_of("cofferd") or self.is_listening()) and time.monotonic() < deadline:
            time.sleep(0.02)

    def is_listening(self):
        """A process that was killed is gone from /proc a little before its socket is."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(os.path.join(self.store, "run", "cofferd.sock")) == 0

    def destroy(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
        self.end_responder()
        self.end_responder(signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)
