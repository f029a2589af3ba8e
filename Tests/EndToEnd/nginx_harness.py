"""Starts nginx with Coffer's shipped files, as they are but for the socket's path, or changed on purpose."""

import ctypes
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "nginx"
SHIPPED_SOCKET = "/run/coffer/cofferd.sock"
SHIPPED_RELAY = "/run/coffer/sockets.sock"
SHIPPED_WEB = "/usr/local/share/coffer/nginx/web"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


_given, _giving = set(), threading.Lock()


def free_port():
    """A port that nothing listens on and that this process has not given out before.

    Below the kernel's own range: a port of that range can become the source of somebody's connection, or be
    given to two that ask at the same time, before the server that it is for has bound it.
    """
    with _giving:
        while True:
            port = random.SystemRandom().randrange(16000, 32000)
            if port in _given:
                continue
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            _given.add(port)
            return port


def make_certificate(folder, name="localhost"):
    """A self-signed P-256 certificate, valid for `name` and 127.0.0.1."""
    key, certificate = os.path.join(folder, "key.pem"), os.path.join(folder, "certificate.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:%s,IP:127.0.0.1" % name,
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True)  # fmt: skip
    return certificate, key


def end_with_parent():
    """For a child before it becomes another program: it gets SIGTERM when its test dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Change:
    """A planted fault: in the file `where`, `pattern` (which must occur) becomes `replacement`."""

    def __init__(self, where, pattern, replacement=""):
        self.where, self.pattern, self.replacement = where, pattern, replacement

    def apply(self, files):
        text, count = re.subn(self.pattern, lambda match: self.replacement, files[self.where], flags=re.M)
        if not count:
            raise ValueError("%s does not occur in %s" % (self.pattern, self.where))
        files[self.where] = text


MAIN = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    {surroundings}
    include {folder}/http.conf;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path     {folder}/fastcgi;
    proxy_temp_path {folder}/proxy; scgi_temp_path {folder}/scgi; uwsgi_temp_path {folder}/uwsgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate     {certificate};
    ssl_certificate_key {key};
    {default_server}
    {server}
}}
"""

DEFAULT_SERVER = """
    server {{
        listen 127.0.0.1:{plain} default_server;
        listen 127.0.0.1:{tls} ssl http2 default_server;
        server_name "";
        error_log stderr alert;
        access_log off;
        merge_slashes off;
        {default_settings}
        return 421;
    }}
"""

SERVER = """
    server {
        listen 127.0.0.1:@plain@;
        listen 127.0.0.1:@tls@ ssl http2;
        server_name h localhost 127.0.0.1;
        access_log @folder@/coffer.log coffer;
        include @folder@/server.conf;
    }
"""


