"""The shipped nginx files: every setting holds under an http block that sets the opposite, and
every setting is needed: with it taken out, its check fails."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import resource
import shutil
import tempfile
import time
import unittest

import nginx_checks as checks
from fastcgi_recorder import Recorder, Reply
from nginx_harness import Change, Example, Nginx, make_certificate

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "Vectors" / "paths"

# An http block as a careless neighbour might have it: the opposite of what Coffer needs.
HOSTILE = """
    server_tokens on; access_log @folder@/http.log combined; error_log @folder@/http-error.log info;
    gzip on; gzip_min_length 1; gzip_types *; gzip_proxied any; gzip_http_version 1.0;
    ssi on; ssi_types *; charset koi8-r; charset_types *; expires 1h; mirror /mirror;
    auth_basic elsewhere; auth_basic_user_file /dev/null; auth_request /elsewhere;
    add_header X-Elsewhere yes always; error_page 400 404 413 500 502 504 /elsewhere;
    client_max_body_size 100m; client_body_buffer_size 8k; client_body_in_file_only clean;
    client_body_timeout 60s; send_timeout 60s; keepalive_requests 1;
    reset_timedout_connection off; merge_slashes on; http2_max_concurrent_streams 1;
    limit_conn_dry_run on; limit_req_dry_run on; limit_conn_status 503; limit_req_status 503;
    fastcgi_pass_request_body off; fastcgi_param FOREIGN yes; fastcgi_keep_conn off;
    fastcgi_request_buffering off; fastcgi_buffering off; fastcgi_buffer_size 4k; fastcgi_buffers 4 4k;
    fastcgi_busy_buffers_size 8k; fastcgi_max_temp_file_size 1024m;
    fastcgi_cache_path @folder@/cache keys_zone=elsewhere:1m; fastcgi_cache elsewhere;
    fastcgi_cache_key $uri; fastcgi_cache_valid any 1h; fastcgi_cache_methods GET HEAD;
    fastcgi_force_ranges on; fastcgi_limit_rate 1000; fastcgi_ignore_client_abort on;
    fastcgi_next_upstream error timeout invalid_header http_500 http_503 non_idempotent;
    fastcgi_intercept_errors on; fastcgi_send_timeout 60s; fastcgi_read_timeout 60s;
    proxy_pass_request_headers off; proxy_pass_request_body off; proxy_set_header Foreign yes; proxy_buffering on;
    proxy_intercept_errors on; proxy_read_timeout 1s; proxy_http_version 1.0;
    root @folder@/html; types { text/plain js; } default_type text/plain;
"""
STORING = HOSTILE.replace("fastcgi_cache elsewhere;", "fastcgi_store on;")
NO_KEEPALIVE = HOSTILE.replace("keepalive_requests 1;", "keepalive_timeout 0;")

HTTP, SERVER = "http.conf", "server.conf"


class Row:
    """A setting, the check that needs it, and where: `lacking` takes the setting out, `under` is
    the http block around, `given` holds changes made in both runs, and with `own_default`
    Coffer's server is itself the default of its address."""

    def __init__(self, name, check, lacking, under=HOSTILE, given=(), own_default=False):
        self.name, self.check, self.lacking = name, check, lacking
        self.under, self.given, self.own_default = under, list(given), own_default

    def run(self, certificate, planted):
        changes = self.given + ([self.lacking] if planted else [])
        site = Nginx(certificate, surroundings=self.under, change=changes, default_server=not self.own_default)
        recorder = None
        try:
            recorder = site.recorder = Recorder(site.socket_path)
            with site:
                self.check(site)
        finally:
            if recorder:
                recorder.close()
            shutil.rmtree(site.folder, ignore_errors=True)


def removed(directive, where=SERVER):
    """Takes out the directive: one line, or as many as it has up to its semicolon."""
    return Change(where, r"^[ ]*%s\b[^;]*;" % directive)


