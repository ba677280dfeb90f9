"""The embedded catalog over HTTP, for as long as somebody needs it.

The socket listens at once; pyiceberg is imported in the background, because it takes a second, and the first request that needs
the catalog waits for it. The server has no authentication and answers on 127.0.0.1: it is for one user's machine, where every
other user may reach it as well. Listening on another address is for a namespace of a cluster whose pods may all write its tables.

Whatever a client sends, it gets an answer of the specification: its own mistakes are 4xx. What it may hold is bounded: connections,
the time between two requests or within one, and the size of a body.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from concurrent.futures import Future
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_dcp_provider.embedded_catalog.catalog import EmbeddedCatalog
from airflow_dcp_provider.model.errors import DcpEnvironmentError, DcpError

if TYPE_CHECKING:
    from airflow_dcp_provider.embedded_catalog.routes import Answer, CatalogService

HOST = "127.0.0.1"

_LOG = logging.getLogger(__name__)

#: No request of a client is larger; a commit lists snapshots and schemas, never data.
_BODY_LIMIT = 64 * 1024 * 1024

#: Seconds that a client may be silent, between two requests or within one. Clients are told half of it, so that none sends
#: a request on a connection that is just being closed.
_SILENCE = 120.0

#: Connections that are served at once. Spark has a few for each thread that plans.
_CONNECTIONS = 256

#: Fields of a query, and digits of a body's length.
_QUERY_FIELDS = 100
_LENGTH_DIGITS = 12

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

#: What clients may call. Metrics are accepted but not asked for: nobody reads them and each costs a request.
_ENDPOINTS = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "POST /v1/{prefix}/tables/rename",
    "GET /v1/{prefix}/namespaces/{namespace}/views",
]

#: How Python says that a value is of another type or size than the code beneath expects.
_MISFITS = (TypeError, AttributeError, IndexError, AssertionError, ArithmeticError, RecursionError)

_CONFIG = json.dumps({"defaults": {}, "overrides": {}, "endpoints": _ENDPOINTS})


class CatalogServer:
    """Serves the catalog of ``home`` on a port, from :meth:`start` to :meth:`stop`.

    :param home: the folder of :class:`EmbeddedCatalog`.
    :param port: 0 for a free one.
    :param host: the address to listen on. On another one than 127.0.0.1 everybody who reaches it may do everything.
    """

    def __init__(self, home: Path, port: int = 0, host: str = HOST) -> None:
        self.embedded = EmbeddedCatalog(home)
        self._wanted_port = port
        self._host = host
        self._server: _Server | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> str:
        """Listen, and return the catalog's URI (``http://127.0.0.1:<port>``) at once.

        :raises DcpEnvironmentError: DCP427 when the port is taken.
        """
        if self._server:
            return self.uri
        try:
            self._server = _Server((self._host, self._wanted_port), _Handler)
        except OSError as error:
            raise DcpEnvironmentError(
                f"the embedded catalog cannot listen on {self._host}:{self._wanted_port}: {error.strerror}",
                code="DCP427",
                hint="choose another port, or 0 for a free one",
            ) from error
        for work in (self._open, self._server.serve_forever):
            thread = threading.Thread(target=work, name=f"embedded-catalog-{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self.uri

    @property
    def uri(self) -> str:
        """The address to give to Spark and pyiceberg.

        :raises DcpEnvironmentError: DCP428 when the server was not started.
        """
        if not self._server:
            raise DcpEnvironmentError(
                "the embedded catalog's server does not run", code="DCP428", hint="call start(), or use it in a `with` block"
            )
        return f"http://{self._host}:{self._server.server_address[1]}"

    def wait_until_open(self, timeout: float | None = None) -> None:
        """Return when the catalog itself is open.

        :param timeout: seconds.
        :raises DcpEnvironmentError: DCP425 when it cannot be opened.
        """
        if self._server:
            self._server.service.result(timeout)

    def stop(self) -> None:
        """Stop listening and close the catalog. A second call does nothing."""
        server, self._server = self._server, None
        if not server:
            return
        server.shutdown()
        server.server_close()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if server.service.exception() is None:
            server.service.result().catalog.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _open(self) -> None:
        server = self._server
        if not server:
            return
        try:
            from airflow_dcp_provider.embedded_catalog.routes import CatalogService

            catalog = self.embedded.catalog(**{"py-io-impl": "airflow_dcp_provider.embedded_catalog.local_io.LocalFileIO"})
            server.service.set_result(CatalogService(catalog, self.embedded.warehouse))
        except Exception as error:  # noqa: BLE001 -- handed to whoever waits for the catalog
            server.service.set_exception(error)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Spark opens several connections at once; beyond the queue the kernel lets a client wait for a second.
    request_queue_size = 64
    # Idle keep-alive connections of Spark must not hold up the end.
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.service: Future[CatalogService] = Future()
        self._free = threading.BoundedSemaphore(_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, unless there are too many already."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.setblocking(False)
            request.send(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 -- the base class's parameters
        """Note what ended a connection; the base class would print it."""
        _LOG.debug("a connection of the embedded catalog broke", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet per answer; with Nagle's algorithm each would wait 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = _SILENCE
    server: _Server

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 -- the base class looks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's parameter
        _LOG.debug(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what is no HTTP, or a method that nobody serves, as the specification has it."""
        from airflow_dcp_provider.embedded_catalog.problems import RestError

        self.close_connection = True
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else code if code < 500 else 400
        self._send(int(status), json.dumps(RestError(int(status), "BadRequestException", message or "bad request").body()))

    def _handle(self) -> None:
        from airflow_dcp_provider.embedded_catalog.problems import problem_of

        try:
            self._check_sender()
            body = self._body()
            url = urlsplit(self.path)
            if url.path == "/v1/config":
                self._send(200, _CONFIG)
                return
            answer = self._answer(url.path, dict(parse_qsl(url.query, max_num_fields=_QUERY_FIELDS)), body)
        except (TimeoutError, ConnectionError):
            # The client has gone, or keeps half a request to itself: nobody waits for an answer.
            self.close_connection = True
            return
        except Exception as error:  # noqa: BLE001 -- every fault becomes an answer that the client understands
            problem = problem_of(error) if not isinstance(error, DcpError) else problem_of(RuntimeError(str(error)))
            if problem.status >= 500:
                _LOG.exception("%s %s failed", self.command, self.path)
            self._send(problem.status, json.dumps(problem.body()))
            return
        self._send(answer.status, answer.text or ("" if answer.body is None else json.dumps(answer.body)))

    def _answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        service = self.server.service.result()
        from airflow_dcp_provider.embedded_catalog.problems import bad_request
        from airflow_dcp_provider.embedded_catalog.routes import Request, find_route

        endpoint, parts = find_route(self.command, path)
        try:
            return endpoint(service, Request({key: unquote(part) for key, part in parts.items()}, query, body))
        except KeyError as error:
            raise bad_request(f"the request lacks {error}") from error
        except _MISFITS as error:
            # Only what a client sends can be of a wrong type here; without a body there is nothing that could be.
            if not body:
                raise
            _LOG.info("%s %s makes no sense", self.command, path, exc_info=True)
            raise bad_request(f"the request makes no sense: {error or type(error).__name__}") from error

    def _check_sender(self) -> None:
        """Refuse what a web page in the user's browser could send; Iceberg's clients send neither."""
        from airflow_dcp_provider.embedded_catalog.problems import RestError

        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        # Whoever listens on another address is called by names of which nothing is known here.
        known = self.server.server_address[0] != HOST or name in {HOST, "localhost"}
        if "Origin" in self.headers or not known:
            self.close_connection = True
            raise RestError(403, "ForbiddenException", "the embedded catalog answers programs of this machine only")

    def _body(self) -> dict[str, Any]:
        from airflow_dcp_provider.embedded_catalog.problems import RestError, bad_request

        length = self.headers.get("Content-Length") or "0"
        sensible = length.isascii() and length.isdecimal() and len(length) <= _LENGTH_DIGITS
        if "Transfer-Encoding" in self.headers or not sensible or int(length) > _BODY_LIMIT:
            self.close_connection = True
            raise RestError(413, "BadRequestException", "the request's body is too large or has no length")
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            raise ConnectionError("the client has gone")
        if not raw or self.headers.get("Content-Type", "").split(";")[0].strip() == "application/x-www-form-urlencoded":
            return {}
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise bad_request(f"the request's body is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise bad_request("the request's body is not a JSON object")
        return data

    def _send(self, status: int, text: str) -> None:
        raw = text.encode()
        self.send_response(status)
        if self.close_connection:
            self.send_header("Connection", "close")
        else:
            self.send_header("Keep-Alive", f"timeout={_SILENCE / 2:.0f}")
        if raw:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)
        self.wfile.flush()
