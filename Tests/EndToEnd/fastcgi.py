"""The FastCGI records that nginx and Coffer exchange, in Python's standard library alone.

Source: FastCGI Specification 1.0, sections 3.3 (records), 3.4 (name-value pairs), 5 and 6.2.
"""

import socket
import struct

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = range(1, 8)
RESPONDER = 1
KEEP_CONNECTION = 1
MAXIMUM_CONTENT = 65535


class ConnectionEnded(Exception):
    """The peer closed the connection where a record had to come."""


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionEnded
        data += piece
    return data


def read_record(connection):
    """One record: its type, its request id and its content."""
    _, kind, request_id, length, padding, _ = struct.unpack("!BBHHBB", read_exactly(connection, 8))
    content = read_exactly(connection, length)
    read_exactly(connection, padding)
    return kind, request_id, content


def record(kind, content, request_id=1):
    return struct.pack("!BBHHBB", 1, kind, request_id, len(content), 0, 0) + content


def stream(kind, data, request_id=1):
    """Records that carry `data`, and the empty one that ends a stream."""
    records = [
        record(kind, data[start : start + MAXIMUM_CONTENT], request_id)
        for start in range(0, len(data), MAXIMUM_CONTENT)
    ]
    return b"".join(records) + record(kind, b"", request_id)


def encode_length(length):
    return struct.pack("!B", length) if length < 128 else struct.pack("!I", length | 1 << 31)


def encode_params(pairs):
    return b"".join(
        encode_length(len(name)) + encode_length(len(value)) + name + value for name, value in pairs
    )


def decode_params(data):
    pairs, at = [], 0

    def length():
        nonlocal at
        if data[at] < 128:
            at += 1
            return data[at - 1]
        at += 4
        return struct.unpack("!I", data[at - 4 : at])[0] & 0x7FFFFFFF

    while at < len(data):
        name_length = length()
        value_length = length()
        name = data[at : at + name_length]
        at += name_length
        pairs.append((name, data[at : at + value_length]))
        at += value_length
    return pairs


def request_bytes(pairs, body=b"", keep=False):
    """A whole responder request as one byte string."""
    begin = struct.pack("!HB5x", RESPONDER, KEEP_CONNECTION if keep else 0)
    return record(BEGIN_REQUEST, begin) + stream(PARAMS, encode_params(pairs)) + stream(STDIN, body)


def read_reply(connection):
    """The STDOUT of one reply, up to its END_REQUEST."""
    output = b""
    while True:
        kind, _, content = read_record(connection)
        if kind == STDOUT:
            output += content
        elif kind == END_REQUEST:
            return output


def split_reply(output):
    """A CGI reply as (status, header pairs, body); 200 where no Status line says otherwise."""
    head, _, body = output.partition(b"\r\n\r\n")
    headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n") if line]
    status = next((int(value[:3]) for name, value in headers if name.lower() == b"status"), 200)
    return status, headers, body


def settings_params(method, target, headers=(), body=b"", **more):
    """The parameters nginx sends for a request; `more` replaces some, None leaves one out."""
    path = target.split("?", 1)[0]
    params = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": target,
        "DOCUMENT_URI": path,
        "CONTENT_LENGTH": str(len(body)) if body else "",
        "CONTENT_TYPE": "application/json" if body else "",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_SCHEME": "https",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_ID": "0123456789abcdef0123456789abcdef",
        "HTTP_HOST": "localhost",
    }
    params.update({"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers})
    params.update(more)
    return [(name.encode(), value.encode("latin-1")) for name, value in params.items() if value is not None]


def exchange(path, pairs, body=b"", timeout=10):
    """Sends one request to the socket at `path` and returns its status, headers and body."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(request_bytes(pairs, body))
        return split_reply(read_reply(connection))
