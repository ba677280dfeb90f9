"""The embedded catalog in the cluster, and a way to it for Airflow on this machine: through the API server, by an HTTP proxy."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import yaml

from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess, client_options
from dev.e2e.dags import tables_of
from dev.e2e.options import Options

FILE = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "embedded-catalog.yaml"
PORT = 8181
MOUNT = "/warehouse"
#: The collection of each kind in the file.
COLLECTIONS = {"Deployment": "/apis/apps/v1/namespaces/{}/deployments", "Service": "/api/v1/namespaces/{}/services"}

_SECONDS = 30.0


def service_of(options: Options) -> str:
    """Return the name of the catalog's Service and Deployment."""
    return f"{options.name}-catalog"


def address_of(options: Options) -> str:
    """Return the catalog's address as pods call it."""
    return f"http://{service_of(options)}.{options.namespace}.svc:{PORT}"


def documents(options: Options) -> list[dict[str, Any]]:
    """Return the resources of ``deploy/kubernetes/embedded-catalog.yaml`` under this run's names, with its image and claim."""
    text = FILE.read_text().replace("embedded-catalog", service_of(options))
    found = list(yaml.safe_load_all(text))
    pod = found[0]["spec"]["template"]["spec"]
    pod["containers"][0] |= {"image": options.catalog_image, "imagePullPolicy": options.pull_policy}
    pod["volumes"][0]["persistentVolumeClaim"]["claimName"] = options.claim
    return found


def volumes(options: Options) -> dict[str, Any]:
    """Return the fields of a connection by which pods mount the warehouse."""
    return {
        "volumes": [{"name": "warehouse", "persistentVolumeClaim": {"claimName": options.claim}}],
        "volume_mounts": [{"name": "warehouse", "mountPath": MOUNT}],
    }


def drop_tables(options: Options, proxy: str = "") -> list[str]:
    """Drop the tables of this run from its catalog; returns what could not be dropped.

    :param proxy: the address of :func:`forwarded`, where the catalog is the embedded one in the cluster.
    """
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchTableError

    if proxy:
        os.environ |= {"HTTP_PROXY": proxy, "http_proxy": proxy, "NO_PROXY": "127.0.0.1,localhost"}
    left = []
    for table in tables_of(options):
        try:
            with load_catalog("e2e", type="rest", uri=options.catalog) as catalog:
                catalog.purge_table(table)
        except NoSuchTableError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever ails the catalog, the rest is cleaned all the same
            left.append(f"table {table}: {error}")
    return left


@contextmanager
def forwarded(options: Options) -> Iterator[str]:
    """Serve an HTTP proxy on this machine that knows the way to the catalog's Service, and give its address.

    With it in ``HTTP_PROXY``, programs of this machine call the catalog by the name that pods use.
    """
    access = ClusterAccess("e2e", kube_config_path=str(options.kubeconfig), context=options.context)
    with httpx2.Client(**client_options(access, httpx2.Timeout(_SECONDS))) as client:
        server = _Proxy(client, options)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, client: httpx2.Client, options: Options) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.client = client
        self.host = urlsplit(address_of(options)).netloc
        self.path = f"/api/v1/namespaces/{options.namespace}/services/{service_of(options)}:{PORT}/proxy"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Proxy

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if target.netloc != self.server.host:
            self._answer(403, b"this proxy leads to the catalog alone", "text/plain")
            return
        where = f"{self.server.path}{target.path}{f'?{target.query}' if target.query else ''}"
        headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
        try:
            answer = self.server.client.request(self.command, where, content=body, headers=headers)
        except httpx2.HTTPError as error:
            self._answer(502, f"the API server did not answer: {error}".encode(), "text/plain")
            return
        self._answer(answer.status_code, answer.content, answer.headers.get("content-type", ""))

    do_POST = do_HEAD = do_DELETE = do_PUT = do_GET  # noqa: N815 - the base class looks for these names

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any, **__: Any) -> None:
        """Keep the access log out of the run's output."""
