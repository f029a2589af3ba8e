"""`coffer doctor` finds what is wrong and says what to do: each fault is planted for real, and the finding is gone without it.

A network file system cannot be mounted here; its judgement and its magic numbers have tables of their own (DiagnosisTests,
StoreTests).
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import sqlite3
import stat
import subprocess
import tempfile
import unittest

from agent_server import AgentServer, Said
from coffer_harness import Coffer, CofferTestCase, binaries
from nginx_harness import SHIPPED, SHIPPED_SOCKET, Change, free_port, make_certificate

MAIN = """
user {user};
error_log stderr alert;
events {{}}
http {{
    include http.conf;
    server {{
        listen 127.0.0.1:1 ssl;
        server_name coffer.test;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        include server.conf;
    }}
}}
"""


class Doctor(unittest.TestCase):
    """A store of its own for each test, with an nginx configuration that leads to it."""

    def setUp(self):
        self.coffer = Coffer(folder=tempfile.mkdtemp(prefix="coffer-doctor-") + "/store")
        self.addCleanup(shutil.rmtree, os.path.dirname(self.coffer.folder), True)
        self.addCleanup(self.coffer.destroy)
        self.coffer.init()
        self.certificate = None

    def findings(self, *options, time=None, prepare=None, status=None):
        """What it says, as {code: [(kind, text)]}, and that its two forms agree; `time` is a clock for it (faketime -f)."""
        arguments = (["faketime", "-f", time] if time else []) + [str(binaries() / "coffer"), "doctor", "--dir", self.coffer.folder, *options]
        if "--nginx-conf" not in options:
            arguments += ["--nginx-conf", self.nginx()]
        outputs = [
            subprocess.run(arguments + form, capture_output=True, text=True, env=self.coffer.environment, timeout=60, check=False, preexec_fn=prepare)
            for form in ([], ["--json"])
        ]
        plain, structured = outputs
        self.assertEqual(structured.stderr, "")
        document = json.loads(structured.stdout)
        self.assertEqual(sorted(document), ["findings", "ok"])
        self.assertEqual([output.returncode for output in outputs], [0 if document["ok"] else 1] * 2)
        self.assertEqual(document["ok"], "wrong" not in [finding["kind"] for finding in document["findings"]])
        lines = ["%(kind)s: %(text)s" % finding for finding in document["findings"]]
        self.assertEqual([line.split(":")[0] for line in plain.stdout.splitlines()], [line.split(":")[0] for line in lines])
        if status is not None:
            self.assertEqual(plain.returncode, status, plain.stdout)
        found = {}
        for finding in document["findings"]:
            self.assertEqual(sorted(finding), ["code", "kind", "text"])
            found.setdefault(finding["code"], []).append((finding["kind"], finding["text"]))
        return found

    def only(self, code, *arguments, **options):
        """The worst finding of that kind."""
        order = ["wrong", "warning", "ok"]
        return min(self.findings(*arguments, **options)[code], key=lambda finding: order.index(finding[0]))

    def expect(self, finding, kind, *words):
        self.assertEqual(finding[0], kind, finding[1])
        for word in words:
            self.assertIn(word, finding[1])

    def nginx(self, change=None, user="root", certificate=None):
        """A configuration of the shipped files, or with a fault."""
        folder = tempfile.mkdtemp(prefix="nginx-", dir=self.coffer.home)
        files = {
            "http.conf": (SHIPPED / "coffer-http.conf").read_text().replace(SHIPPED_SOCKET, self.coffer.socket_path),
            "server.conf": (SHIPPED / "coffer-server.conf").read_text(),
        }
        if change:
            change.apply(files)
        self.certificate = self.certificate or make_certificate(self.coffer.home)
        certificate, key = certificate or self.certificate
        files["nginx.conf"] = MAIN.format(user=user, certificate=certificate, key=key)
        for name, text in files.items():
            pathlib.Path(folder, name).write_text(text, encoding="utf-8")
        return os.path.join(folder, "nginx.conf")

    def open_way(self):
        """The folders that lead to the socket, open to everybody's passing; the keys stay closed."""
        path = os.path.dirname(self.coffer.socket_path)
        while path != tempfile.gettempdir() and path != "/":
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | 0o011)
            path = os.path.dirname(path)


