"""What the shipped nginx files promise, one function for each promise.

A check gets a running nginx (`site`, its recorder at `site.recorder`), asks it something, and
raises AssertionError when the promise is broken. test_nginx.py runs every check twice: on the files
as shipped, and with the setting it is about taken out; there it must raise.
"""

import concurrent.futures
import json
import os
import re
import select
import socket
import ssl
import subprocess
import time

from agent_server import AgentServer, Said
from fastcgi_recorder import Reply
from nginx_harness import SHIPPED, parse, read_all

MIB = 1 << 20
CANARY = "canary-qxjwv"  # letters: fit for a method too
# As those of a ULID, whose first character is 7 at most.
REQUEST_ID = re.compile("req_[0-7][0-9a-hjkmnp-tv-z]{25}")
PARAMETERS = {
    "REQUEST_METHOD": "PUT",
    "REQUEST_URI": "/api/settings/secrets/N%41ME?q=1",
    "DOCUMENT_URI": "/api/settings/secrets/NAME",
    "CONTENT_LENGTH": "2",
    "CONTENT_TYPE": "application/json",
    "REMOTE_ADDR": "127.0.0.1",
    "REQUEST_SCHEME": "http",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "HTTP_X_SESSION_API_KEY": "key",
    "HTTP_AUTHORIZATION": "Bearer token",
    "HTTP_X_EXPOSE_SECRETS": "encrypted",
    "HTTP_IF_MATCH": '"1"',
    "HTTP_IF_NONE_MATCH": '"2"',
    "HTTP_IDEMPOTENCY_KEY": "idempotency",
    "HTTP_X_REQUEST_ID": "request-0001",
    "HTTP_ORIGIN": "http://localhost:3000",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "PATCH",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "x-session-api-key",
}
PASSED_HEADERS = [
    (name[5:].replace("_", "-").title(), value)
    for name, value in PARAMETERS.items()
    if name.startswith("HTTP_") and name != "HTTP_HOST"
]


def expect(condition, message="broken"):
    if not condition:
        raise AssertionError(message)


def ask(site, method="GET", target="/api/settings", **options):
    """A request that must be answered; what is broken on the way is a broken promise."""
    try:
        return site.request(method, target, **{"timeout": 5, **options})
    except (OSError, ValueError) as error:
        raise AssertionError("no answer: %s" % type(error).__name__) from error
    except Exception as error:  # http.client's own, e.g. an answer cut short
        raise AssertionError("no whole answer: %s" % type(error).__name__) from error


def expect_refusal(status, headers, body, want, code):
    """The form of everything nginx refuses itself."""
    expect(status == want, "%d for %d" % (status, want))
    expect(headers.get("content-type") == "application/json", "not JSON: %s" % headers.get("content-type"))
    expect(headers.get("cache-control") == "no-store", "no no-store")
    expect(headers.get("x-content-type-options") == "nosniff", "no nosniff")
    expect(REQUEST_ID.fullmatch(headers.get("x-request-id", "")), "no request id")
    expect(("allow" in headers) == (want == 405), "Allow: %s" % headers.get("allow"))
    document = json.loads(body)
    expect(document["detail"] == document["message"] and document["code"] == code and document["status"] == want)
    expect(document["requestId"] == headers["x-request-id"])
    expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.000Z|[+-]\d\d:\d\d)", document["timestamp"]), "no time")


def raw_refusal(site, data, status, code):
    answer = site.raw(data, timeout=2)
    expect(answer.startswith(b"HTTP/1.1"), "no answer")
    expect_refusal(*parse(answer), status, code)


def head(method="GET", target="/a", *lines, host="h"):
    lines = ["%s %s HTTP/1.1" % (method, target), "Host: " + host, "Connection: close", *lines]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunked(body, size):
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# --- the head of a request


def parameters(site):
    """Each parameter arrives, once, with its value; the request id is nginx's own."""
    ask(site, "PUT", "/api/settings/secrets/N%41ME?q=1", body=b"{}",
        headers=[*PASSED_HEADERS, ("Content-Type", "application/json")])  # fmt: skip
    (request,) = site.recorder.requests
    for name, value in PARAMETERS.items():
        expect(request.values(name) == [value.encode()], name)
    expect([bool(REQUEST_ID.fullmatch(value.decode())) for value in request.values("REQUEST_ID")] == [True])


def allow_list(site):
    """No other header arrives, whatever its name."""
    others = ["Proxy", "Https", "Remote-User", "X-Forwarded-For", "X-Real-IP", "Forwarded", "Cookie", "User-Agent",
              "X-HTTP-Method-Override", "Referer", "Accept", "X-Accel-Redirect", "Script-Filename"]  # fmt: skip
    ask(site, headers=[(name, "x") for name in others])
    (request,) = site.recorder.requests
    expect(set(request.names()) <= {*PARAMETERS, "REQUEST_ID"}, "passed: %s" % request.names())


def absent_headers(site):
    """A header that was not sent, or sent empty, does not arrive as an empty one."""
    ask(site, headers=[("X-Session-API-Key", "")])
    (request,) = site.recorder.requests
    expect([name for name in request.names() if name.startswith("HTTP_")] == ["HTTP_HOST"], request.names())


