"""A small HTTP server between client and API server that spoils chosen requests: refused, answered wrongly, lost on the way back."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.support.kubernetes.api_server import ApiServer


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    :param carried_out: the API server has the request all the same; only its answer is spoilt.
    :param status: the answer's status; 0 cuts the connection.
    :param times: how many requests in a row it happens to.
    """

    status: int
    carried_out: bool = False
    times: int = 1
    retry_after: str = ""

    def __str__(self) -> str:
        return f"{self.status or 'cut'}{' after' if self.carried_out else ' instead'} x{self.times}"


class Proxy(ThreadingHTTPServer):
    """Forwards to ``server`` and spoils the requests from number ``at`` on."""

    daemon_threads = True

    def __init__(self, server: ApiServer, fault: Fault, at: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = server.client()
        self.fault, self.at, self.taken = fault, at, 0
        #: Whether there was a request to spoil.
        self.spoilt = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.upstream.close()

    def kube_config(self, server: ApiServer) -> dict[str, Any]:
        config = server.kube_config()
        # Without TLS there is nothing to verify, and each client would read the system's authorities for it.
        config["clusters"][0]["cluster"] = {
            "server": f"http://127.0.0.1:{self.server_address[1]}",
            "insecure-skip-tls-verify": True,
        }
        return config

    def next_fault(self) -> Fault | None:
        with self._lock:
            self.taken += 1
            hit = self.at <= self.taken < self.at + self.fault.times
            self.spoilt = self.spoilt or hit
            return self.fault if hit else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut on purpose is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def forward(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size) if size else None
        fault = self.server.next_fault()
        answer = None
        if fault is None or fault.carried_out:
            kept = {name: self.headers[name] for name in ("Content-Type", "Authorization", "Accept") if name in self.headers}
            answer = self.server.upstream.request(self.command, self.path, content=body, headers=kept)
        if fault is None:
            assert answer is not None
            self._answer(answer.status_code, answer.content)
        elif fault.status:
            text = f'{{"kind": "Status", "code": {fault.status}, "reason": "Injected", "message": "injected by the test"}}'
            self._answer(fault.status, text.encode(), fault.retry_after)
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = forward  # noqa: N815

    def _answer(self, status: int, body: bytes, retry_after: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""
