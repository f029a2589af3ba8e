"""A FastCGI responder that records what nginx passes on and answers as a test wants."""

import dataclasses
import os
import socket
import struct
import threading
import time

import fastcgi


@dataclasses.dataclass
class Recorded:
    """One request as it arrived. Parameters keep their order and their repetitions."""

    params: list
    body: bytes
    connection: int

    def values(self, name):
        return [value for key, value in self.params if key == name.encode()]

    def names(self):
        return [key.decode() for key, _ in self.params]


@dataclasses.dataclass
class Reply:
    """An answer. `delay` seconds pass before it; `die` closes the connection in its place."""

    body: bytes = b"{}"
    status: int = 200
    headers: tuple = (("Content-Type", "application/json"),)
    delay: float = 0
    die: bool = False

    def encoded(self):
        head = "Status: %d\r\n" % self.status
        head += "".join("%s: %s\r\n" % pair for pair in self.headers)
        head += "Content-Length: %d\r\n\r\n" % len(self.body)
        return head.encode() + self.body


class Recorder:
    """Serves a unix socket, one thread for each connection. `answer` makes the Reply to a request."""

    def __init__(self, path):
        self.deaf = False  # accepts connections and never reads
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chmod(path, 0o666)  # the workers may run as another user; the folder above is private
        self._listener.listen(512)
        self.forget()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def forget(self):
        """Back to the state of a new recorder."""
        with self._lock:
            self.requests, self.connections, self.ended_by_peer, self.answered = [], 0, 0, 0
        self.deaf = False
        self.answer = lambda request: Reply()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        with connection:
            try:
                while not self.deaf and self._serve_one(connection, number):
                    pass
                while self.deaf:
                    time.sleep(0.1)
            except (fastcgi.ConnectionEnded, OSError):
                with self._lock:
                    self.ended_by_peer += 1

    def _serve_one(self, connection, number):
        """True when the connection stays open for another request."""
        keep, params, body = False, b"", b""
        while True:
            kind, request_id, content = fastcgi.read_record(connection)
            if kind == fastcgi.BEGIN_REQUEST:
                keep = bool(content[2] & fastcgi.KEEP_CONNECTION)
            elif kind == fastcgi.PARAMS:
                params += content
            elif kind == fastcgi.STDIN and content:
                body += content
            elif kind == fastcgi.STDIN:
                break
        request = Recorded(fastcgi.decode_params(params), body, number)
        with self._lock:
            self.requests.append(request)
        reply = self.answer(request)
        if reply.delay:
            self._wait(connection, reply.delay)
        if reply.die:
            return False
        end = fastcgi.record(fastcgi.END_REQUEST, struct.pack("!IB3x", 0, 0), request_id)
        connection.sendall(fastcgi.stream(fastcgi.STDOUT, reply.encoded(), request_id) + end)
        with self._lock:
            self.answered += 1
        return keep

    @staticmethod
    def _wait(connection, seconds):
        """Waits, and notices when the peer closes meanwhile."""
        connection.settimeout(seconds)
        start = time.monotonic()
        try:
            if not connection.recv(1):
                raise fastcgi.ConnectionEnded
        except TimeoutError:
            pass
        finally:
            connection.settimeout(None)
        time.sleep(max(0, seconds - (time.monotonic() - start)))