def repeated_header(site):
    ask(site, headers=[("X-Session-API-Key", "a"), ("X-Session-API-Key", "b")])
    (request,) = site.recorder.requests
    expect(len(request.values("HTTP_X_SESSION_API_KEY")) == 1)


def underscores(site):
    """Neither before the Host line, where the default server's rules hold, nor after it."""
    site.raw(b"GET /a HTTP/1.1\r\nX_Session_API_Key: evil\r\nHost: h\r\nX_Expose_Secrets: plaintext\r\nConnection: close\r\n\r\n", 2)
    (request,) = site.recorder.requests
    expect(request.values("HTTP_X_SESSION_API_KEY") == [], "key taken from an underscore name")
    expect(request.values("HTTP_X_EXPOSE_SECRETS") == [], "mode taken from an underscore name")


def long_header(site):
    padding = "X-A: " + "a" * 8100
    expect(site.raw(head("GET", "/a", padding), 2).startswith(b"HTTP/1.1 200"), "8100 bytes must pass")
    long = b"GET /a HTTP/1.1\r\nX-A: " + b"a" * 9000 + b"\r\nHost: h\r\nConnection: close\r\n\r\n"
    expect(b" 400 " in site.raw(long, 2)[:20], "9000 bytes must not pass")
    expect(len(site.recorder.requests) == 1)


def slashes(site):
    ask(site, target="/api//settings///x")
    expect(site.recorder.requests[0].values("DOCUMENT_URI") == [b"/api//settings///x"], "merged")


def old_protocol(site):
    answer = site.raw(b"GET /a\r\n", 2)
    expect(b"bad_request" in answer and not site.recorder.requests, "HTTP/0.9 was served")


def encoded_body(site):
    raw_refusal(site, head("PUT", "/a", "Content-Encoding: gzip", "Content-Length: 0"), 415, "unsupported_media_type")
    expect(not site.recorder.requests)
    expect(ask(site, "PUT", body=b"{}", headers=[("Content-Encoding", "Identity")]).status == 200)


# --- refusals


def refused_head(site):
    raw_refusal(site, head("GET", "/a", "X-A : b"), 400, "bad_request")


def refused_long_head(site):
    raw_refusal(site, head("GET", "/a", "X-A: " + "a" * 9000), 400, "bad_request")


def refused_plain(site):
    with socket.create_connection(("127.0.0.1", site.tls), 5) as connection:
        connection.sendall(head(host="localhost"))
        expect_refusal(*parse(read_all(connection)), 400, "bad_request")


def refused_trace(site):
    raw_refusal(site, head("TRACE"), 405, "method_not_allowed")


def refused_size(site):
    """By what is declared, and by what arrives."""
    raw_refusal(site, head("PUT", "/a", "Content-Length: 1000000000"), 413, "body_too_large")
    answer = site.raw(head("PUT", "/a", "Transfer-Encoding: chunked") + chunked(b"x" * (MIB + 1), 65536), 2)
    expect_refusal(*parse(answer), 413, "body_too_large")
    expect(not site.recorder.requests)


def refused_coding(site):
    raw_refusal(site, head("PUT", "/a", "Transfer-Encoding: xchunked"), 501, "not_implemented")


def refused_dead_upstream(site):
    site.recorder.answer = lambda request: Reply(die=True)
    raw_refusal(site, head(), 502, "unavailable")


def refused_disk(site):
    """A body that would go to disk where there is no disk: chunk extensions outgrow any buffer."""
    os.rmdir(os.path.join(site.folder, "body"))
    try:
        padding = b"1;" + b"e" * 4000 + b"\r\nx\r\n"
        data = head("PUT", "/a", "Transfer-Encoding: chunked") + padding * 1000 + b"0\r\n\r\n"
        expect_refusal(*parse(site.raw(data, 3)), 500, "internal")
    finally:
        os.mkdir(os.path.join(site.folder, "body"), 0o700)


