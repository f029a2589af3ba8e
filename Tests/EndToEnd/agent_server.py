"""A scripted agent server: it keeps exactly what it received and answers as it is told."""

import http.server
import json
import socket
import threading
import time


class Received:
    def __init__(self, method, target, headers, body, version):
        self.method, self.target, self.headers, self.body, self.version = method, target, headers, body, version

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)


class Said:
    """`parts` follow one another with `pause` seconds between; `raw` is sent instead of any HTTP, then the connection ends."""

    def __init__(self, status=200, body=b"", headers=(("Content-Type", "application/json"),), delay=0, parts=None, pause=0, raw=None):
        self.status, self.headers, self.delay, self.pause, self.raw = status, headers, delay, pause, raw
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.parts = parts


class UnixServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)


class AgentServer:
    """Listens on a free port of loopback, or on the unix socket `path`, until `close`. `answer` makes a Said of each Received."""

    def __init__(self, answer=None, path=None):
        self.received = []
        self.answer = answer or (lambda request: Said(200, {"success": True}))
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Received(self.command, self.path, self.headers.items(), body, self.request_version)
                owner.received.append(request)
                try:
                    self.say(owner.answer(request))
                except OSError:
                    self.close_connection = True

            def say(self, said):
                time.sleep(said.delay)
                if said.raw is not None:
                    self.close_connection = True
                    for piece in said.raw if not isinstance(said.raw, bytes) else [said.raw]:
                        self.wfile.write(piece)
                    return
                self.send_response(said.status)
                for name, value in said.headers:
                    self.send_header(name, value)
                parts = said.parts or [said.body]
                self.send_header("Content-Length", str(sum(map(len, parts))))
                self.end_headers()
                if self.command == "HEAD":
                    return
                for part in parts:
                    self.wfile.write(part)
                    self.wfile.flush()
                    time.sleep(said.pause)

            def __getattr__(self, name):
                if name.startswith("do_"):  # any method
                    return self.handle_any
                raise AttributeError(name)

            def log_message(self, *_):
                pass

        self.server = UnixServer(path, Handler) if path else http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.port = None if path else self.server.server_address[1]
        self.url = "unix:" + path if path else "http://127.0.0.1:%d" % self.port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
