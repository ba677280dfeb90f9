"""The stand-in for the operator does what the recorded operator did."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.executions import wait_for
from tests.support.kubernetes import replay
from tests.support.kubernetes.api_server import ApiServer
from tests.support.kubernetes.kubelet import FakeKubelet
from tests.support.kubernetes.operator import OperatorSimulator
from tests.unit.support_kubernetes.test_api_server import application, path, watching

FOREGROUND = {"propagationPolicy": "Foreground"}
REPLAYABLE = [
    "success",
    "sql-error",
    "driver-oom-killed",
    "executor-oom-killed",
    "driver-exit-2",
    "retry-then-fail",
    "service-account-missing",
    "reserved-label",
    "image-missing",
    "unschedulable",
]


def submit(api: ApiServer, namespace: str, name: str = "app", *, execution_id: str = "e", **orders: Any) -> dict[str, Any]:
    """Create a job's ConfigMap and its application, as a backend does."""
    spec = {"execution_id": execution_id, "attempt": 1, "transformations": [{"name": "orders", "query": json.dumps(orders)}]}
    files = {"metadata": {"name": f"{name}-files"}, "data": {"job-spec.json": json.dumps(spec)}}
    api.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", files)
    body = application(name, volumes=[{"name": "files", "configMap": {"name": f"{name}-files"}}])
    made: dict[str, Any] = api.request("POST", path(namespace), body)
    owner = {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": name, "uid": made["metadata"]["uid"]}
    api.request("PATCH", f"/api/v1/namespaces/{namespace}/configmaps/{name}-files", {"metadata": {"ownerReferences": [owner]}})
    return made


def state(api: ApiServer, namespace: str, name: str = "app") -> str:
    found: str = api.request("GET", path(namespace, name)).get("status", {}).get("applicationState", {}).get("state", "")
    return found


def reaches(api: ApiServer, namespace: str, wanted: str, name: str = "app") -> dict[str, Any]:
    wait_for(lambda: state(api, namespace, name) == wanted, f"{name} to be {wanted}")
    found: dict[str, Any] = api.request("GET", path(namespace, name))
    return found


def pod(api: ApiServer, namespace: str, name: str = "app-driver") -> dict[str, Any] | None:
    answer = api.http.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    return answer.json() if answer.is_success else None


def left(api: ApiServer, namespace: str) -> list[str]:
    lists = [api.request("GET", f"/api/v1/namespaces/{namespace}/{plural}")["items"] for plural in ("pods", "configmaps")]
    return [each["metadata"]["name"] for items in lists for each in items]


def states_until(api: ApiServer, namespace: str, made: dict[str, Any], last: str) -> list[str]:
    """Return the states that an application goes through, each once, as a watch sees them."""
    seen = [""]
    with watching(api, namespace, made["metadata"]["resourceVersion"]) as events:
        for event in events:
            now = event["object"].get("status", {}).get("applicationState", {}).get("state", "")
            if now != seen[-1]:
                seen.append(now)
            if now == last:
                return seen
    return seen


@pytest.mark.parametrize(("orders", "trace"), [({}, "success"), ({"exit": 2}, "driver-exit-2")])
def test_the_states_are_the_recorded_ones(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator, orders: dict[str, Any], trace: str
) -> None:
    expected = replay.states(trace)
    made = submit(api_server, kube_namespace, **orders)
    assert states_until(api_server, kube_namespace, made, expected[-1]) == expected


def test_a_driver_that_succeeds_leaves_result_log_and_pod(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    submit(api_server, kube_namespace, lines=["one", "two"], executors=2)
    ended = reaches(api_server, kube_namespace, "COMPLETED")
    assert ended["status"]["driverInfo"]["podName"] == "app-driver"
    wait_for(lambda: (pod(api_server, kube_namespace) or {})["status"]["phase"] == "Succeeded")
    wait_for(lambda: len(left(api_server, kube_namespace)) == 2, "the executors to go")
    container = (pod(api_server, kube_namespace) or {})["status"]["containerStatuses"][0]
    result = container["state"]["terminated"]["message"]
    log = api_server.http.get(f"/api/v1/namespaces/{kube_namespace}/pods/app-driver/log").text
    assert log == f"one\ntwo\n{result}"
    assert json.loads(result.removeprefix("DCP_RESULT "))["status"] == "succeeded"
    assert [(start.name, start.execution_id, start.ended is not None) for start in operator_simulator.starts] == [
        ("app", "e", True)
    ]


def test_out_of_memory_and_an_application_without_a_job(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    submit(api_server, kube_namespace, exit=137, no_result=True)
    ended = reaches(api_server, kube_namespace, "FAILED")
    assert ended["status"]["applicationState"]["errorMessage"] == "driver container failed with ExitCode: 137, Reason: OOMKilled"
    made = api_server.request("POST", path(kube_namespace), application("plain"))
    assert states_until(api_server, kube_namespace, made, "COMPLETED") == replay.states("success")


def test_a_retry_of_the_operators_own(api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator) -> None:
    spec = {"transformations": [{"query": json.dumps({"exit": 2})}]}
    files = {"metadata": {"name": "app-files"}, "data": {"job-spec.json": json.dumps(spec)}}
    api_server.request("POST", f"/api/v1/namespaces/{kube_namespace}/configmaps", files)
    policy = {"type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 1}
    body = application(restartPolicy=policy, volumes=[{"name": "files", "configMap": {"name": "app-files"}}])
    made = api_server.request("POST", path(kube_namespace), body)
    assert states_until(api_server, kube_namespace, made, "FAILED") == replay.states("retry-then-fail")


def test_foreground_deletion_waits_for_the_pods(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    operator_simulator.terminate_slowly(0.5)
    submit(api_server, kube_namespace, hold=True, executors=1)
    reaches(api_server, kube_namespace, "RUNNING")
    api_server.request("DELETE", path(kube_namespace, "app"), FOREGROUND)
    dying = api_server.request("GET", path(kube_namespace, "app"))["metadata"]
    assert (dying["finalizers"], "deletionTimestamp" in dying) == (["foregroundDeletion"], True)
    wait_for(lambda: api_server.http.get(path(kube_namespace, "app")).status_code == 404, "the application to go")
    assert left(api_server, kube_namespace) == []
    assert [start.ended is not None for start in operator_simulator.starts] == [True]


def test_plain_deletion_leaves_the_pod_for_a_while(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    operator_simulator.terminate_slowly(0.5)
    submit(api_server, kube_namespace, hold=True)
    reaches(api_server, kube_namespace, "RUNNING")
    api_server.request("DELETE", path(kube_namespace, "app"))
    assert api_server.http.get(path(kube_namespace, "app")).status_code == 404
    assert pod(api_server, kube_namespace) is not None
    wait_for(lambda: left(api_server, kube_namespace) == [], "what it owned to go")


def test_a_deleted_driver_pod_fails_the_application(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    submit(api_server, kube_namespace, hold=True)
    reaches(api_server, kube_namespace, "RUNNING")
    api_server.request("DELETE", f"/api/v1/namespaces/{kube_namespace}/pods/app-driver")
    ended = reaches(api_server, kube_namespace, "FAILED")
    assert "ExitCode: 143" in ended["status"]["applicationState"]["errorMessage"]


def test_an_operator_that_is_down_does_nothing_and_then_goes_on(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    operator_simulator.pause()
    submit(api_server, kube_namespace, "down")
    submit(api_server, kube_namespace, "deleted")
    api_server.request("DELETE", path(kube_namespace, "deleted"), FOREGROUND)
    wait_for(lambda: api_server.http.get(path(kube_namespace, "deleted")).status_code == 404, "deletion without the operator")
    assert (state(api_server, kube_namespace, "down"), operator_simulator.starts) == ("", [])
    operator_simulator.resume()
    reaches(api_server, kube_namespace, "COMPLETED", "down")


def test_a_lost_status_makes_failed_while_the_driver_runs(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    operator_simulator.lose_status("app")
    submit(api_server, kube_namespace, hold=True)
    ended = reaches(api_server, kube_namespace, "FAILED")
    assert "driver pod already exist" in ended["status"]["applicationState"]["errorMessage"]
    wait_for(lambda: operator_simulator.starts)
    assert operator_simulator.starts[0].ended is None
    operator_simulator.release("app")
    wait_for(lambda: operator_simulator.starts[0].ended)


def test_drivers_of_one_execution_at_once_are_told(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    for name, execution_id in (("one", "same"), ("two", "same"), ("three", "other")):
        submit(api_server, kube_namespace, name, execution_id=execution_id, hold=True)
    for name in ("one", "two", "three"):
        reaches(api_server, kube_namespace, "RUNNING", name)
    assert [{one.name, other.name} for one, other in operator_simulator.overlaps()] == [{"one", "two"}]
    operator_simulator.release()
    for name in ("one", "two", "three"):
        reaches(api_server, kube_namespace, "COMPLETED", name)


def test_the_pod_quota_makes_the_submission_fail(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator
) -> None:
    api_server.quota(kube_namespace, {"pods": "0"})
    submit(api_server, kube_namespace)
    ended = reaches(api_server, kube_namespace, "FAILED")
    assert "exceeded quota" in ended["status"]["applicationState"]["errorMessage"]


def test_it_lives_through_an_outage_of_the_api_server(new_api_server: Callable[[], ApiServer]) -> None:
    api = new_api_server()
    kubelet = FakeKubelet(api)
    kubelet.start()
    simulator = OperatorSimulator(api, kubelet)
    simulator.start()
    namespace = api.namespace()
    submit(api, namespace, "before", hold=True)
    reaches(api, namespace, "RUNNING", "before")
    api.kill_server()
    simulator.release()
    wait_for(lambda: simulator.starts[0].ended, "the driver to end while nobody can be told")
    api.start_server()
    reaches(api, namespace, "COMPLETED", "before")
    submit(api, namespace, "after")
    reaches(api, namespace, "COMPLETED", "after")
    simulator.stop()
    kubelet.stop()
    assert [start.name for start in simulator.starts] == ["before", "after"]


@pytest.mark.parametrize("trace", REPLAYABLE)
def test_a_trace_is_replayed_with_its_states_pods_events_and_log(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator, trace: str
) -> None:
    expected = replay.states(trace)
    made = submit(api_server, kube_namespace, trace=trace)
    assert states_until(api_server, kube_namespace, made, expected[-1]) == expected
    events = sum(record["kind"] == "Event" for record in replay.read_trace(trace))
    items = f"/api/v1/namespaces/{kube_namespace}/events"
    wait_for(lambda: len(api_server.request("GET", items)["items"]) == events, "the events")
    logged = next((record["object"] for record in replay.renamed(trace, "app") if record["kind"] == "driver log tail"), None)
    if logged:
        log = api_server.http.get(f"/api/v1/namespaces/{kube_namespace}/pods/app-driver/log").text
        assert log.splitlines() == logged.splitlines()
    api_server.request("DELETE", path(kube_namespace, "app"), FOREGROUND)
    wait_for(lambda: left(api_server, kube_namespace) == [], "everything to be collected")


def test_a_log_is_followed_to_its_end_through_a_rotation(
    api_server: ApiServer, kube_namespace: str, operator_simulator: OperatorSimulator, fake_kubelet: FakeKubelet
) -> None:
    submit(api_server, kube_namespace, lines=["first"], hold=True)
    reaches(api_server, kube_namespace, "RUNNING")
    log = f"/api/v1/namespaces/{kube_namespace}/pods/app-driver/log"
    lines: list[str] = []

    def follow() -> None:
        with api_server.client() as http, http.stream("GET", log, params={"follow": "true"}) as answer:
            lines.extend(answer.iter_lines())

    follower = threading.Thread(target=follow)
    follower.start()
    stamped = api_server.http.get(log, params={"timestamps": "true", "tailLines": "1"}).text
    assert stamped.endswith("Z first\n")
    assert api_server.http.get(log, params={"limitBytes": "3"}).text == "fir"
    fake_kubelet.rotate(kube_namespace, "app-driver")
    fake_kubelet.log(kube_namespace, "app-driver").write("second")
    assert api_server.http.get(log).text == "second\n"
    operator_simulator.release()
    follower.join(30)
    assert lines[-2] == "second"
    assert lines[-1].startswith("DCP_RESULT ")
