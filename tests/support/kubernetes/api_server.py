"""A real Kubernetes API server with its own etcd, on free ports of this machine and with RBAC on.

What no controller manager does here: namespaces have no ``default`` service account (so that admission is off), a quota's status has to
be written (see :meth:`ApiServer.quota`), and owned objects are collected by ``OperatorSimulator``.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
from dev.standalone import free_ports

from tests.support.kubernetes.certificates import Authority, signing_key

HERE = Path(__file__).resolve().parent
CRDS = {kind: HERE / "crds" / f"{kind}.crd.yaml" for kind in ("kubeflow-sparkapplications-v1beta2", "apache-sparkapplications-v1")}
KUBEFLOW, APACHE = CRDS
APPLICATIONS = "sparkoperator.k8s.io"
START_SECONDS = 90.0
HOME_PREFIX = "dcp-kubernetes-"
#: Collecting garbage as often as Go does by itself takes a quarter of an API server's time.
GO_MEMORY = {"GOGC": "400"}


class ApiServerError(RuntimeError):
    """A program ended or never became ready; carries the end of its log."""


class ApiServer:
    """One API server and its etcd, with the admin's token.

    It ends with the thread that started it.

    :param programs: the folder with ``kube-apiserver`` and ``etcd`` (``dev.kubernetes_assets.assets()``).
    :param crds: which custom resource definitions are there.
    """

    def __init__(self, programs: Path, crds: Sequence[str] = (KUBEFLOW,)) -> None:
        self._programs = programs
        self._crds = crds
        self.home = _new_home()
        self.port, self._etcd_port, self._peer_port = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        self.token = secrets.token_urlsafe(16)
        self.authority = Authority()
        self.ca_file = self.home / "ca.crt"
        self._etcd: subprocess.Popen[bytes] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._prepare()
        self.http = self.client()

    def _prepare(self) -> None:
        self.ca_file.write_bytes(self.authority.pem)
        self.authority.issue(self.home, "server")
        signing_key(self.home)
        (self.home / "users.csv").write_text(f'{self.token},admin,admin,"system:masters"\n')

    # The processes

    def start(self) -> None:
        """Start both programs and return when the server answers and knows the custom resources."""
        if self._etcd is None:
            self._etcd = self._spawn("etcd", self._etcd_arguments())
        self.start_server()
        for crd in self._crds:
            self.install(CRDS[crd])

    def start_server(self) -> None:
        """Start the API server alone, for example after :meth:`kill_server`, and wait until it is ready."""
        self._server = self._spawn("kube-apiserver", self._server_arguments())
        self._wait(lambda: self.http.get("/readyz", timeout=5).status_code == httpx.codes.OK, "the API server to be ready")

    def kill_server(self) -> None:
        """End the API server with SIGKILL, as a machine that goes down would; etcd keeps everything."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(timeout=30)
            self._server = None

    def restart_server(self) -> None:
        """Kill and start the API server: every watch breaks, and every resource version from before is too old to watch from."""
        self.kill_server()
        self.start_server()

    def pause(self) -> None:
        """Stop the API server's process: connections are accepted, nothing is answered."""
        if self._server is not None:
            self._server.send_signal(signal.SIGSTOP)
            # Its threads stop one after the other: a request just then might still be answered.
            os.waitid(os.P_PID, self._server.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a paused server go on."""
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End both programs and remove everything they wrote."""
        self.http.close()
        for process in (self._server, self._etcd):
            if process is not None:
                process.kill()
                process.wait(timeout=30)
        self._server = self._etcd = None
        shutil.rmtree(self.home, ignore_errors=True)

    # What a test needs of it

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        """Return an HTTP client that speaks as the holder of ``token`` (default: the admin)."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=self.url, verify=self.ssl_context(), headers=headers, trust_env=False, timeout=30, **options)

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS settings of a client that trusts this server alone."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def kube_config(self, token: str = "", namespace: str = "default") -> dict[str, Any]:
        """Return a kubeconfig for the holder of ``token`` (default: the admin)."""
        authority = base64.b64encode(self.authority.pem).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "tests", "user": {"token": token or self.token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": namespace}}],
        }

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Send one request as the admin and return the answer's JSON.

        :raises httpx.HTTPStatusError: for an error, with the server's message.
        """
        if method == "PATCH":
            options.setdefault("headers", {"Content-Type": "application/merge-patch+json"})
        try:
            answer = self.http.request(method, path, json=body, **options)
        except (httpx.RemoteProtocolError, httpx.ReadError):
            # The server closes a kept connection now and then, maybe while a request is on its way; so does another thread's pool.
            if method != "GET":
                raise
            answer = self.http.request(method, path, json=body, **options)
        if answer.is_error:
            said = f"{method} {path}: {answer.status_code} {answer.text}"
            raise httpx.HTTPStatusError(said, request=answer.request, response=answer)
        return answer.json()

    def namespace(self, name: str = "", labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace and return its name; without a name, one that no other test has."""
        name = name or f"team-{next(self._names)}-{secrets.token_hex(3)}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels or {})}})
        return name

    def service_account(self, namespace: str, name: str, rules: Sequence[Mapping[str, Any]] = ()) -> str:
        """Make a service account with a Role of these rules in its namespace, and return a token for it."""
        self.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        if rules:
            self.grant(namespace, f"system:serviceaccount:{namespace}:{name}", rules, name=name)
        answer = self.request(
            "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", {"spec": {"expirationSeconds": 3600}}
        )
        token: str = answer["status"]["token"]
        return token

    def grant(self, namespace: str, user: str, rules: Sequence[Mapping[str, Any]], name: str = "") -> None:
        """Let ``user`` do in ``namespace`` what ``rules`` say."""
        name = name or f"grant-{next(self._names)}"
        api = "rbac.authorization.k8s.io"
        base = f"/apis/{api}/v1/namespaces/{namespace}"
        self.request("POST", f"{base}/roles", {"metadata": {"name": name}, "rules": list(rules)})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
        }
        self.request("POST", f"{base}/rolebindings", binding)

    def quota(self, namespace: str, hard: Mapping[str, str], *, known: bool = True) -> None:
        """Limit a namespace, for example ``{"count/sparkapplications.sparkoperator.k8s.io": "1"}``.

        :param known: whether the quota controller has counted what is used; before, the server refuses with ``status unknown``.
        """
        name = f"quota-{next(self._names)}"
        path = f"/api/v1/namespaces/{namespace}/resourcequotas"
        # Admission learns of a quota a little later. It has when it refuses a lease, of which no more than none are allowed.
        limits = {**hard, "count/leases.coordination.k8s.io": "0"}
        self.request("POST", path, {"metadata": {"name": name}, "spec": {"hard": limits}})
        status = {"hard": limits, "used": dict.fromkeys(limits, "0")} if known else {"hard": limits}
        self.request("PATCH", f"{path}/{name}/status", {"status": status})
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        refusal = "exceeded quota" if known else "status unknown for quota"
        self._wait(
            lambda: refusal in self.http.post(leases, json={"metadata": {"generateName": "probe-"}}).text,
            f"the {name} to be in force",
        )

    def install(self, crd: Path) -> None:
        """Create a custom resource definition and wait until its resources can be listed."""
        answer = self.http.post(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            content=crd.read_bytes(),
            headers={"Content-Type": "application/yaml"},
        )
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()
        spec = answer.json().get("spec")
        if spec:
            version, plural = f"/apis/{spec['group']}/{spec['versions'][-1]['name']}", spec["names"]["plural"]
            # It can be listed before it is among what the server says that it has.
            self._wait(lambda: self.http.get(f"{version}/{plural}").is_success, f"{plural} to be served")
            self._wait(lambda: f'"{plural}"' in self.http.get(version).text, f"{plural} to be among {version}")

    # How the programs are started

    def _etcd_arguments(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        return [
            f"--data-dir={self.home / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
        ]

    def _server_arguments(self) -> list[str]:
        home = self.home
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={home / 'server.crt'}",
            f"--tls-private-key-file={home / 'server.key'}",
            f"--token-auth-file={home / 'users.csv'}",
            "--anonymous-auth=false",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={home / 'tokens.key'}",
            f"--service-account-key-file={home / 'tokens.pub'}",
            # ResourceQuota and NamespaceLifecycle are on by default. ServiceAccount would refuse every pod: nobody makes `default`.
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            # The fake kubelet and its Node, see kubelet.py; without an authority for kubelets their certificate is not verified.
            "--kubelet-preferred-address-types=InternalIP",
            # Fairness would make many cheap test clients of one user wait for each other.
            "--enable-priority-and-fairness=false",
        ]

    def _spawn(self, program: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        # Tests that are killed leave no server behind, where the system can see to it.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (self.home / f"{program}.log").open("ab") as log:
            return subprocess.Popen(
                [*guard, str(self._programs / program), *arguments],
                cwd=self.home,
                env={**os.environ, **GO_MEMORY},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                if condition():
                    return
            for program, process in (("etcd", self._etcd), ("kube-apiserver", self._server)):
                if process is None or process.poll() is not None:
                    raise ApiServerError(f"{program} is not running:\n{self._log(program)}")
            if time.monotonic() > end:
                raise ApiServerError(f"waited {START_SECONDS:.0f} s for {what}:\n{self._log('kube-apiserver')}")
            time.sleep(0.05)

    def _log(self, program: str) -> str:
        file = self.home / f"{program}.log"
        return file.read_text(errors="replace")[-4000:] if file.exists() else ""


def _new_home() -> Path:
    """Make a folder for one server, and remove those of processes that were killed."""
    # etcd waits for the disk at every write; in memory it does not.
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for former in place.glob(f"{HOME_PREFIX}*"):
        pid = former.name.removeprefix(HOME_PREFIX).split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(former, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{HOME_PREFIX}{os.getpid()}-", dir=place))
