"""What waiting costs on a cluster, beside SparkKubernetesOperator's trigger on the same real API server, in one run.

python -m benchmarks.waiting [--write] [--waiting 100 1000 10000] [--theirs 100 500]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._side_by_side import machine, table, write_section
from benchmarks._waiting_cluster import BenchCluster
from dev.kubernetes_assets import assets
from tests.support.kubernetes.api_server import ApiServer

RATE = 150
SECONDS = 30
NAMES = {
    "none": "a trigger that waits for nothing",
    "ours": "SparkExecutionTrigger",
    "theirs": "SparkKubernetesOperator's KubernetesPodTrigger",
}


@dataclass(frozen=True)
class Figures:
    """What one kind of trigger cost.

    :param rate: status changes a second.
    :param starting: API requests until everything waited.
    :param requests: API requests a minute while it waited.
    :param cpu: seconds of CPU a minute.
    :param kib: memory of one trigger.
    :param lag: of the event loop, 99th percentile in seconds.
    :param late: from the answer to the change that ends an execution to the trigger's event, 99th percentile in seconds.
    :param bare: the same to a bare watch's seeing it.
    :param changing: how long the server took to answer such a change, 99th percentile in seconds.
    :param ended: how many executions ended.
    :param told: how many of these the triggers told.
    """

    kind: str
    waiting: int
    rate: float
    starting: int
    requests: float
    cpu: float
    kib: float
    lag: float
    late: float
    bare: float
    changing: float
    ended: int
    told: int


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    arguments.add_argument("--waiting", type=int, nargs="+", default=[100, 1000, 10000])
    arguments.add_argument("--theirs", type=int, nargs="*", default=[100, 500], help="how many of theirs; at 500 they saturate")
    arguments.add_argument("--seconds", type=int, default=SECONDS)
    arguments.add_argument("--store", action="store_true", help="write new states to etcd: for machines too busy for the rate")
    given = arguments.parse_args()
    server = ApiServer(assets())
    figures: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder, closing(_Stopped(server)):
        server.start()
        cluster = BenchCluster(server, store=given.store)
        environment = _environment(server, Path(folder))
        for count in given.waiting:
            namespace = server.namespace()
            names = cluster.fill(namespace, count, pods=False)
            figures.extend(measure(cluster, environment, kind, namespace, names, given.seconds) for kind in ("none", "ours"))
        for count in given.theirs:
            namespace = server.namespace()
            names = cluster.fill(namespace, count, pods=True)
            figures.append(measure(cluster, environment, "theirs", namespace, names, given.seconds))
    text = report(figures, given.seconds)
    print(text)
    if given.write:
        write_section("waiting", text)


class _Stopped:
    """Stops the server when it is closed."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def close(self) -> None:
        self._server.stop()


def measure(  # noqa: PLR0917 - the whole case
    cluster: BenchCluster, environment: dict[str, str], kind: str, namespace: str, names: list[str], seconds: int
) -> Figures:
    """Let that many wait, change states for a while, and return what it cost."""
    print(f"{len(names)} x {NAMES[kind]} ...", file=sys.stderr)
    resources = {"sparkapplications", "pods"} if kind == "theirs" else {"sparkapplications"}
    before = cluster.requests(resources)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks._waiting_triggers"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    try:
        _tell(process, json.dumps({"kind": kind, "namespace": namespace, "names": names}))
        ready = _heard(process)
        started = cluster.requests(resources)
        watches = cluster.open_watches(resources)
        began = time.monotonic()
        _tell(process, "measure")
        # While nothing is waited for, no state is an end: the same executions are waited for after that.
        changed = asyncio.run(
            cluster.changes(
                namespace,
                names,
                RATE,
                seconds,
                pods=kind == "theirs",
                ends=kind != "none",
                done=lambda: _tell(process, "stop"),
            )
        )
        time.sleep(1.0)
        _tell(process, "report")
        result = _heard(process)
        minutes = (time.monotonic() - began) / 60
        # The bare watch and the look before it are two of them.
        asked = max(0, cluster.requests(resources) - started - 2)
    finally:
        process.kill()
        process.wait()
    fired: dict[str, float] = result["fired"]
    return Figures(
        kind=kind,
        waiting=len(names),
        rate=changed.rate,
        starting=started - before + watches,
        requests=asked / minutes,
        cpu=result["cpu"],
        kib=ready["kib"],
        lag=result["lag"],
        late=_p99([max(0.0, fired[name] - at) for name, at in changed.answered.items() if name in fired]),
        bare=_p99([max(0.0, changed.seen[name] - at) for name, at in changed.answered.items() if name in changed.seen]),
        changing=_p99([changed.answered[name] - at for name, at in changed.sent.items()]),
        ended=len(changed.sent),
        told=len(changed.sent.keys() & fired.keys()),
    )


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def _heard(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise SystemExit(f"the triggers' process ended with {process.wait()}")


def _environment(server: ApiServer, folder: Path) -> dict[str, str]:
    """Return the environment of the triggers' process: an Airflow of its own, with connections to the cluster."""
    config = folder / "kubeconfig"
    config.write_text(json.dumps(server.kube_config()))
    dcp = {"backend": "kubeflow", "clusters": [{"name": "bench", "connection": "k8s_bench"}]}
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "KUBE", "DCP"))},
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW_CONN_DCP_TEST": json.dumps({"conn_type": "dcp", "extra": dcp}),
        "AIRFLOW_CONN_K8S_BENCH": json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}}),
    }


def report(figures: list[Figures], seconds: int) -> str:
    """Return the section of the document."""
    idle = {one.waiting: one.kib for one in figures if one.kind == "none"}
    rows = [
        (
            NAMES[one.kind],
            f"{one.waiting:,}",
            f"{one.rate:.0f}",
            f"{one.starting:,}",
            f"{one.requests:,.0f} ({one.requests / one.waiting:.1f} each)",
            f"{one.cpu:.1f}",
            f"{one.kib:.1f}" if one.kind == "none" else f"+{max(0.0, one.kib - idle.get(one.waiting, 0.0)):.1f}",
            f"{one.lag * 1000:.0f}",
            f"{one.late * 1000:.0f}" if one.told else "",
            f"{one.bare * 1000:.0f}" if one.told else "",
            f"{one.changing * 1000:.0f}" if one.told else "",
            f"{one.told:,} of {one.ended:,}" if one.ended else "",
        )
        for one in figures
    ]
    header = (
        "trigger",
        "waiting",
        "changes a second",
        "API requests to begin",
        "API requests a minute",
        "CPU s a minute",
        "KiB each",
        "loop lag p99 ms",
        "change to event p99 ms",
        "change to a bare watch p99 ms",
        "the change itself p99 ms",
        "ends told",
    )
    return (
        f"## Waiting\n\n{machine()}\n\n"
        f"A real API server on the same machine, up to {RATE} status changes a second for {seconds} s, one in four an end (fewer "
        "where few wait), of pods for theirs and of applications for ours. All triggers of a row are in one event loop. A change "
        "is timed from when it is made to the trigger's event, and to a bare watch that does nothing else: that is what the API "
        "server and the machine's other work cost. The first kind shows what Airflow's trigger objects and this measuring cost by "
        "themselves; KiB of the others are beyond it. Logs are not followed. Theirs saturates its event loop at 500 and is not "
        "measured beyond.\n\n" + table(header, rows)
    )


if __name__ == "__main__":
    main()