class Nginx:
    """A running nginx in a folder of its own.

    `surroundings` are lines of the http block around; `change` plants a fault; without
    `default_server` Coffer's server is the default of its addresses.
    """

    def __init__(self, certificate, socket_path=None, surroundings="", change=None, default_server=True, default_settings=""):
        self.folder = tempfile.mkdtemp(prefix="coffer-nginx-")
        self.plain, self.tls = free_port(), free_port()
        self.socket_path = socket_path or os.path.join(self.folder, "upstream.sock")
        self.relay_path = os.path.join(self.folder, "sockets.sock")
        files = {
            "http.conf": (SHIPPED / "coffer-http.conf").read_text(),
            "server.conf": (SHIPPED / "coffer-server.conf").read_text(),
            "server": SERVER,
        }
        if files["http.conf"].count(SHIPPED_SOCKET) != 1:
            raise ValueError("coffer-http.conf must name the socket exactly once")
        if files["http.conf"].count(SHIPPED_RELAY) != 1:
            raise ValueError("coffer-http.conf must name the relay's socket exactly once")
        if files["http.conf"].count(SHIPPED_WEB) != 1:
            raise ValueError("coffer-http.conf must name the folder of files for browsers exactly once")
        for planted in [change] if isinstance(change, Change) else change or []:
            planted.apply(files)
        files["http.conf"] = files["http.conf"].replace(SHIPPED_SOCKET, self.socket_path).replace(SHIPPED_RELAY, self.relay_path)
        files["http.conf"] = files["http.conf"].replace(SHIPPED_WEB, str(SHIPPED / "web"))
        for name in ("http.conf", "server.conf"):
            self._write(name, files[name])
        server = files["server"]
        for name, value in (("plain", self.plain), ("tls", self.tls), ("folder", self.folder)):
            server = server.replace("@%s@" % name, str(value))
        ports = {"plain": self.plain, "tls": self.tls, "default_settings": default_settings}
        main = MAIN.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=self.folder,
            certificate=certificate[0],
            key=certificate[1],
            surroundings=surroundings.replace("@folder@", self.folder),
            default_server=DEFAULT_SERVER.format(**ports) if default_server else "",
            server=server,
        )
        self._write("nginx.conf", main)
        self.process = None

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        self.stderr = open(os.path.join(self.folder, "stderr.log"), "wb")
        self.process = subprocess.Popen(
            [NGINX, "-p", self.folder, "-e", "stderr", "-c", os.path.join(self.folder, "nginx.conf")],
            stdin=subprocess.DEVNULL, stdout=self.stderr, stderr=self.stderr, preexec_fn=end_with_parent)  # fmt: skip
        end = time.monotonic() + 10
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("nginx did not start: " + self.read("stderr.log").decode(errors="replace"))
            try:
                socket.create_connection(("127.0.0.1", self.tls), 1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def read(self, name):
        try:
            return pathlib.Path(self.folder, name).read_bytes()
        except FileNotFoundError:
            return b""

    def all_logs(self):
        """Everything any log of this nginx holds."""
        return b"".join(path.read_bytes() for path in pathlib.Path(self.folder).glob("*.log"))

    # --- requests

    def request(self, method, target, body=None, headers=(), source=None, timeout=30, host="localhost"):
        """One request over plain HTTP: the response, with its body in `.content`."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.plain, timeout=timeout, source_address=(source, 0) if source else None)  # fmt: skip
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            response.content = response.read()
            return response
        finally:
            connection.close()

    def raw(self, data, timeout=10, source=None):
        """What nginx answers to bytes, until it closes or falls silent."""
        with self.connect(timeout, source) as connection:
            connection.sendall(data)
            return read_all(connection)

    def connect(self, timeout=10, source=None):
        return socket.create_connection(("127.0.0.1", self.plain), timeout, (source, 0) if source else None)

    def connect_tls(self, low=None, high=None, alpn=(), name="localhost"):
        """A TLS connection; the certificate is not judged, the versions offered are."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of old versions, which tests offer
            context.minimum_version = low or ssl.TLSVersion.TLSv1_2
            context.maximum_version = high or ssl.TLSVersion.TLSv1_3
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.tls), 10), server_hostname=name)

    def signal(self, number=signal.SIGHUP):
        self.process.send_signal(number)


class Example(Nginx):
    """coffer-example.conf, with what belongs to another machine replaced: the user, the paths, the
    ports and the name. `changes` are pairs of a pattern and its replacement."""

    def __init__(self, certificate, changes=()):
        super().__init__(certificate)
        self._write("server.conf", (SHIPPED / "coffer-server.conf").read_text())
        text = (SHIPPED / "coffer-example.conf").read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, lambda match: replacement.replace("{folder}", self.folder), text)
            if not count:
                raise ValueError(pattern + " does not occur in the example")
        for pattern, replacement in [
            (r"^user .*", "user root;" if os.geteuid() == 0 else ""),
            (r"/run/nginx\.pid", self.folder + "/nginx.pid"),
            (r"/etc/coffer/nginx/coffer-", self.folder + "/"),
            (r"/etc/coffer/tls/fullchain\.pem", certificate[0]),
            (r"/etc/coffer/tls/privkey\.pem", certificate[1]),
            (r"/run/nginx-coffer-", self.folder + "/"),
            (r"/var/log/nginx/", self.folder + "/"),
            (r"^ +listen \[::].*\n", ""),
            (r"listen 80\b", "listen 127.0.0.1:%d" % self.plain),
            (r"listen 443\b", "listen 127.0.0.1:%d" % self.tls),
            (r"listen 127\.0\.0\.1:8099", "listen 127.0.0.1:%d" % free_port()),
            (r"secrets\.example\.org", "localhost"),
        ]:
            text, count = re.subn(pattern, lambda match: replacement, text, flags=re.M)
            if not count:
                raise ValueError(pattern + " does not occur in the example")
        self._write("nginx.conf", "daemon off;\n" + text)


def read_all(connection):
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except (TimeoutError, ConnectionResetError):
        pass
    return data


def parse(data):
    """A raw HTTP/1 answer as (status, lower-case header map, body)."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.strip().lower().decode()] = value.strip().decode("latin-1")
    return int(lines[0].split(b" ")[1]), headers, body