class AgentServerTests(Doctor):
    def setUp(self):
        super().setUp()
        self.key = os.path.join(self.coffer.home, "agent-server.key")
        pathlib.Path(self.key).write_text("the-agent-servers-key\n")
        os.chmod(self.key, 0o600)
        self.coffer.environment["COFFER_AGENT_SERVER_KEY_FILE"] = self.key

    def behind(self, url):
        self.coffer.environment["COFFER_AGENT_SERVER"] = url

    def test_none_is_no_finding(self):
        self.assertNotIn("agent-server", self.findings())

    def test_one_that_answers_and_one_that_wants_another_key(self):
        def answer(request):
            if request.target == "/server_info":
                return Said(200, {"version": "1.2.3"})
            return Said(200 if request.values("X-Session-API-Key") == ["the-agent-servers-key"] else 401, 0)

        server = AgentServer(answer)
        self.addCleanup(server.close)
        self.behind(server.url)
        self.expect(self.only("agent-server"), "ok", server.url, "version 1.2.3")
        self.assertEqual({request.target for request in server.received}, {"/api/conversations/count", "/server_info"})
        pathlib.Path(self.key).write_text("another\n")
        self.expect(self.only("agent-server", status=1), "wrong", "does not take its key")
        del self.coffer.environment["COFFER_AGENT_SERVER_KEY_FILE"]
        self.expect(self.only("agent-server", status=1), "wrong", "wants a key")

    def test_none_there_and_no_http(self):
        self.behind("http://127.0.0.1:%d" % free_port())
        self.expect(self.only("agent-server", status=1), "wrong", "cannot be reached")
        server = AgentServer(lambda request: Said(raw=b"no HTTP at all\r\n\r\n"))
        self.addCleanup(server.close)
        self.behind(server.url)
        self.expect(self.only("agent-server", status=1), "wrong", "speaks no HTTP")

    def test_a_silent_one(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.behind("http://127.0.0.1:%d" % listener.getsockname()[1])
        self.expect(self.only("agent-server", status=1), "wrong", "within 5 seconds")


class FileTests(Doctor):
    def test_a_key_file_that_others_may_read(self):
        for name in ("root.key", "wire.key"):
            path = os.path.join(self.coffer.folder, "keys", name)
            os.chmod(path, 0o440)
            self.expect(self.only("key-file", status=1), "wrong", path, "chmod 0400 " + path)
            os.chmod(path, 0o400)
            self.expect(self.only("key-file"), "ok")

    def test_a_key_file_that_is_gone(self):
        os.rename(self.coffer.folder + "/keys/root.key", self.coffer.home + "/root.key")
        self.expect(self.only("key-file", status=1), "wrong", "restore it from your copy")

    def test_a_store_that_others_may_enter(self):
        os.chmod(self.coffer.folder + "/store", 0o750)
        self.expect(self.only("store-directory", status=1), "wrong", "chmod 0700")
        os.chmod(self.coffer.folder + "/store", 0o700)
        self.expect(self.only("store-directory"), "ok")

    def test_a_store_of_a_newer_program(self):
        path = self.coffer.folder + "/store/coffer.db"
        self.expect(self.only("store-version"), "ok")
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 99")
        before = pathlib.Path(path).read_bytes()
        self.expect(self.only("store-version", status=1), "wrong", "format 99", "install")
        self.assertEqual(pathlib.Path(path).read_bytes(), before)

    def test_a_file_that_is_no_store(self):
        pathlib.Path(self.coffer.folder, "store", "coffer.db").write_bytes(b"no database" * 100)
        self.expect(self.only("store-version", status=1), "wrong", "restore a backup")

    def test_the_file_system_is_looked_at(self):
        self.expect(self.only("file-system"), "ok", "a file system of this machine")

    def test_no_store(self):
        shutil.rmtree(self.coffer.folder)
        os.mkdir(self.coffer.folder)
        self.expect(self.only("store-directory", status=1), "wrong", "coffer init --dir " + self.coffer.folder)


class MachineTests(Doctor):
    def test_a_clock_behind_the_newest_audit_entry(self):
        self.expect(self.only("clock"), "ok")
        words = ["faketime", "-f", "+2h", str(binaries() / "coffer"), "key", "create", "--dir", self.coffer.folder]
        subprocess.run(words, env=self.coffer.environment, capture_output=True, check=True)
        self.expect(self.only("clock", status=1), "wrong", "minutes behind the newest audit entry", "set it")
        self.expect(self.only("clock", time="+2h"), "ok")

    def test_a_clock_before_the_program(self):
        self.expect(self.only("clock", time="@2001-01-01 00:00:00", status=1), "wrong", "before 2025", "set it")

    @unittest.skipUnless(os.geteuid() == 0, "only root can mount")
    def test_a_disk_nearly_full(self):
        for size, kind in (("32m", "wrong"), ("300m", "warning")):
            place = tempfile.mkdtemp(prefix="coffer-disk-")
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", place], check=True)
            try:
                full = Coffer(folder=place + "/store")
                self.addCleanup(full.destroy)
                full.init()
                self.coffer, kept = full, self.coffer
                self.expect(self.only("disk", status=1 if kind == "wrong" else 0), kind, "MiB", "make room")
                self.coffer = kept
            finally:
                subprocess.run(["umount", place], check=True)
                os.rmdir(place)

    def test_too_few_descriptors(self):
        for limit, kind in ((512, "wrong"), (2048, "warning")):
            found = self.only("descriptors", prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))  # noqa: B023
            self.expect(found, kind, "may open %d descriptors" % limit, "raise LimitNOFILE")

    def test_too_few_descriptors_of_the_running_server(self):
        self.coffer.up()
        self.expect(self.only("descriptors"), "ok", "the running cofferd")
        resource.prlimit(self.coffer.responder(), resource.RLIMIT_NOFILE, (700, 700))
        self.expect(self.only("descriptors", status=1), "wrong", "the running cofferd may open 700 descriptors")