def refused_line(site):
    """What nginx could not even read."""
    for line in (b"GET /.. HTTP/1.1", b"get /a HTTP/1.1", b"GET /a b HTTP/1.1"):
        raw_refusal(site, line + b"\r\nHost: h\r\n\r\n", 400, "bad_request")
    for path in (b"/a%00", b"/%zz", b"/a%2/b", b"/a%"):
        raw_refusal(site, b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n", 400, "invalid_path")
    raw_refusal(site, head("GET", "/a%41?%zz", "X-A : b"), 400, "bad_request")


def refused_long_line(site):
    raw_refusal(site, head("GET", "/" + "a" * 9000), 414, "uri_too_long")


def refused_version(site):
    raw_refusal(site, b"GET /a HTTP/2.0\r\nHost: h\r\n\r\n", 505, "http_version_not_supported")


def refused_own_page(site):
    raw_refusal(site, head("GET", "/.coffer-refusal"), 404, "not_found")


def no_version(site):
    expect(ask(site).getheader("Server") == "nginx")


def transport_security(site):
    """On answers and on refusals over TLS, and never over plain HTTP."""
    for request in (head(host="localhost"), head("TRACE", host="localhost")):
        with site.connect_tls() as connection:
            connection.sendall(request)
            headers = parse(read_all(connection))[1]
            expect(headers.get("strict-transport-security") == "max-age=31536000", "no HSTS")
        expect("strict-transport-security" not in parse(site.raw(request, 2))[1], "HSTS over plain HTTP")


def sealing_module(site):
    """The client module for browsers: the file as it is, from nginx alone, under strict headers."""
    want = (SHIPPED / "web" / "sealing.js").read_bytes()
    with site.connect_tls() as connection:
        connection.sendall(head("GET", "/sealing.js", "Accept-Encoding: gzip", "Origin: https://elsewhere.example"))
        status, headers, body = parse(read_all(connection))
    expect(status == 200 and body == want, "not the file: %d" % status)
    expect(headers.get("content-type") == "text/javascript", "type %s" % headers.get("content-type"))
    expect(headers.get("cache-control") == "no-cache" and "expires" not in headers, "kept without asking")
    expect(headers.get("x-content-type-options") == "nosniff", "no nosniff")
    expect(headers.get("content-security-policy") == "default-src 'none'; connect-src 'self'; frame-ancestors 'none'", "no policy")
    expect(headers.get("cross-origin-resource-policy") == "same-origin", "other sites may load it")
    expect(headers.get("strict-transport-security") == "max-age=31536000", "no HSTS")
    expect(not {"x-elsewhere", "content-encoding", "access-control-allow-origin"} & set(headers), "more than its own headers")
    expect_refusal(*parse(site.raw(head("POST", "/sealing.js", "Content-Length: 0"), timeout=2)), 405, "method_not_allowed")
    expect(site.recorder.requests == [], "the responder was asked")


# --- bodies and answers stay in memory


class unwritten:
    """No file was made in the folder meanwhile: making one sets the folder's time."""

    def __init__(self, site, name):
        self.path = os.path.join(site.folder, name)

    def __enter__(self):
        os.utime(self.path, (1, 1))

    def __exit__(self, kind, *_):
        if kind is None:
            expect(os.stat(self.path).st_mtime == 1, "a temporary file was made in " + self.path)


def body_in_memory(site):
    body = os.urandom(MIB)
    with unwritten(site, "body"):
        expect(ask(site, "PUT", body=body).status == 200)
        for size in (MIB, 16384, 100, 8):
            answer = site.raw(head("PUT", "/a", "Transfer-Encoding: chunked") + chunked(body, size), 5)
            expect(answer.startswith(b"HTTP/1.1 200"))
    expect(len(site.recorder.requests) == 5 and all(request.body == body for request in site.recorder.requests))
    lengths = {request.values("CONTENT_LENGTH")[0] for request in site.recorder.requests}
    expect(lengths == {b"%d" % MIB})


def body_passed(site):
    ask(site, "PUT", body=b"{}")
    expect(site.recorder.requests[0].body == b"{}")


def answer_in_memory(site):
    """8 MB to a reader that waits first."""
    body = os.urandom(8_000_000)
    site.recorder.answer = lambda request: Reply(body)
    with unwritten(site, "fastcgi"), site.connect() as connection:
        connection.sendall(head())
        time.sleep(0.5)
        expect(parse(read_all(connection))[2] == body, "another body")


def not_stored(site):
    site.recorder.answer = lambda request: Reply(b"stored")
    ask(site, target="/kept")
    time.sleep(0.3)
    expect(not os.path.exists(os.path.join(site.folder, "html", "kept")), "the answer is on disk")


def not_cached(site):
    site.recorder.answer = lambda request: Reply(headers=(("Cache-Control", "max-age=60"),))
    ask(site)
    ask(site)
    expect(len(site.recorder.requests) == 2)


def one_request_each(site):
    """What arrives at nginx arrives at the responder once, and nowhere else: no mirror, no subrequest."""
    expect(ask(site, "PUT", body=b"{}").status == 200)
    time.sleep(0.1)
    expect(len(site.recorder.requests) == 1, "%d requests" % len(site.recorder.requests))


# --- answers leave as they came


def answer_unchanged(site):
    body = b'<!--# echo var="request_method" --> ' + b"secret " * 1000
    site.recorder.answer = lambda request: Reply(body, headers=(("Content-Type", "text/plain"), ("ETag", '"e"')))
    response = ask(site, headers=[("Accept-Encoding", "gzip"), ("Range", "bytes=0-9")])
    expect(response.status == 200 and response.content == body, "another body")
    expect(response.getheader("Content-Encoding") is None and response.getheader("ETag") == '"e"')
    expect(response.getheader("Content-Type") == "text/plain", response.getheader("Content-Type"))
    for name in ("Cache-Control", "Expires", "X-Elsewhere", "WWW-Authenticate"):
        expect(response.getheader(name) is None, name)


def error_bodies(site):
    for status in (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 429, 500, 501, 502, 503, 504):
        body = b'{"detail":"ours %d"}' % status
        site.recorder.answer = lambda request, status=status, body=body: Reply(body, status)
        response = ask(site)
        expect(response.status == status and response.content == body, "%d was replaced" % status)


def precondition(site):
    """A changed ETag after a write that If-Match allowed is the responder's to judge."""
    site.recorder.answer = lambda request: Reply(headers=(("ETag", '"new"'), ("Content-Type", "application/json")))
    expect(ask(site, "PATCH", body=b"{}", headers=[("If-Match", '"old"')]).status == 200)
    expect(ask(site, headers=[("If-None-Match", '"new"')]).status == 200)


def steering(header, value):
    def check(site):
        """A header of the responder does not steer nginx."""
        text = ("Content-Type", "text/plain")
        site.recorder.answer = lambda request: Reply(b"x" * 3000, headers=(text, (header, value)))
        start = time.monotonic()
        response = ask(site)
        expect(time.monotonic() - start < 1.5, "slowed down")
        expect(response.status == 200 and len(response.content) == 3000, "another answer")
        expect(response.getheader("Content-Type") == "text/plain", response.getheader("Content-Type"))
        expect(len(site.recorder.requests) == 1, "asked again")

    return check


def absorbing(headers=()):
    def check(site):
        """An answer that fits nginx's buffers frees the responder, however slowly it is read.
        The buffers are 24 MB here, so that the kernel's own cannot be mistaken for them."""
        site.recorder.answer = lambda request: Reply(b"x" * 16_000_000, headers=headers)
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", site.plain))
            connection.sendall(head())
            end = time.monotonic() + 2
            while site.recorder.answered == 0 and time.monotonic() < end:
                time.sleep(0.05)
            expect(site.recorder.answered == 1, "the responder waits for the reader")

    return check


def large_answer_head(site):
    site.recorder.answer = lambda request: Reply(headers=(("X-Long", "a" * 8000),))
    expect(ask(site).status == 200)


def prompt_answer(site):
    site.recorder.answer = lambda request: Reply(b"x" * 65536)
    expect(len(ask(site, timeout=3).content) == 65536)


# --- the connection to the responder


def sequential(site, count):
    """`count` requests over one connection, one after another."""
    connection = site.connect()
    try:
        for sent in range(count):
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
            expect(connection.recv(65536).startswith(b"HTTP/1.1 200"), "closed after %d requests" % sent)
            if sent % 900 == 899:  # before nginx's limit for one client connection
                connection.close()
                connection = site.connect()
    except OSError as error:
        raise AssertionError("reset") from error
    finally:
        connection.close()


def kept_connection(site):
    sequential(site, 20)
    expect(site.recorder.connections == 1, "%d connections" % site.recorder.connections)


def kept_connections(site):
    """As many as the peak needs stay: the second wave makes none anew."""
    site.recorder.answer = lambda request: Reply(delay=0.2)
    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        for _ in range(2):
            list(pool.map(lambda _: ask(site), range(48)))
    expect(site.recorder.connections <= 48, "%d connections" % site.recorder.connections)


def connection_by_count(site):
    sequential(site, 1010)
    expect(site.recorder.connections == 2, "%d connections" % site.recorder.connections)


def connection_by_age(site):
    """Busy or not, a connection ends soon after a second."""
    end = time.monotonic() + 1.7
    while time.monotonic() < end:
        ask(site)
        time.sleep(0.1)
    expect(site.recorder.connections == 2, "%d connections" % site.recorder.connections)


def connection_by_idleness(site):
    ask(site)
    time.sleep(1.7)
    expect(site.recorder.ended_by_peer == 1, "still kept")


def sent_once(site):
    """A responder that dies under a request got it once, also on a kept connection."""
    for method in ("PUT", "DELETE", "POST", "PATCH", "GET"):
        site.recorder.forget()
        ask(site)
        site.recorder.answer = lambda request: Reply(die=True)
        expect(ask(site, method, body=b"{}").status == 502)
        arrived = [request.values("REQUEST_METHOD")[0].decode() for request in site.recorder.requests]
        expect(arrived == ["GET", method], "%s arrived as %s" % (method, arrived))


def whole_body_first(site):
    with site.connect() as connection:
        connection.sendall(head("PUT", "/a", "Content-Length: 10") + b"half.")
        time.sleep(0.3)
        expect(site.recorder.connections == 0, "the responder waits with the client")
        connection.sendall(b"half.")
        expect(read_all(connection).startswith(b"HTTP/1.1 200"))


def client_left(site):
    """A client that leaves frees its connection to the responder."""
    site.recorder.answer = lambda request: Reply(delay=5)
    with site.connect() as connection:
        connection.sendall(head())
        time.sleep(0.3)
    time.sleep(0.5)
    expect(site.recorder.ended_by_peer == 1, "held on")


# --- the agent server behind


class relaying:
    """An agent server that the responder names for each request; answers as `said` says."""

    def __init__(self, site, said=None):
        self.site, self.said = site, said

    def __enter__(self):
        self.agent = AgentServer((lambda request: self.said) if self.said else None)

        def named(request):
            target = request.values("REQUEST_URI")[0].decode()
            return Reply(headers=(("X-Accel-Redirect", "@coffer_agent_server"), ("X-Coffer-Agent-Server", self.agent.url + target),
                                  ("X-Coffer-Agent-Key", "agent-key")))  # fmt: skip

        self.site.recorder.answer = named
        return self.agent

    def __exit__(self, *_):
        self.agent.close()


CONVERSATION = "/api/conversations/7/run?a=%41"


def relayed_request(site):
    """The request as it was, with the agent server's key in the place of the client's; the responder saw it first."""
    with relaying(site) as agent:
        headers = [("X-Session-API-Key", "ours"), ("Cookie", "k=v"), ("X-Other", "o"), ("Content-Type", "application/json")]
        response = ask(site, "POST", CONVERSATION, body=b'{"a":1}', headers=headers)
        expect(response.status == 200 and json.loads(response.content) == {"success": True})
        for name in ("X-Coffer-Agent-Key", "X-Coffer-Agent-Server", "X-Accel-Redirect"):
            expect(response.getheader(name) is None, name + " reached the client")
        expect(len(agent.received) == 1 and len(site.recorder.requests) == 1)
        (request,) = agent.received
        expect((request.method, request.target, request.body) == ("POST", CONVERSATION, b'{"a":1}'), "another request")
        expect(request.values("X-Session-API-Key") == ["agent-key"], "keys: %s" % request.values("X-Session-API-Key"))
        expect(request.values("Cookie") == [], "cookie")
        expect(request.values("X-Other") == ["o"] and request.values("Foreign") == [])
        expect(request.values("Host") == ["localhost"], request.values("Host"))
        expect([bool(REQUEST_ID.fullmatch(value)) for value in request.values("X-Request-Id")] == [True], "request id")
        expect(site.recorder.requests[0].values("HTTP_X_SESSION_API_KEY") == [b"ours"])


def relayed_where_said(site):
    """The responder learns where it may name an agent server, and elsewhere no name is obeyed."""
    with relaying(site) as agent:
        for target in ("/api/conversations", "/api/bash/x", CONVERSATION):
            expect(ask(site, target=target).status == 200)
        told = [request.values("COFFER_RELAY") for request in site.recorder.requests]
        expect(told == [[b"yes"]] * 3, "told: %s" % told)
        expect(len(agent.received) == 3)
        site.recorder.forget()
        for target in ("/api/settings", "/api/conversationsx", "/api/auth/workspace-session"):
            ask(site, target=target)
        expect([request.values("COFFER_RELAY") for request in site.recorder.requests] == [[]] * 3, "told elsewhere")
        expect(len(agent.received) == 3)


def relayed_handshake(site):
    """A WebSocket's handshake arrives as one."""
    with relaying(site) as agent:
        lines = ["GET /api/vscode/7 HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: k"]
        site.raw("\r\n".join(lines).encode() + b"\r\n\r\n", 2)
        (request,) = agent.received
        expect(request.values("Upgrade") == ["websocket"], "upgrade")
        expect([value.lower() for value in request.values("Connection")] == ["upgrade"], "connection")
        expect(request.values("Sec-WebSocket-Key") == ["k"])


def relayed_protocol(site):
    """HTTP/1.1 to the agent server, as WebSockets need it: no `Connection: close` without an upgrade."""
    with relaying(site, Said(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")) as agent:
        expect(ask(site, target=CONVERSATION).content == b"ok", "chunks are passed on as text")
        expect(agent.received[0].version == "HTTP/1.1", agent.received[0].version)
        expect(agent.received[0].values("Connection") == [], agent.received[0].values("Connection"))


def relayed_stream(site):
    """What the agent server says leaves at once."""
    with relaying(site, Said(parts=[b"first", b"second"], pause=2)), site.connect(5) as connection:
        connection.sendall(head("GET", CONVERSATION))
        start = time.monotonic()
        data = b""
        while b"first" not in data:
            piece = connection.recv(65536)
            expect(piece, "ended early")
            data += piece
        expect(time.monotonic() - start < 1.5, "held back")


def relayed_errors(site):
    for status in (404, 413, 500, 502):
        with relaying(site, Said(status, {"detail": "theirs"})):
            response = ask(site, target=CONVERSATION)
            expect(response.status == status and json.loads(response.content) == {"detail": "theirs"}, "%d was replaced" % status)


def relayed_answer_head(site):
    """No cookie of the agent server reaches a browser, and no file of its workspaces is taken for another type than it says."""
    fields = (("Content-Type", "application/json"), ("Set-Cookie", "k=agent-key"), ("ETag", '"e"'), ("X-Content-Type-Options", "other"))
    with relaying(site, Said(body={}, headers=fields)):
        response = ask(site, target=CONVERSATION)
        expect(response.headers.get_all("X-Content-Type-Options") == ["nosniff"], "types are guessed")
        expect(response.getheader("Set-Cookie") is None, "cookie")
        expect(response.getheader("ETag") == '"e"')


def relayed_steering(site):
    with relaying(site, Said(body=b"x" * 3000, headers=(("Content-Type", "text/plain"), ("X-Accel-Redirect", "/api/settings")))):
        response = ask(site, target=CONVERSATION)
        expect(response.status == 200 and len(response.content) == 3000, "another answer")
        expect(len(site.recorder.requests) == 1, "asked again")


def relayed_patience(site):
    """Longer than for the responder."""
    with relaying(site, Said(body={}, delay=2)):
        expect(ask(site, target=CONVERSATION).status == 200, "cut off")


# --- WebSockets


class sockets:
    """What stands where the relay does."""

    def __init__(self, site, said=None):
        self.site, self.said = site, said

    def __enter__(self):
        self.relay = AgentServer((lambda request: self.said) if self.said else None, path=self.site.relay_path)
        os.chmod(self.site.relay_path, 0o666)
        return self.relay

    def __exit__(self, *_):
        self.relay.close()
        os.remove(self.site.relay_path)


HANDSHAKE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: k", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Protocol: p", "Sec-WebSocket-Extensions: e", "X-Session-API-Key: ours"]  # fmt: skip


def socket_handshake(site):
    """The handshake as it was, without anything else; the responder is not asked."""
    with sockets(site) as relay:
        lines = ["GET /sockets/events/7?a=%41 HTTP/1.1", "Host: localhost", *HANDSHAKE, "Cookie: k=v", "X-Request-Id: theirs", "X-Other: o"]
        body = b"GET /smuggled HTTP/1.1\r\n\r\n"
        site.raw("\r\n".join(lines).encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body, 2)
        expect(len(relay.received) == 1, "%d requests" % len(relay.received))
        request = relay.received[0]
        expect((request.method, request.target, request.version) == ("GET", "/sockets/events/7?a=%41", "HTTP/1.1"), "another request")
        for line in ["Host: localhost", *HANDSHAKE]:
            name, value = line.split(": ")
            expect([found.lower() for found in request.values(name)] == [value.lower()], name)
        expect([bool(REQUEST_ID.fullmatch(value)) for value in request.values("X-Request-Id")] == [True], "request id")
        others = {name.lower() for name, _ in request.headers} - {line.split(":")[0].lower() for line in HANDSHAKE} - {"host", "x-request-id"}
        expect(others == set(), "others: %s" % others)
        expect(not site.recorder.requests, "the responder was asked")


def socket_old_protocol(site):
    with sockets(site) as relay:
        site.raw(b"GET /sockets/events/7\r\n\r\n", 5)
        expect(not relay.received, "passed on")


def socket_stream(site):
    with sockets(site, Said(parts=[b"first", b"second"], pause=2)), site.connect(5) as connection:
        connection.sendall(head("GET", "/sockets/x"))
        start = time.monotonic()
        data = b""
        while b"first" not in data:
            piece = connection.recv(4096)
            expect(piece, "ended")
            data += piece
        expect(time.monotonic() - start < 1.5, "held back")


def socket_errors(site):
    for status in (403, 404, 426, 502, 503):
        with sockets(site, Said(status, {"detail": "theirs"})):
            response = ask(site, target="/sockets/x")
            expect(response.status == status and json.loads(response.content) == {"detail": "theirs"}, "%d was replaced" % status)


def socket_answer_head(site):
    fields = (("Content-Type", "application/json"), ("Set-Cookie", "k=agent-key"), ("X-Accel-Redirect", "/api/settings"))
    with sockets(site, Said(body={"a": 1}, headers=fields)):
        response = ask(site, target="/sockets/x")
        expect(json.loads(response.content) == {"a": 1}, "another answer")
        expect(response.getheader("Set-Cookie") is None, "cookie")
        expect(not site.recorder.requests, "asked again")


def socket_patience(site):
    """Longer than for the responder."""
    with sockets(site, Said(body={}, delay=2)):
        expect(ask(site, target="/sockets/x").status == 200, "cut off")


# --- slow and many clients


def closed_between(connection, low, high):
    """Waits until the peer closes; it must do so within these seconds, counted from now."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    start = time.monotonic()
    closed = poll.poll(high * 1000)
    expect(closed, "open after %d seconds" % high)
    expect(time.monotonic() - start >= low, "closed early")


def slow_head(site):
    with site.connect() as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\n")
        closed_between(connection, 4, 8)


def slow_body(site):
    """Cut, and by a reset: nothing of it lingers."""
    with site.connect(20) as connection:
        connection.sendall(head("PUT", "/a", "Content-Length: 10") + b"half.")
        closed_between(connection, 9, 14)
        expect(not site.recorder.requests, "half a body arrived")


def slow_body_reset(site):
    with site.connect(20) as connection:
        connection.sendall(head("PUT", "/a", "Content-Length: 10") + b"half.")
        try:
            connection.recv(1)
        except ConnectionResetError:
            return
        except TimeoutError as error:
            raise AssertionError("open after 20 seconds") from error
    raise AssertionError("closed without a reset")


def slow_reader(site):
    site.recorder.answer = lambda request: Reply(b"x" * 16_000_000)
    with site.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head())
        closed_between(connection, 9, 15)


def slow_responder(site):
    site.recorder.answer = lambda request: Reply(delay=40)
    answer = site.raw(head(), timeout=25)
    expect(answer.startswith(b"HTTP/1.1"), "no answer after 25 seconds")
    expect_refusal(*parse(answer), 504, "unavailable")


def deaf_responder(site):
    site.recorder.deaf = True
    try:
        answer = site.raw(head("PUT", "/a", "Content-Length: %d" % MIB) + b"x" * MIB, timeout=15)
        expect(answer.startswith(b"HTTP/1.1 504"), "no answer after 15 seconds")
    finally:
        site.recorder.deaf = False


def kept_client(site):
    """A client's connection serves many requests."""
    sequential(site, 3)


def many_connections(site):
    """128 at a time for one address; the rest are told so."""
    site.recorder.answer = lambda request: Reply(delay=1.5)
    connections = [site.connect(5, source="127.0.0.9") for _ in range(140)]
    try:
        for connection in connections:
            connection.sendall(head())
        answers = [read_all(connection) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    statuses = [int(answer[9:12]) for answer in answers]
    expect(statuses.count(200) == 128 and statuses.count(429) == 12, "%s" % {s: statuses.count(s) for s in statuses})
    refused = next(answer for answer in answers if answer[9:12] == b"429")
    expect_refusal(*parse(refused), 429, "rate_limited")


def burst(site, source, count):
    """The statuses of `count` requests sent in one go over eight connections."""

    def run(_):
        with site.connect(10, source) as connection:
            part = count // 8
            connection.sendall(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" * (part - 1) + head())
            data = read_all(connection)
        return [int(piece[:3]) for piece in data.split(b"HTTP/1.1 ")[1:]]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return [status for part in pool.map(run, range(8)) for status in part]


def many_requests(site):
    statuses = burst(site, "127.0.0.9", 2000)
    expect(len(statuses) == 2000 and set(statuses) == {200, 429}, "%s" % set(statuses))
    expect(statuses.count(200) >= 400)


def loopback_unlimited(site):
    statuses = burst(site, "127.0.0.1", 2000)
    expect(statuses == [200] * 2000, "%s" % set(statuses))


def streams(site):
    """The SETTINGS frame nginx opens HTTP/2 with (RFC 9113, section 6.5): identifier 3."""
    with site.connect_tls(alpn=["h2"]) as connection:
        expect(connection.selected_alpn_protocol() == "h2")
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        frame = connection.recv(4096)
    length = int.from_bytes(frame[:3], "big")
    settings = {
        int.from_bytes(frame[at : at + 2], "big"): int.from_bytes(frame[at + 2 : at + 6], "big")
        for at in range(9, 9 + length, 6)
    }
    expect(settings.get(3) == 128, "%s" % settings)


def upload_told(site):
    """A client that goes on sending a refused body still gets the reason."""
    with site.connect(5) as connection:
        connection.sendall(head("PUT", "/a", "Content-Length: 1000000000") + b"x" * 8_000_000)
        expect_refusal(*parse(read_all(connection)), 413, "body_too_large")


# --- logs


def provoke(site):
    """Canaries in every part of a request, through answers, refusals and failures."""
    lines = ["X-Session-API-Key: " + CANARY, "Authorization: Bearer " + CANARY, "Referer: http://h/?" + CANARY,
             "User-Agent: " + CANARY, "Cookie: " + CANARY, "Content-Length: %d" % len(CANARY)]  # fmt: skip
    for reply in (Reply(), Reply(die=True), Reply(b"x", 500)):
        site.recorder.answer = lambda request, reply=reply: reply
        for target in ("/api/settings/secrets/" + CANARY, "/api/settings?k=" + CANARY, "/" + CANARY):
            site.raw(head("PUT", target, *lines) + CANARY.encode(), 3)
    site.raw(head(CANARY.upper(), "/a"), 2)
    for bad in ("X-A : " + CANARY, "X_A: " + CANARY, CANARY + ".x: 1", "X-A: " + CANARY * 700,
                "Transfer-Encoding: " + CANARY):  # fmt: skip
        site.raw(head("PUT", "/api/settings?k=" + CANARY, bad), 2)
    with site.connect() as connection:  # cut off in the middle of a body
        connection.sendall(head("PUT", "/?" + CANARY, *lines[:5], "Content-Length: 100") + CANARY.encode())
    time.sleep(0.1)


def silent_logs(site):
    provoke(site)
    time.sleep(0.2)
    logs = site.all_logs()
    at = logs.lower().find(CANARY.encode())
    expect(at < 0, "in a log")


def access_log(site):
    """One line of JSON for each request: no more members than these."""
    site.recorder.answer = lambda request: Reply(status=404)
    ask(site, "PUT", "/api/settings/secrets/NAME?x", body=b"{}")
    time.sleep(0.2)
    lines = site.read("coffer.log").splitlines()
    expect(len(lines) == 1)
    entry = json.loads(lines[0])
    expect(set(entry) == {"time", "request", "client", "method", "route", "status", "received", "sent", "seconds",
                          "upstream", "protocol"})  # fmt: skip
    expect((entry["method"], entry["route"], entry["status"]) == ("PUT", "secret", 404))
    expect(entry["request"].encode() == site.recorder.requests[0].values("REQUEST_ID")[0])


# --- TLS, on the example


def versions(site):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        try:
            site.connect_tls(version, version).close()
        except OSError as error:
            raise AssertionError("%s refused" % version.name) from error
    try:
        site.connect_tls(ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1).close()
    except OSError:
        return
    raise AssertionError("TLS 1.1 accepted")


def suite(site, names, version=ssl.TLSVersion.TLSv1_2):
    """The cipher suite a TLS 1.2 handshake with these names ends in, or None when it is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(names)
    try:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", site.tls), 5)) as connection:
            return connection.cipher()[0]
    except OSError:
        return None


def ciphers(site):
    """Forward secrecy and authenticated encryption, nothing else."""
    for name in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"):
        expect(suite(site, name) == name, name + " refused")
    for name in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"):
        expect(suite(site, name) is None, name + " accepted")


def client_chooses_cipher(site):
    first, second = "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"
    expect(suite(site, first + ":" + second) == first)


def handshake(site, session=None, context=None):
    context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = socket.create_connection(("127.0.0.1", site.tls), 5)
    with context.wrap_socket(raw, server_hostname="localhost", session=session) as connection:
        connection.sendall(head(host="localhost"))
        read_all(connection)
        return context, connection.session, connection.session_reused


def session_resumed(site):
    context, session, _ = handshake(site)
    expect(handshake(site, session, context)[2], "a full handshake again")


def no_ticket(site):
    expect(not handshake(site)[1].has_ticket, "a ticket")


def no_early_data(site):
    """What the session of a TLS 1.3 connection allows, as openssl prints it."""
    client = subprocess.run(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % site.tls, "-tls1_3", "-servername", "localhost", "-ign_eof"],
        input=head(host="localhost"), capture_output=True, timeout=10, check=False)  # fmt: skip
    limits = [line.split(b":")[1].strip() for line in client.stdout.splitlines() if b"Max Early Data" in line]
    expect(limits and set(limits) == {b"0"}, "%s" % limits)


def http2(site):
    client = subprocess.run(
        ["curl", "-sk", "--http2", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
         "https://localhost:%d/api/settings" % site.tls],
        capture_output=True, text=True, check=False)  # fmt: skip
    expect(client.stdout == "2 200", client.stdout)
    (request,) = site.recorder.requests
    expect(request.values("HTTP_HOST") == [b"localhost:%d" % site.tls], "no host over HTTP/2")
    expect(request.values("SERVER_PROTOCOL") == [b"HTTP/2.0"])


def foreign_host(site):
    """Another name, an address, and another name in the target are told that they are wrong here."""
    for server_name, data in (
        ("evil.example", head(host="evil.example")),
        ("localhost", head(host="evil.example")),
        ("127.0.0.1", head(host="127.0.0.1")),
        ("localhost", head("GET", "https://evil.example/api/settings", host="localhost")),
    ):
        with site.connect_tls(name=server_name) as connection:
            connection.sendall(data)
            status, headers, body = parse(read_all(connection))
        expect(status == 421 and json.loads(body)["code"] == "misdirected_request", "%d" % status)
        expect(headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff")
        expect(headers["content-type"] == "application/json")
    expect(not site.recorder.requests)


def redirected(site):
    for host in ("localhost", "evil.example"):
        status, headers, _ = parse(site.raw(head("GET", "/api/settings?x=1", host=host), 2))
        expect(status == 308 and headers["location"] == "https://localhost/api/settings?x=1", "%d" % status)
    expect(not site.recorder.requests)


def silent_logs_of_example(site):
    lines = ["X-Session-API-Key: " + CANARY, "Referer: http://h/" + CANARY, "X_A: " + CANARY]
    for reply in (Reply(), Reply(die=True)):
        site.recorder.answer = lambda request, reply=reply: reply
        for host in ("localhost", CANARY):
            with site.connect_tls() as connection:
                connection.sendall(head("GET", "/api/settings?" + CANARY, *lines, host=host))
                read_all(connection)
            site.raw(head("GET", "/api/settings?" + CANARY, *lines, host=host), 2)
    time.sleep(0.2)
    expect(site.read("coffer.log"), "no log at all")
    expect(CANARY.encode() not in site.all_logs(), "in a log")


def room(site):
    connections = []
    try:
        for _ in range(3000):
            connections.append(socket.create_connection(("127.0.0.1", site.plain), 5))
            connections[-1].sendall(b"GET /a HTTP/1.1\r\n")
        with site.connect_tls() as connection:
            connection.sendall(head(host="localhost"))
            expect(read_all(connection).startswith(b"HTTP/1.1 200"), "no room")
        # nginx makes room by ending the connections that have sent least.
        ended = select.poll()
        for connection in connections:
            ended.register(connection, select.POLLIN)
        expect(not ended.poll(0), "room for one by ending another")
    except OSError as error:
        raise AssertionError("no room") from error
    finally:
        for connection in connections:
            connection.close()
