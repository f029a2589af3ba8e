"""WebSockets by hand (RFC 6455): a client, and a scripted agent server that speaks nothing else."""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import threading

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload, masked):
    size = len(payload)
    head = bytes([0x80 | opcode])
    bit = 0x80 if masked else 0
    head += bytes([bit | size]) if size < 126 else bytes([bit | 126]) + struct.pack(">H", size) if size < 65536 else bytes([bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    pad = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


class Peer:
    """One end of a socket: whole frames out and in."""

    def __init__(self, connection, masks, early=b""):
        self.connection, self.masks, self.early = connection, masks, early

    def take(self, size):
        while len(self.early) < size:
            more = self.connection.recv(1 << 20)
            if not more:
                raise EOFError("the socket ended with %d of %d bytes" % (len(self.early), size))
            self.early += more
        taken, self.early = self.early[:size], self.early[size:]
        return taken

    def head(self):
        text = b""
        while b"\r\n\r\n" not in text:
            text += self.take(1)
        lines = text.decode("latin-1").split("\r\n")
        return lines[0], [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]

    def send(self, payload, opcode=None):
        if isinstance(payload, str):
            payload, opcode = payload.encode(), opcode or TEXT
        self.connection.sendall(frame(opcode or BINARY, payload, self.masks))

    def receive(self):
        """(opcode, payload) of the next frame."""
        first, second = self.take(2)
        size = second & 127
        if size > 125:
            size = struct.unpack(">H" if size == 126 else ">Q", self.take(2 if size == 126 else 8))[0]
        mask = self.take(4) if second & 128 else None
        payload = self.take(size)
        if mask:
            pad = (mask * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        return first & 15, payload

    def closed(self):
        """The code and reason of the close frame that comes next, and that nothing comes behind it."""
        opcode, payload = self.receive()
        assert opcode == CLOSE, (opcode, payload)
        return struct.unpack(">H", payload[:2])[0], payload[2:].decode()

    def close(self):
        self.connection.close()


class Client(Peer):
    """Opens a socket at a port of loopback, or at a unix socket. `status` is that of the handshake; `body` what came with a refusal."""

    def __init__(self, place, target, headers=(), timeout=20, upgrade=True):
        super().__init__(self.connected(place, timeout), masks=True)
        nonce = base64.b64encode(os.urandom(16))
        lines = ["GET %s HTTP/1.1" % target, "Host: localhost"]
        if upgrade:
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + nonce.decode()]
        self.connection.sendall("\r\n".join(lines + ["%s: %s" % header for header in headers] + ["", ""]).encode())
        line, self.headers = self.head()
        self.status = int(line.split()[1])
        self.body = b""
        fields = {name.lower(): value for name, value in self.headers}
        if self.status == 101:
            expected = base64.b64encode(hashlib.sha1(nonce + GUID).digest()).decode()
            assert fields["sec-websocket-accept"] == expected, fields
        else:
            self.body = self.take(int(fields.get("content-length", 0)))

    @staticmethod
    def connected(place, timeout):
        if isinstance(place, int):
            return socket.create_connection(("127.0.0.1", place), timeout=timeout)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(place)
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SocketAgent:
    """The agent server's side: `serve(peer)` runs for each socket on a thread of its own. Keeps what each handshake held."""

    def __init__(self, serve, path=None, accepts=lambda line: True):
        self.serve, self.accepts, self.heads, self.peers = serve, accepts, [], []
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = "unix:" + path
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
            self.address = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.listen(1024)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(connection,), daemon=True).start()

    def one(self, connection):
        peer = Peer(connection, masks=False)
        self.peers.append(peer)
        try:
            line, headers = peer.head()
            self.heads.append((line, headers))
            if not self.accepts(line):
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            nonce = dict((name.lower(), value) for name, value in headers)["sec-websocket-key"].encode()
            answer = base64.b64encode(hashlib.sha1(nonce + GUID).digest()).decode()
            connection.sendall(
                ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % answer).encode())
            self.serve(peer)
        except (OSError, EOFError):
            pass
        finally:
            peer.close()

    def close(self):
        with contextlib.suppress(OSError):  # closed before
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.close()


def echo(peer):
    while True:
        opcode, payload = peer.receive()
        peer.send(payload, opcode)
        if opcode == CLOSE:
            return