def row(directive, check, **more):
    return Row(directive, check, removed(directive), **more)


def instead(where, name, pattern, replacement, check, **more):
    return Row(name, check, Change(where, pattern, replacement), **more)


WIDE_HEAD = Change(HTTP, r"^large_client_header_buffers.*", "large_client_header_buffers 4 64k;")
UNDERSCORES = Change(HTTP, r"^underscores_in_headers.*", "underscores_in_headers on;")
INVALID = Change(HTTP, r"^ignore_invalid_headers.*", "ignore_invalid_headers off;")
WIDE_ANSWER = Change(SERVER, r"fastcgi_buffers +8 16k", "fastcgi_buffers 1536 16k")
PATIENT = Change(HTTP, r"^client_header_timeout.*", "client_header_timeout 60s;")

ROWS = [
    # the head of a request: what holds before a server is chosen, and in the server itself
    Row("large_client_header_buffers, http", checks.long_header, WIDE_HEAD),
    Row("underscores_in_headers, http", checks.underscores, UNDERSCORES),
    Row("ignore_invalid_headers, http", checks.underscores, INVALID),
    row("large_client_header_buffers", checks.long_header, given=[WIDE_HEAD], own_default=True),
    row("underscores_in_headers", checks.underscores, given=[UNDERSCORES], own_default=True),
    row("ignore_invalid_headers", checks.underscores, given=[INVALID], own_default=True),
    row("merge_slashes", checks.slashes, own_default=True),
    instead(SERVER, "HTTP/0.9", r"^ +if \(\$server_protocol[^}]*}", "", checks.old_protocol, own_default=True),
    instead(SERVER, "Content-Encoding", r"^ +if \(\$http_content_encoding[^}]*}", "", checks.encoded_body),
    # what arrives
    row("fastcgi_pass_request_headers", checks.allow_list),
    instead(SERVER, "if_not_empty", r" +if_not_empty", "", checks.absent_headers),
    row("fastcgi_pass_request_body", checks.body_passed),
    *[row("fastcgi_param +" + name, checks.parameters) for name in [*checks.PARAMETERS, "REQUEST_ID"]],
    # what nginx refuses
    *[
        instead(SERVER, "error_page %d" % status, r"(?<=[0-9 ])%d (?=.*/.coffer-refusal;)" % status, "", check, own_default=True)
        for status, check in [
            (400, checks.refused_head),
            (400, checks.refused_line),
            (404, checks.refused_own_page),
            (405, checks.refused_trace),
            (413, checks.refused_size),
            (413, checks.upload_told),
            (414, checks.refused_long_line),
            (415, checks.encoded_body),
            (429, checks.many_connections),
            (500, checks.refused_disk),
            (501, checks.refused_coding),
            (502, checks.refused_dead_upstream),
            (504, checks.slow_responder),
            (505, checks.refused_version),
            (494, checks.refused_long_head),
            (497, checks.refused_plain),
        ]
    ],
    instead(SERVER, "internal", r"^    internal;", "", checks.refused_own_page),
    row("default_type", checks.refused_head),
    *[
        instead(SERVER, "refusal: " + name, r"^    add_header %s [^;]*;" % name, "", check)
        for name, check in [
            ("Cache-Control", checks.refused_head),
            ("X-Content-Type-Options", checks.refused_head),
            ("X-Request-Id", checks.refused_head),
            ("Strict-Transport-Security", checks.transport_security),
        ]
    ],
    instead(SERVER, "answer: HSTS", r"(?<=fastcgi_pass coffer;\n)    add_header [^;]*;", "", checks.transport_security),
    instead(SERVER, "answer: no inherited add_header", r"(?<=fastcgi_pass coffer;\n)    add_header [^;]*;", "", checks.answer_unchanged),
    instead(HTTP, "HSTS over TLS only", r'(?<="max-age=31536000";\n)    default "";', '    default "max-age=31536000";', checks.transport_security),
    row("server_tokens", checks.no_version),
    # memory, not disk
    row("client_max_body_size", checks.refused_size),
    row("client_body_buffer_size", checks.body_in_memory),
    row("client_body_in_file_only", checks.body_in_memory),
    row("fastcgi_max_temp_file_size", checks.answer_in_memory),
    row("fastcgi_store", checks.not_stored, under=STORING),
    row("fastcgi_cache", checks.not_cached),
    row("fastcgi_cache", checks.precondition),
    # answers as they came
    *[row(name, checks.answer_unchanged) for name in ("gzip", "ssi", "charset", "expires", "auth_basic", "fastcgi_force_ranges")],
    *[row(name, checks.one_request_each) for name in ("mirror", "auth_request")],
    row("fastcgi_intercept_errors", checks.error_bodies),
    *[
        instead(SERVER, header, header + r"(?=[ ;])", "", checks.steering(header, value))
        for header, value in [
            ("X-Accel-Redirect", "/elsewhere"),
            ("X-Accel-Limit-Rate", "1000"),
            ("X-Accel-Charset", "koi8-r"),
        ]
    ],
    row("fastcgi_buffering", checks.absorbing(), given=[WIDE_ANSWER]),
    instead(SERVER, "X-Accel-Buffering", r"X-Accel-Buffering", "", checks.absorbing([("X-Accel-Buffering", "no")]), given=[WIDE_ANSWER]),
    *[row(name, checks.large_answer_head) for name in ("fastcgi_buffer_size", "fastcgi_buffers", "fastcgi_busy_buffers_size")],
    row("fastcgi_limit_rate", checks.prompt_answer),
    # the connection to the responder
    row("fastcgi_keep_conn", checks.kept_connection),
    Row("upstream keepalive", checks.kept_connections, Change(HTTP, r"^ +keepalive  .*", "    keepalive 4;")),
    Row("upstream keepalive_requests", checks.connection_by_count, Change(HTTP, r"^ +keepalive_requests.*", "    keepalive_requests 9999;"),
        given=[removed("keepalive_time", HTTP)]),
    Row("upstream keepalive_time", checks.connection_by_age, removed("keepalive_time", HTTP)),
    Row("upstream keepalive_timeout", checks.connection_by_idleness, removed("keepalive_timeout", HTTP)),
    row("fastcgi_next_upstream", checks.sent_once),
    row("fastcgi_request_buffering", checks.whole_body_first),
    row("fastcgi_ignore_client_abort", checks.client_left),
    # the agent server behind
    row("set +.coffer_agent_key", checks.relayed_request),
    row("set +.coffer_agent_server", checks.relayed_request),
    row("set +.coffer_relay yes", checks.relayed_where_said),
    instead(SERVER, "set", r'^ +set .coffer_relay "";', "    set $coffer_relay yes;", checks.relayed_where_said),
    row("fastcgi_param +COFFER_RELAY", checks.relayed_where_said),
    *[
        instead(SERVER, "proxy_set_header", r"^ +proxy_set_header %s [^;]*;" % name, "", check)
        for name, check in [
            ("Host", checks.relayed_request),
            ("X-Session-API-Key", checks.relayed_request),
            ("X-Request-Id", checks.relayed_request),
            ("Cookie", checks.relayed_request),
            ("Upgrade", checks.relayed_handshake),
            ("Connection", checks.relayed_handshake),
        ]
    ],
    *[row(name, checks.relayed_request) for name in ("proxy_pass_request_headers", "proxy_pass_request_body")],
    row("proxy_http_version", checks.relayed_protocol),
    Row("coffer_connection", checks.relayed_protocol, Change(HTTP, r'^    ""      "";\n(?=}\n\n# Strict)', "")),
    row("proxy_buffering", checks.relayed_stream),
    row("proxy_intercept_errors", checks.relayed_errors),
    *[
        instead(SERVER, name, r"^    %s +%s" % (name, value), "", checks.relayed_answer_head)
        for name, value in [
            ("proxy_hide_header", "Set-Cookie;"),
            ("proxy_hide_header", "X-Content-Type-Options;"),
            ("add_header", 'X-Content-Type-Options "nosniff" always; +# a workspace.*'),
        ]
    ],
    instead(SERVER, "proxy_ignore_headers", r"(?<=proxy_ignore_headers     )X-Accel-Redirect ", "", checks.relayed_steering),
    row("proxy_read_timeout", checks.relayed_patience),
    # WebSockets
    instead(SERVER, "sockets: HTTP/0.9", r"(?<=location \^~ /sockets/ {\n)    if \(\$server_protocol[^}]*}", "", checks.socket_old_protocol, own_default=True),
    *[
        instead(SERVER, "sockets: " + name, r"^    %s +%s;" % (name, value), "", check)
        for name, value, check in [
            ("proxy_set_header Content-Length", '""', checks.socket_handshake),
            ("proxy_set_header X-Request-Id(?= +.coffer_request_id;\n    proxy_set_header X-Session-API-Key +.http)", ".coffer_request_id", checks.socket_handshake),
            ("proxy_set_header X-Session-API-Key", ".http_x_session_api_key", checks.socket_handshake),
            ("proxy_set_header Sec-WebSocket-Key", "[^;]*", checks.socket_handshake),
            ("proxy_set_header Sec-WebSocket-Version", "[^;]*", checks.socket_handshake),
            ("proxy_set_header Sec-WebSocket-Protocol", "[^;]*", checks.socket_handshake),
            ("proxy_set_header Sec-WebSocket-Extensions", "[^;]*", checks.socket_handshake),
            ("proxy_set_header Upgrade", ".http_upgrade", checks.socket_handshake),
            ("proxy_set_header Connection", ".coffer_connection", checks.socket_handshake),
            ("proxy_http_version", "1.1", checks.socket_handshake),
            ("proxy_buffering", "off", checks.socket_stream),
            ("proxy_intercept_errors", "off", checks.socket_errors),
            ("proxy_hide_header", "Set-Cookie", checks.socket_answer_head),
            ("proxy_ignore_headers", "X-Accel-Redirect [^;]*", checks.socket_answer_head),
            ("proxy_read_timeout", "3600s", checks.socket_patience),
        ]
    ],
    instead(SERVER, "sockets: Host", r"(?<=proxy_pass_request_body  off;\n)    proxy_set_header Host [^;]*;", "", checks.socket_handshake),
    *[
        instead(SERVER, "sockets: " + name, r"^    %s +off;" % name, "", checks.socket_handshake, under="")
        for name in ("proxy_pass_request_headers", "proxy_pass_request_body")
    ],
    # the module for browsers
    row("root", checks.sealing_module),
    instead(SERVER, "types", r"^    types +{ }", "", checks.sealing_module),
    *[
        instead(SERVER, "module: " + line, r"^    " + line, "", checks.sealing_module)
        for line in [
            "default_type text/javascript;",
            'add_header Cache-Control "no-cache" always;',
            'add_header X-Content-Type-Options "nosniff" always;',
            "add_header Content-Security-Policy [^;]*;[^;]*;[^;]*;",
            'add_header Cross-Origin-Resource-Policy "same-origin" always;',
            "add_header Strict-Transport-Security [^;]*;",
        ]
    ],
    Row("coffer_web", checks.sealing_module, Change(HTTP, r"^    default .*/nginx/web;", "    default /;")),
    # slow and many clients
    Row("client_header_timeout, http", checks.slow_head, PATIENT),
    row("client_header_timeout", checks.slow_head, given=[PATIENT], own_default=True),
    row("client_body_timeout", checks.slow_body),
    row("reset_timedout_connection", checks.slow_body_reset),
    row("send_timeout", checks.slow_reader),
    row("fastcgi_read_timeout", checks.slow_responder),
    row("fastcgi_send_timeout", checks.deaf_responder),
    row("keepalive_timeout", checks.kept_client, under=NO_KEEPALIVE),
    row("keepalive_requests", checks.kept_client),
    row("http2_max_concurrent_streams", checks.streams),
    *[row(name, checks.many_connections) for name in ("limit_conn", "limit_conn_status", "limit_conn_dry_run")],
    *[row(name, checks.many_requests) for name in ("limit_req", "limit_req_status", "limit_req_dry_run")],
    Row("geo", checks.loopback_unlimited, removed("127.0.0.1 1", HTTP)),
    # logs
    row("error_log", checks.silent_logs),
    Row("access_log", checks.silent_logs, removed("access_log", "server")),
    Row("log_format", checks.silent_logs, Change(HTTP, r"\$coffer_route", "$request_uri")),
    Row("coffer_method", checks.silent_logs, Change(HTTP, r"default +other;\n(?=.*\$request_method)", "default $request_method;")),
    Row("coffer_route", checks.silent_logs, Change(HTTP, r"(?<=\$uri \$coffer_route {\n) +default +other", "default $uri")),
    Row("log_format members", checks.access_log, Change(HTTP, r'"client":"\$remote_addr",', "")),
]  # fmt: skip

