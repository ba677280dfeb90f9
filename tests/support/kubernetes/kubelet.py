"""A Node whose kubelet serves container logs: a GET of ``pods/log`` goes through the real API server to it.

It runs nothing. What containers write comes from the operator's simulator, through :meth:`FakeKubelet.log`.
"""

from __future__ import annotations

import http.server
import secrets
import ssl
import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.logs import ContainerLog, LogOptions

DRIVER_CONTAINER = "spark-kubernetes-driver"
EXECUTOR_CONTAINER = "spark-kubernetes-executor"


class FakeKubelet:
    """Serves HTTPS on a free port of 127.0.0.1 and is registered as the Node :attr:`node`."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self.node = f"node-{secrets.token_hex(3)}"
        self._logs: dict[tuple[str, str, str], ContainerLog] = {}
        self._stopped = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.kubelet = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*api.authority.issue(api.home, self.node))
        # The handshake is left to each connection's thread: one client that stays silent does not hold up the others.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="kubelet", daemon=True).start()
        self.register(self._api)

    def register(self, api: ApiServer) -> None:
        """Make the Node on ``api``: pods with its ``nodeName`` have their logs here."""
        api.request("POST", "/api/v1/nodes", {"metadata": {"name": self.node}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_address[1]}},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        }
        api.request("PATCH", f"/api/v1/nodes/{self.node}/status", {"status": status})

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def log(self, namespace: str, pod: str, container: str = DRIVER_CONTAINER) -> ContainerLog:
        """Return the container's log; the first call says that the container has started."""
        return self._logs.setdefault((namespace, pod, container), ContainerLog())

    def rotate(self, namespace: str, pod: str, container: str = DRIVER_CONTAINER) -> None:
        """Rotate a container's log: what it had written can be read no more."""
        self._logs[namespace, pod, container].rotate()

    def forget(self, namespace: str, pod: str) -> None:
        """Remove the logs of a pod that is gone, or whose container starts anew."""
        for key in [key for key in self._logs if key[:2] == (namespace, pod)]:
            self._logs.pop(key).end()

    def _find(self, namespace: str, pod: str, container: str) -> ContainerLog | None:
        return self._logs.get((namespace, pod, container))


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    kubelet: FakeKubelet

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away while a log is followed is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        match asked.path.strip("/").split("/"):
            case ["containerLogs", namespace, pod, container]:
                log = self.server.kubelet._find(namespace, pod, container)
                if log is None:
                    self._answer(400, f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating')
                else:
                    self._stream(log, LogOptions.read(dict(parse_qsl(asked.query))))
            case _:
                self._answer(404, "404 page not found")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, log: ContainerLog, options: LogOptions) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in log.read(options, self.server.kubelet._stopped):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any, **kwargs: Any) -> None:
        """A test's output is not the place for an access log."""
