"""How bytes get to S3 and back: two transports with one interface.

Owns signing, sockets, TLS and proxies; knows nothing of retries or of what an answer means. awscrt signs and sends in
C. It cannot be told of an HTTP proxy, so where one is set botocore's signer and urllib3 take over.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from artifact_store.errors import S3Error, UsageError
from artifact_store.s3.settings import Place, Settings
from artifact_store.s3.wire import Reply, Request

CONNECT_SECONDS = 5
GBPS_A_CONNECTION = 0.4
"""awscrt opens a connection for every 0.4 Gbit/s it is to reach, 25 unless told, and the override only limits them:
without this, of 64 requests in flight 39 wait for a connection (measured with awscrt 0.38)."""
USER_AGENT = "artifact-store"

Done = Callable[["Reply | S3Error"], None]
"""Called once, from another thread: with the answer whatever its status, or with why there is none."""


class Transport(Protocol):
    def send(self, request: Request, done: Done) -> Callable[[], None]:
        """Start a request; returns what cancels it. A cancelled request may still be done."""
        ...

    def close(self) -> None: ...


def choose(settings: Settings, connections: int) -> Transport:
    """awscrt, or botocore where requests must go through a proxy."""
    if settings.proxy(settings.endpoint):
        return ProxyTransport(settings, connections)
    return CrtTransport(settings, connections)


class CrtTransport:
    def __init__(self, settings: Settings, connections: int) -> None:
        from awscrt import auth, http, s3
        from awscrt.io import ClientBootstrap, DefaultHostResolver, EventLoopGroup

        self._http, self._s3 = http, s3
        self._settings = settings
        self._connections = connections
        loops = EventLoopGroup(1)
        self._bootstrap = ClientBootstrap(loops, DefaultHostResolver(loops))
        if settings.refreshed:
            self._provider = auth.AwsCredentialsProvider.new_delegate(lambda: auth.AwsCredentials(*_three(settings)))
        else:
            self._provider = auth.AwsCredentialsProvider.new_static(*_three(settings))
        self._clients: dict[bool, Any] = {}
        self._lock = threading.Lock()

    def send(self, request: Request, done: Done) -> Callable[[], None]:
        place = self._settings.place(request.bucket)
        headers = self._http.HttpHeaders([("Host", place.host), ("User-Agent", USER_AGENT), *request.headers])
        if request.body or request.method in ("PUT", "POST"):
            headers.add("Content-Length", str(len(request.body)))
        message = self._http.HttpRequest(
            request.method, request.path(place.path), headers, io.BytesIO(request.body) if request.body else None
        )
        status, found, chunks = 0, [], []

        def on_headers(status_code: int, headers: list[tuple[str, str]], **_: Any) -> None:
            nonlocal status, found
            status, found = status_code, headers

        def on_body(chunk: bytes, **_: Any) -> None:
            chunks.append(chunk)

        def on_done(
            error: Exception | None = None,
            error_headers: list[tuple[str, str]] | None = None,
            error_body: bytes | None = None,
            status_code: int | None = None,
            **_: Any,
        ) -> None:
            if error is None:
                done(Reply(status, _lower(found), b"".join(chunks)))
            elif status_code and error_headers is not None:
                done(Reply(status_code, _lower(error_headers), error_body or b""))
            elif (name := getattr(error, "name", "")) in SWALLOWED:
                done(_unswallowed(*SWALLOWED[name]))
            else:
                done(_failure(error, place))

        started = self._client(place.tls).make_request(
            type=self._s3.S3RequestType.DEFAULT,
            request=message,
            operation_name=request.operation,
            on_headers=on_headers,
            on_body=on_body,
            on_done=on_done,
        )
        cancel: Callable[[], None] = started.cancel
        return cancel

    def close(self) -> None:
        self._clients.clear()

    def _client(self, tls: bool) -> Any:
        s3 = self._s3
        with self._lock:
            if tls not in self._clients:
                self._clients[tls] = s3.S3Client(
                    bootstrap=self._bootstrap,
                    region=self._settings.region,
                    signing_config=s3.create_default_s3_signing_config(
                        region=self._settings.region, credential_provider=self._provider
                    ),
                    tls_mode=s3.S3RequestTlsMode.ENABLED if tls else s3.S3RequestTlsMode.DISABLED,
                    tls_connection_options=self._tls() if tls else None,
                    throughput_target_gbps=max(1, self._connections) * GBPS_A_CONNECTION,
                    max_active_connections_override=self._connections,
                    connect_timeout_ms=CONNECT_SECONDS * 1000,
                    # Retries are the client's: it knows what may be sent again and tells how often it was.
                    retry_config=s3.S3RetryConfig(retry_mode=s3.S3RetryMode.NONE),
                )
            return self._clients[tls]

    def _tls(self) -> Any:
        from awscrt.io import ClientTlsContext, TlsContextOptions

        options = TlsContextOptions()
        bundle = self._settings.ca_bundle()
        if bundle:
            options.override_default_trust_store_from_path(None, bundle)
        try:
            return ClientTlsContext(options).new_connection_options()
        except RuntimeError as error:
            raise UsageError(f"AWS_CA_BUNDLE: {bundle} holds something else than certificates ({error})") from error


class ProxyTransport:
    """One thread a connection; slower, but it goes where HTTP(S)_PROXY says."""

    def __init__(self, settings: Settings, connections: int) -> None:
        from botocore.httpsession import URLLib3Session

        self._settings = settings
        proxy = settings.proxy(settings.endpoint)
        scheme = settings.endpoint.partition(":")[0]
        self._http = URLLib3Session(
            verify=settings.ca_bundle() or True,  # type: ignore[arg-type]  # a path is taken too; the stub says bool
            proxies={scheme: proxy} if proxy else None,
            timeout=(CONNECT_SECONDS, 60),  # type: ignore[arg-type]  # (connect, read) is taken too; the stub says one number
            max_pool_connections=connections,
        )
        self._threads = ThreadPoolExecutor(connections, "artifact-store-s3")

    def send(self, request: Request, done: Done) -> Callable[[], None]:
        future = self._threads.submit(self._exchange, request, done)

        def cancel() -> None:
            future.cancel()

        return cancel

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def _exchange(self, request: Request, done: Done) -> None:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from botocore.exceptions import HTTPClientError

        place = self._settings.place(request.bucket)
        try:
            url = f"{'https' if place.tls else 'http'}://{place.host}{request.path(place.path)}"
            message = AWSRequest(request.method, url, dict(request.headers), request.body)
            message.headers["User-Agent"] = USER_AGENT
            message.context["payload_signing_enabled"] = False
            S3SigV4Auth(Credentials(*_three(self._settings)), "s3", self._settings.region).add_auth(message)
            answer = self._http.send(message.prepare())
            done(Reply(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content))
        except S3Error as error:
            done(error)
        except HTTPClientError as error:
            done(_failure(error, place))


def _three(settings: Settings) -> tuple[str, str, str | None]:
    keys = settings.keys()
    return keys.access_key, keys.secret_key, keys.token or None


def _lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


SWALLOWED = {
    "AWS_ERROR_S3_SLOW_DOWN": (503, "SlowDown"),
    "AWS_ERROR_S3_INTERNAL_ERROR": (500, "InternalError"),
    "AWS_ERROR_S3_REQUEST_TIMEOUT": (400, "RequestTimeout"),
    "AWS_ERROR_S3_REQUEST_TIME_TOO_SKEWED": (403, "RequestTimeTooSkewed"),
}
"""Answers that awscrt means to retry itself: it tells that they came, but gives neither headers nor body."""


def _unswallowed(status: int, code: str) -> Reply:
    return Reply(status, {}, f"<Error><Code>{code}</Code></Error>".encode())


UNREACHABLE = (
    "DNS",
    "SOCKET_CONNECT",
    "SOCKET_CONNECTION_REFUSED",
    "SOCKET_NO_ROUTE",
    "SOCKET_NETWORK_DOWN",
    "CONNECTION_REFUSED",
    "EndpointConnectionError",
    "ProxyConnectionError",
    "ConnectTimeoutError",
)
UNTRUSTED = ("TLS", "SSLError")
WITHOUT_KEYS = ("AUTH_CREDENTIALS", "AUTH_SIGNING_NO_CREDENTIALS")


def _failure(error: Exception, place: Place) -> S3Error:
    """Why there is no answer, as one of our codes."""
    words = getattr(error, "name", "") or type(error).__name__
    said = " ".join(str(getattr(error, "message", "") or error).split()).rstrip(".")
    where = f"{'https' if place.tls else 'http'}://{place.host}"
    if any(word in words for word in WITHOUT_KEYS):
        return S3Error(f"credentials cannot be read: {said}", code="NoCredentials")
    if any(word in words for word in UNTRUSTED):
        text = f"{where} cannot be trusted: {said}; AWS_CA_BUNDLE names the certificates to trust"
        return S3Error(text, code="Untrusted")
    if any(word in words for word in UNREACHABLE):
        text = f"{where} cannot be reached: {said}; look at --endpoint-url, AWS_ENDPOINT_URL and the network"
        return S3Error(text, code="Unreachable")
    if "THROUGHPUT" in words:
        # awscrt's own watch over a connection on which nothing moves.
        text = f"{where} took the connection, but nothing moves on it; look at --endpoint-url and the network"
        return S3Error(text, code="TimedOut")
    if "TIMEOUT" in words or "Timeout" in words:
        return S3Error(f"{where} did not answer in time: {said}", code="TimedOut")
    if "CANCEL" in words:
        return S3Error("cancelled", code="Cancelled")
    return S3Error(f"{where} closed the connection: {said}", code="ConnectionReset")