class NginxTests(Doctor):
    def expect_fault(self, code, kind, where, pattern, replacement, *words):
        self.expect(self.only(code), "ok")
        path = self.nginx(Change(where, pattern, replacement))
        self.expect(self.only(code, "--nginx-conf", path, status=1 if kind == "wrong" else None), kind, *words)

    def test_a_header_that_is_not_passed(self):
        for name in ("HTTP_X_SESSION_API_KEY", "HTTP_AUTHORIZATION", "HTTP_IF_MATCH"):
            self.expect_fault(
                "nginx-headers", "wrong", "server.conf", r"^ *fastcgi_param %s .*\n" % name, "", name, "add: fastcgi_param " + name)  # fmt: skip

    def test_headers_that_are_all_passed(self):
        self.expect_fault("nginx-headers", "wrong", "server.conf", r"fastcgi_pass_request_headers off;", "", "forged")

    def test_a_body_buffer_that_is_too_small(self):
        self.expect_fault(
            "nginx-bodies", "wrong", "server.conf", r"client_body_buffer_size +2m;", "client_body_buffer_size 16k;", "into a file",
            "client_body_buffer_size 2m;")  # fmt: skip
        self.expect_fault("nginx-bodies", "wrong", "server.conf", r"fastcgi_max_temp_file_size +0;", "", "fastcgi_max_temp_file_size 0;")
        self.expect_fault(
            "nginx-bodies", "warning", "server.conf", r"client_max_body_size +1m;", "client_max_body_size 100k;", "refuses bodies")

    def test_a_request_that_may_be_repeated(self):
        self.expect_fault("nginx-repeats", "wrong", "server.conf", r"fastcgi_next_upstream +off;", "", "fastcgi_next_upstream off;")

    def test_a_log_that_says_too_much(self):
        self.expect_fault("nginx-log", "wrong", "server.conf", r"error_log +stderr alert;", "error_log stderr info;", "keys included")
        self.expect_fault("nginx-log", "warning", "server.conf", r"error_log +stderr alert;", "error_log stderr warn;", "queries")

    def test_a_configuration_that_leads_elsewhere(self):
        path = self.nginx(Change("http.conf", r"unix:\S+;", "unix:/nowhere/else.sock;"))
        self.expect(self.only("nginx-configuration", "--nginx-conf", path), "warning", "no fastcgi_pass", self.coffer.socket_path)
        broken = pathlib.Path(path)
        broken.write_text("http {", encoding="utf-8")
        self.expect(self.only("nginx-configuration", "--nginx-conf", path), "warning", "nginx -t")
        self.expect(self.only("nginx-configuration", "--nginx-conf", path + ".gone"), "warning", "cannot be read")

    def test_a_certificate_near_its_end(self):
        self.expect(self.only("certificate"), "warning", " more days", "reload nginx")
        self.expect(self.only("certificate", time="+3d", status=1), "wrong", "is over", "reload nginx")
        long = os.path.join(self.coffer.home, "long.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                        "-subj", "/CN=long", "-keyout", long + ".key", "-out", long], check=True, capture_output=True)  # fmt: skip
        self.expect(self.only("certificate", "--nginx-conf", self.nginx(certificate=(long, long + ".key"))), "ok")
        pathlib.Path(long).write_text("nothing", encoding="utf-8")
        self.expect(self.only("certificate", "--nginx-conf", self.nginx(certificate=(long, long))), "warning", "cannot be read")


class SocketTests(Doctor):
    def test_a_directory_that_nginx_cannot_enter(self):
        conf = self.nginx(user="nobody")
        self.expect(self.only("socket-directory", "--nginx-conf", conf, status=1), "wrong", "(nobody) cannot enter", "chgrp", "chmod g+x")
        self.open_way()
        self.expect(self.only("socket-directory", "--nginx-conf", conf, status=0), "ok")
        os.chmod(self.coffer.folder + "/run", 0o700)
        self.expect(self.only("socket-directory", "--nginx-conf", conf, status=1), "wrong", "cannot enter %s/run (mode 0700)" % self.coffer.folder)

    def test_a_socket_that_nginx_may_not_use(self):
        self.coffer.up()
        self.open_way()
        path, conf = self.coffer.socket_path, self.nginx(user="nobody")
        self.expect(self.only("socket-rights", "--nginx-conf", conf, status=1), "wrong", "(nobody) may not connect to " + path, "chmod 0660")
        os.chmod(path, 0o666)
        self.expect(self.only("socket-rights", "--nginx-conf", conf, status=1), "wrong", "every account", "chmod 0660")
        os.chmod(self.coffer.folder, 0o700)
        self.expect(self.only("socket-rights"), "ok")

    def test_a_control_socket_that_others_may_use(self):
        self.coffer.up()
        os.chmod(self.coffer.folder + "/run/control.sock", 0o660)
        self.expect(self.only("socket-rights", status=1), "wrong", "chmod 0600")

    def test_uids_that_do_not_include_nginx(self):
        with open(self.coffer.folder + "/coffer.conf", "a", encoding="utf-8") as file:
            file.write("\nallowed-uids = 0, %d\n" % os.geteuid())
        self.coffer.up()
        self.open_way()
        os.chmod(self.coffer.socket_path, 0o666)
        os.chmod(self.coffer.folder, 0o710)
        self.expect(self.only("socket-rights"), "ok")
        text = pathlib.Path(self.coffer.folder, "coffer.conf").read_text(encoding="utf-8")
        pathlib.Path(self.coffer.folder, "coffer.conf").write_text(re.sub(r"allowed-uids = .*", "allowed-uids = 12345", text), encoding="utf-8")
        self.expect(self.only("socket-rights", status=1), "wrong", "allowed-uids does not name 0")

    def test_without_a_server_there_is_no_socket(self):
        self.expect(self.only("socket-rights"), "warning", "no cofferd runs")


class WellTests(CofferTestCase):
    tls = True

    def test_what_coffer_up_made_is_well(self):
        """With its own nginx, its own certificate and its own rights, nothing is wrong."""
        document = json.loads(self.coffer.command("doctor", "--dir", self.coffer.folder, "--json").stdout)
        kinds = {finding["code"]: finding["kind"] for finding in document["findings"] if finding["code"] not in ("disk", "descriptors")}
        self.assertEqual(set(kinds.values()), {"ok"}, document)
        self.assertLessEqual(
            {"key-file", "store-directory", "store-version", "file-system", "clock", "server", "nginx-headers", "nginx-bodies", "nginx-repeats",
             "nginx-log", "socket-directory", "socket-rights", "certificate"}, set(kinds))  # fmt: skip
        self.assertTrue(document["ok"])

    def test_a_server_that_does_not_answer_is_told(self):
        stranger = self.fresh(tls=False)
        os.unlink(stranger.socket_path)
        told = stranger.command("doctor", "--dir", stranger.folder, check=False)
        self.assertEqual(told.returncode, 1)
        self.assertIn("cannot be reached; run: coffer restart", told.stdout)


if __name__ == "__main__":
    unittest.main()