# What keeps a connection waiting for seconds; these run side by side while the others run.
WAITING = {
    checks.slow_head, checks.slow_body, checks.slow_body_reset, checks.slow_reader, checks.slow_responder,
    checks.deaf_responder, checks.connection_by_age, checks.connection_by_idleness, checks.many_connections,
}  # fmt: skip


class NginxTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="coffer-tls-")
        cls.certificate = make_certificate(cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, ignore_errors=True)


class SettingsTests(NginxTestCase):
    def attempt(self, row, planted):
        """None when the check passed, else why it did not."""
        try:
            row.run(self.certificate, planted)
        except (AssertionError, RuntimeError) as failure:  # RuntimeError: nginx refuses the rest
            return failure
        return None

    def test_every_setting_holds_and_is_needed(self):
        jobs = [(row, planted) for row in ROWS for planted in (False, True)]
        with concurrent.futures.ThreadPoolExecutor(48) as slow, concurrent.futures.ThreadPoolExecutor(8) as quick:
            results = []
            for job in jobs:
                pool = slow if job[0].check in WAITING else quick
                results.append((job, pool.submit(self.attempt, *job)))
            for (row, planted), result in results:
                with self.subTest(setting=row.name, check=row.check.__name__, planted=planted):
                    failure = result.result()
                    if planted:
                        self.assertIsNotNone(failure, "the check does not see that the setting is missing")
                    else:
                        self.assertIsNone(failure)

    def test_every_directive_has_a_row(self):
        """A directive added to the files without a test is found here."""
        tested = {row.name.split(" +")[0].split(",")[0] for row in ROWS}
        elsewhere = {  # covered by rows of another name
            "error_page", "location", "return", "if", "fastcgi_pass", "fastcgi_ignore_headers", "add_header", "fastcgi_param", "proxy_pass",
        }  # fmt: skip
        with open(os.path.join(os.path.dirname(__file__), "../../nginx/coffer-server.conf"), encoding="utf-8") as file:
            lines = [line.split("#")[0].split() for line in file]
        directives = {words[0] for words in lines if len(words) > 1 and words[0].isidentifier() and words[0].islower()}
        self.assertEqual(directives - tested - elsewhere, set())


