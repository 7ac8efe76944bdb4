"""An HTTP proxy before a real S3 server that does to requests what networks and busy servers do.

    with FaultProxy(server.endpoint) as proxy:
        proxy.choose = lambda seen: Status(503, "SlowDown") if seen.attempt == 1 else None
        ... use proxy.endpoint ...

A fault is chosen for each request by what was seen of it; None passes it on unchanged. The Host header is passed on as
it came, so signatures stay right. It also serves as the proxy that HTTP_PROXY names, and speaks TLS when given a
context.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Seen:
    """A request. attempt: 1 for the first with this method, target and copy source. number: 1 for the first of all."""

    method: str
    target: str
    headers: dict[str, str]
    attempt: int
    number: int


@dataclass(frozen=True)
class Status:
    """Answer this instead of passing the request on."""

    status: int
    code: str = "InternalError"


@dataclass(frozen=True)
class Reset:
    """Reset the connection. forwarded: after the server has done what was asked, so that only the answer is lost."""

    forwarded: bool = False


@dataclass(frozen=True)
class Truncate:
    """Send the head and this share of the body, then reset."""

    share: float = 0.5


@dataclass(frozen=True)
class Delay:
    """Pass the request on after so many seconds, or when the proxy closes."""

    seconds: float


Fault = Status | Reset | Truncate | Delay


def nothing(_: Seen) -> Fault | None:
    return None


class FaultProxy:
    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.choose: Callable[[Seen], Fault | None] = nothing
        self.seen: list[Seen] = []
        self.faults: list[tuple[Seen, Fault]] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._attempts: Counter[tuple[str, str, str]] = Counter()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.endpoint = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def note(self, method: str, target: str, headers: dict[str, str]) -> Fault | None:
        with self._lock:
            identity = method, target, headers.get("x-amz-copy-source", "")
            self._attempts[identity] += 1
            seen = Seen(method, target, headers, self._attempts[identity], len(self.seen) + 1)
            self.seen.append(seen)
            fault = self.choose(seen)
            if fault is not None:
                self.faults.append((seen, fault))
            return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    upstream: http.client.HTTPConnection | None = None

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if self.parse_request():
            self._proxy()
            self.wfile.flush()

    def finish(self) -> None:
        if self.upstream is not None:
            self.upstream.close()
        super().finish()

    def _proxy(self) -> None:
        proxy = self.server.proxy
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if self.path.startswith("http://"):
            self.path = "/" + self.path.split("/", 3)[3]
        fault = proxy.note(self.command, self.path, headers)
        if isinstance(fault, Delay):
            proxy.closing.wait(fault.seconds)
        if isinstance(fault, Status):
            self._answer_fault(fault)
            return
        if isinstance(fault, Reset) and not fault.forwarded:
            self._reset()
            return
        status, reason, answered, data = self._forward(body)
        if isinstance(fault, Reset):
            self._reset()
            return
        self._head(status, reason, answered)
        if isinstance(fault, Truncate):
            self.wfile.write(data[: int(len(data) * fault.share)])
            self.wfile.flush()
            self._reset()
            return
        self.wfile.write(data)

    def _forward(self, body: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection(*self.server.proxy.upstream, timeout=60)
        self.upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                self.upstream.putheader(name, value)
        self.upstream.endheaders(body or None)
        answer = self.upstream.getresponse()
        data = answer.read()
        headers = answer.getheaders()
        if answer.getheader("content-length") is None and answer.status not in (204, 304):
            headers.append(("Content-Length", str(len(data))))
        return answer.status, answer.reason, headers, data

    def _head(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status, reason)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                self.send_header(name, value)
        self.end_headers()

    def _answer_fault(self, fault: Status) -> None:
        body = f"<Error><Code>{fault.code}</Code><Message>made by the fault proxy</Message></Error>".encode()
        if self.command == "HEAD":
            body = b""
        self._head(fault.status, fault.code, [("Content-Length", str(len(body)))])
        self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        # Lingering zero seconds makes close() send RST instead of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Silent: `seen` and `faults` tell."""