def filtered(params):
    """What the allow-list leaves of the parameters a stock configuration passed: of repeated ones
    the first, of headers only the named ones, and none that is empty."""
    kept = {}
    for name, value in params:
        if name in checks.PARAMETERS and (value or not name.startswith("HTTP_")):
            kept.setdefault(name, value)
    return kept


class VectorTests(NginxTestCase):
    """Tests/Vectors/paths through real nginx: what it refuses, and what it passes on."""

    def setUp(self):
        self.site = self.enterContext(Nginx(self.certificate))
        self.site.recorder = Recorder(self.site.socket_path)
        self.addCleanup(self.site.recorder.close)

    def cases(self, name, count):
        with open(VECTORS / name, encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        self.assertEqual(len(cases), count)
        return cases

    def ask(self, data):
        """The status of what follows a possible 100 Continue; 0 is that of a bare body."""
        self.site.recorder.forget()
        answer = self.site.raw(data, timeout=2).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0

    def test_request_headers(self):
        for case in self.cases("request_headers.json", 42):
            with self.subTest(case["name"]):
                self.header_case(case)

    def header_case(self, case):
        data = case["request"].encode("latin-1")
        if case["name"] in LONG_HEADERS:
            data = checks.head("GET", "/a", "X-A: " + "a" * LONG_HEADERS[case["name"]])
        status = self.ask(data)
        refused = OWN_REFUSALS.get(case["name"])
        if case["params_passed"] is None and refused is None:
            refused = int(case["nginx_1_22_1_status_line"].split(" ")[1])
        if refused is not None and (refused >= 400 or refused == 0):
            self.assertEqual(status, refused)
            self.assertEqual(self.site.recorder.requests, [])
            return
        self.assertEqual(status, 200)
        (request,) = self.site.recorder.requests
        got = {name.decode(): value.decode("latin-1") for name, value in request.params}
        want = filtered(case["params_passed"] or NOT_MEASURED[case["name"]])
        self.assertEqual({name: value for name, value in got.items() if name in want}, want)
        self.assertLessEqual(set(got), {*want, *ALWAYS_PASSED, "REQUEST_URI", "DOCUMENT_URI", "REQUEST_SCHEME", "REQUEST_ID"})
        self.assertEqual(len(got), len(request.params), "a parameter arrived twice")

    def test_request_targets(self):
        for case in self.cases("request_targets.json", 99):
            with self.subTest(case["target"][:60]):
                self.target_case(case)

    def target_case(self, case):
        measured = case["nginx_1_22_1"]
        measured = measured.get("both") or measured["merge_off"]
        foreign = case["target"].startswith("http://evil")
        line = b"GET " + case["target"].encode("latin-1") + b" HTTP/1.1\r\n"
        status = self.ask(line + b"Host: h\r\nConnection: close\r\n\r\n")
        if measured["status"] != 200 or foreign:
            self.assertEqual(status, 421 if foreign else measured["status"])
            self.assertEqual(self.site.recorder.requests, [])
            return
        self.assertEqual(status, 200)
        (request,) = self.site.recorder.requests
        self.assertEqual(request.values("REQUEST_URI"), [measured["REQUEST_URI"].encode("latin-1")])
        self.assertEqual(request.values("DOCUMENT_URI"), [measured["PATH_INFO_from_uri_var"].encode("latin-1")])


ALWAYS_PASSED = ["CONTENT_TYPE", "REMOTE_ADDR", "SERVER_PROTOCOL"]
OWN_REFUSALS = {"HTTP/1.0 without Host": 421, "HTTP/0.9": 0, "gzip body": 415}
LONG_HEADERS = {"header of 8100 bytes": 8100, "header of 9000 bytes": 9000}
NOT_MEASURED = {
    "expect continue": [["REQUEST_METHOD", "PUT"], ["CONTENT_LENGTH", "5"], ["HTTP_HOST", "h"]],
    "HEAD": [["REQUEST_METHOD", "HEAD"], ["CONTENT_LENGTH", ""], ["HTTP_HOST", "h"]],
}


class ExampleTests(NginxTestCase):
    """coffer-example.conf as a whole: only paths, ports, the user and the name are this machine's."""

    def example(self, *changes):
        site = Example(self.certificate, changes)
        site.recorder = Recorder(site.socket_path)
        self.addCleanup(site.recorder.close)
        self.addCleanup(shutil.rmtree, site.folder, True)
        return self.enterContext(site)

    def planted(self, check, pattern, replacement="", *more):
        """The check passes on the example as shipped and fails with the changes."""
        check(self.example())
        with self.assertRaises(AssertionError):
            check(self.example((pattern, replacement), *more))

    def test_tls_versions(self):
        self.planted(checks.versions, r"ssl_protocols[^;]*;", "ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3;",
                     (r"ssl_ciphers[^;]*;", "ssl_ciphers ALL:@SECLEVEL=0;"))  # fmt: skip
        self.planted(checks.versions, r"ssl_protocols[^;]*;", "ssl_protocols TLSv1.2;")

    def test_tls_ciphers(self):
        self.planted(checks.ciphers, r"ssl_ciphers[^;]*;")
        self.planted(checks.client_chooses_cipher, r"ssl_prefer_server_ciphers off", "ssl_prefer_server_ciphers on")

    def test_tls_sessions(self):
        self.planted(checks.session_resumed, r"ssl_session_cache[^;]*;", "ssl_session_cache off;")
        self.planted(checks.no_ticket, r"ssl_session_tickets[^;]*;")
        self.planted(checks.no_early_data, r"ssl_early_data +off", "ssl_early_data on")

    def test_http2(self):
        self.planted(checks.http2, r" http2")

    def test_foreign_host(self):
        self.planted(checks.foreign_host, r"return 421", "return 200")

    def test_plain_http_only_redirects(self):
        self.planted(checks.redirected, r"return 308 https://[^;]*;", "include {folder}/server.conf;")

    def test_log_is_ours(self):
        self.planted(checks.silent_logs_of_example, r"access_log +[^ ;]+/coffer.log coffer;", "access_log /var/log/nginx/coffer.log;")
        self.planted(checks.silent_logs_of_example, r"error_log +stderr alert;", "error_log {folder}/error.log info;")

    def test_temporary_folders_are_private(self):
        site = self.example()
        for name in ("body", "fastcgi"):
            self.assertEqual(os.stat(os.path.join(site.folder, name)).st_mode & 0o777, 0o700)

    @unittest.skipIf(os.geteuid() != 0, "needs root to raise nginx's own limit of descriptors")
    def test_room_for_many(self):
        """3,000 half-sent requests; a normal one is answered."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10_000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.planted(checks.room, r"worker_connections +16384", "worker_connections 1024")
        self.planted(checks.room, r"worker_rlimit_nofile +40000", "worker_rlimit_nofile 1024")


class SlowClientTests(NginxTestCase):
    def test_slow_clients_do_not_slow_others(self):
        """100 slow heads, 100 slow bodies and 20 slow readers; 200 requests beside them are served."""
        site = self.enterContext(Nginx(self.certificate, surroundings=HOSTILE))
        site.recorder = Recorder(site.socket_path)
        self.addCleanup(site.recorder.close)
        big = Reply(b"x" * 8_000_000)
        site.recorder.answer = lambda request: big if request.values("REQUEST_URI") == [b"/big"] else Reply()
        with contextlib.ExitStack() as slow:
            for count, data in ((100, b"GET /a HTTP/1.1\r\n"), (100, checks.head("PUT", "/a", "Content-Length: 9")),
                                (20, checks.head("GET", "/big"))):  # fmt: skip
                for _ in range(count):
                    slow.enter_context(site.connect()).sendall(data)
            times = []
            for _ in range(200):
                start = time.monotonic()
                self.assertEqual(site.request("GET", "/a").status, 200)
                times.append(time.monotonic() - start)
        self.assertLess(sorted(times)[197], 0.5, "99th of 100")


if __name__ == "__main__":
    unittest.main()
