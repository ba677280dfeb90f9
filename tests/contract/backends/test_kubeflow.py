"""What the Kubeflow backend promises beyond the common contract, on a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment, SecretKey
from airflow_dcp_provider.model.errors import DcpEnvironmentError, ExecutionError
from airflow_dcp_provider.model.execution import START_TIMEOUT, Actor, AttemptRequest, FailureKind
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.model.job import DriverResources, ExecutorResources, ResourceSpec
from airflow_dcp_provider.model.states import ExecutionState as State
from airflow_dcp_provider.runner.backends.kubernetes import tombstones
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import WAITED_BY
from airflow_dcp_provider.runner.backends.kubernetes.placing import ClusterQuestions
from tests.contract.backends.conftest import KubeflowRig
from tests.contract.backends.test_backend import ended, running
from tests.support.executions import cancellation, job, wait_for, waiter


@pytest.fixture
def rig(api_server, operator_simulator, kube_namespace) -> Iterator[KubeflowRig]:
    made = KubeflowRig(api_server, operator_simulator, kube_namespace)
    yield made
    made.close()


@pytest.fixture
def backend(rig: KubeflowRig) -> Any:
    return rig.backend()


def applications(rig: KubeflowRig) -> str:
    return f"/apis/sparkoperator.k8s.io/v1beta2/namespaces/{rig.namespace}/sparkapplications"


def config_maps(rig: KubeflowRig) -> str:
    return f"/api/v1/namespaces/{rig.namespace}/configmaps"


def pods(rig: KubeflowRig) -> str:
    return f"/api/v1/namespaces/{rig.namespace}/pods"


def names(rig: KubeflowRig) -> list[str]:
    """The ConfigMaps of the namespace; the server makes none of its own here."""
    return sorted(each["metadata"]["name"] for each in rig.server.request("GET", config_maps(rig))["items"])


class Interrupted(KubernetesApi):
    """Lets something happen just before its request number ``at``."""

    def __init__(self, rig: KubeflowRig, at: int, what: Callable[[], Any]) -> None:
        super().__init__(ClusterAccess("tests", kube_config=json.dumps(rig.server.kube_config())))
        self._at, self._what, self.requests = at, what, 0

    @property
    def interrupted(self) -> bool:
        return self.requests >= self._at

    def _once(self, *arguments: Any) -> Any:
        self.requests += 1
        if self.requests == self._at:
            self._what()
        return super()._once(*arguments)


def speaking_as(rig: KubeflowRig, token: str) -> KubeflowBackend:
    api = KubernetesApi(ClusterAccess("tests", kube_config=json.dumps(rig.server.kube_config(token))), patience=1.0)
    rig._apis.append(api)
    return KubeflowBackend(Environment("local", "kubeflow", images=Images(rules={"default": "spark:3.5.5"})), lambda _: api)


class TestResource:
    def test_the_server_takes_every_field_with_strict_validation(self, rig, backend):
        whole = Environment(
            "prod",
            "kubeflow",
            images=Images(rules={"3.5": "registry.example.com/spark:3.5.5"}),
            service_account="spark",
            node_selector={"pool": "spark"},
            tolerations=({"key": "spark", "operator": "Equal", "value": "yes", "effect": "NoSchedule", "tolerationSeconds": 5},),
            priority_class="batch",
            batch_scheduler="volcano",
            volumes=({"name": "lake", "persistentVolumeClaim": {"claimName": "lake"}},),
            volume_mounts=({"name": "lake", "mountPath": "/lake", "readOnly": True},),
            opentelemetry_agent="/opt/spark/jars/opentelemetry-javaagent.jar",
            fluent_bit="fluent/fluent-bit:3",
            ttl_seconds=3600,
            event_log_dir="s3a://logs",
            labels={"cost": "42"},
            catalog_secrets={"pedregal": {"credential": SecretKey("iceberg", "oauth")}},
        )
        catalogs = {"pedregal": {"type": "rest", "uri": "https://catalog.example", "credential": "me:hush"}}
        api = backend._api_for("tests")
        size = ResourceSpec(DriverResources(4, "16g"), ExecutorResources(8, "32g", 5, 1, 20))
        for spec in (job(), replace(job(), resources=size)):
            asked = rig.request(spec=spec)
            rendered = KubeflowBackend(whole, lambda _: api, lambda: catalogs)
            kept = rendered.dry_run(asked)
            # Nothing was pruned, and nothing was made.
            assert kept["spec"] == rendered.render(asked)["spec"]
        assert rig.server.request("GET", applications(rig))["items"] == []
        assert "hush" not in json.dumps(kept)

    def test_what_the_server_refuses_leaves_nothing_behind(self, rig, backend):
        asked = rig.request(spec=replace(job(), resources=ResourceSpec(DriverResources(0, "1g"))))
        for act in (backend.dry_run, backend.create):
            with pytest.raises(DcpEnvironmentError, match=r"spec\.driver\.cores") as caught:
                act(asked)
            assert caught.value.code == "DCP466"
        assert names(rig) == []
        assert backend.latest(asked.ref) is None

    def test_names_that_are_no_names_reach_no_path(self, rig, backend):
        asked = rig.request()
        for wrong in ("kube-system/pods", "../x", "UPPER", ""):
            with pytest.raises(DcpEnvironmentError) as caught:
                backend.create(replace(asked, ref=replace(asked.ref, namespace=wrong)))
            assert caught.value.code == "DCP466"

    @pytest.mark.parametrize("kept", ["no json", "{}", "[]", '{"ref": {}}'])
    def test_a_record_that_somebody_changed_is_said_to_be_so(self, rig, backend, kept):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        for annotation in ("verdict", "request"):
            change = {"metadata": {"annotations": {f"spark-runner/{annotation}": kept}}}
            rig.server.request("PATCH", f"{applications(rig)}/{asked.ref.name}", change)
            with pytest.raises(DcpEnvironmentError, match="does not hold what") as caught:
                backend.latest(asked.ref)
            assert caught.value.code == "DCP467"

    def test_an_application_of_somebody_else_is_left_alone(self, rig, backend):
        asked = rig.request()
        theirs = backend.render(asked)
        del theirs["metadata"]["annotations"], theirs["metadata"]["labels"]
        rig.server.request("POST", applications(rig), theirs)
        with pytest.raises(ExecutionError) as caught:
            backend.create(asked)
        assert caught.value.code == "DCP310"
        assert backend.get(asked.ref) is None
        assert backend.cancel(asked.ref, cancellation()) is None
        assert rig.server.request("GET", f"{applications(rig)}/{asked.ref.name}")["metadata"].get("deletionTimestamp") is None


class TestRefusals:
    RULES = (
        {"apiGroups": ["sparkoperator.k8s.io"], "resources": ["sparkapplications"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "delete"]},
    )

    def test_a_right_that_is_missing(self, rig):
        token = rig.server.service_account(rig.namespace, "airflow", self.RULES)
        with pytest.raises(DcpEnvironmentError, match="cannot create resource") as caught:
            speaking_as(rig, token).create(rig.request())
        assert caught.value.code == "DCP462"
        assert names(rig) == []

    @pytest.mark.parametrize(("known", "code"), [(True, "DCP463"), (False, "DCP464")])
    def test_a_quota(self, rig, backend, known, code):
        rig.server.quota(rig.namespace, {"count/sparkapplications.sparkoperator.k8s.io": "0"}, known=known)
        with pytest.raises(DcpEnvironmentError) as caught:
            backend.create(rig.request())
        assert caught.value.code == code
        assert names(rig) == []

    def test_a_quota_does_not_hide_what_is_there(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        rig.server.quota(rig.namespace, {"count/sparkapplications.sparkoperator.k8s.io": "0"})
        assert rig.backend().create(asked).request == asked

    def test_a_namespace_that_is_not_there(self, rig, backend):
        asked = rig.request()
        with pytest.raises(DcpEnvironmentError, match="no-such-team") as caught:
            backend.create(replace(asked, ref=replace(asked.ref, namespace="no-such-team")))
        assert caught.value.code == "DCP468"

    def test_a_token_that_nobody_knows(self, rig):
        with pytest.raises(DcpEnvironmentError) as caught:
            speaking_as(rig, "made-up").create(rig.request())
        assert caught.value.code == "DCP461"

    def test_a_cluster_that_was_closed_to_the_execution(self, rig, backend):
        """A later try has placed it elsewhere; this one was thought dead and comes late."""
        asked = rig.request()
        cluster = Cluster("tests", "k8s_tests")
        assert ClusterQuestions(lambda _: backend._api_for("tests"), asked.ref).fence(cluster, rig.namespace)
        with pytest.raises(DcpEnvironmentError) as caught:
            backend.create(asked)
        assert caught.value.code == "DCP484"
        assert rig.server.request("GET", applications(rig))["items"] == []


class TestEnds:
    def test_what_was_told_once_is_told_when_pod_and_log_are_gone(self, rig, backend):
        good, bad = rig.request("good"), rig.request("bad", spec=job(exit=20))
        for asked in (good, bad):
            backend.create(asked)
        told = [ended(backend, asked.ref) for asked in (good, bad)]
        assert (told[0].state, told[1].state) == (State.SUCCEEDED, State.FAILED)
        for asked in (good, bad):
            rig.server.request("DELETE", f"{pods(rig)}/{asked.ref.name}-driver")
        wait_for(lambda: not rig.server.request("GET", pods(rig))["items"], "the pods to go")
        assert [rig.backend().get(asked.ref) for asked in (good, bad)] == told

    def test_a_result_that_is_in_the_log_alone_is_not_the_drivers(self, backend, rig):
        """A job's author decides what its log shows."""
        asked = rig.request(spec=job(no_termination_log=True))
        backend.create(asked)
        done = ended(backend, asked.ref)
        assert (done.state, done.result, done.failure.code) == (State.FAILED, None, "DCP343")

    def test_a_result_that_is_too_long_for_its_message_is_found_in_the_log(self, backend, rig):
        forged = 'DCP_RESULT {"status": "succeeded", "sinks": [{"name": "forged"}]}'
        asked = rig.request(spec=job(sinks=200, lines=[forged]))
        backend.create(asked)
        assert [sink["name"] for sink in ended(backend, asked.ref).result["sinks"]] == [f"sink_{number}" for number in range(200)]

    def test_a_good_end_whose_pod_is_gone_already_is_a_good_end_without_a_result(self, rig, backend):
        """Only the tables can prove it then, and publishing insists on that."""
        asked = rig.request()
        backend.create(asked)
        wait_for(lambda: self.operator_says(rig, asked) == "COMPLETED", "the end")
        rig.server.request("DELETE", f"{pods(rig)}/{asked.ref.name}-driver")
        wait_for(lambda: not rig.server.request("GET", pods(rig))["items"], "the pod to go")
        done = backend.get(asked.ref)
        assert (done.state, done.result) == (State.SUCCEEDED, None)

    def test_a_second_submission_does_not_end_the_first_driver(self, rig, backend):
        rig.simulator.lose_status()
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        wait_for(lambda: self.operator_says(rig, asked) == "FAILED", "the operator's second submission to fail")
        wait_for(lambda: len(rig.starts()) == 1, "the driver")
        seen = backend.get(asked.ref)
        assert (seen.state, backend.is_gone(asked.ref)) == (State.RUNNING, False)
        rig.release()
        assert ended(backend, asked.ref).state is State.SUCCEEDED
        assert backend.is_gone(asked.ref)

    def test_an_application_that_somebody_deletes_has_vanished(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        running(backend, asked.ref)
        rig.server.request("DELETE", f"{applications(rig)}/{asked.ref.name}", {"propagationPolicy": "Background"})
        assert backend.get(asked.ref) is None
        assert backend.latest(asked.ref) is None
        # Its driver lives a little longer, and nothing new may start until it has ended.
        (start,) = [start for start in rig.simulator.starts if start.namespace == rig.namespace]
        wait_for(lambda: backend.is_gone(asked.ref), "the driver's end")
        assert start.ended is not None

    @staticmethod
    def operator_says(rig: KubeflowRig, asked: AttemptRequest) -> str:
        found = rig.server.request("GET", f"{applications(rig)}/{asked.ref.name}")
        return str((found.get("status") or {}).get("applicationState", {}).get("state", ""))


class TestClaims:
    """The operator submits twice, and fails what it submitted, when anybody writes to an application that it has not submitted yet."""

    def test_nothing_is_written_to_an_application_before_its_driver_is_submitted(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        rig.simulator.pause()
        backend.create(asked)
        before = rig.server.request("GET", f"{applications(rig)}/{asked.ref.name}")["metadata"]["resourceVersion"]
        assert backend.claim(asked.ref, 2).waited_by == 2
        backend.create(asked)
        backend.latest(asked.ref)
        assert rig.server.request("GET", f"{applications(rig)}/{asked.ref.name}")["metadata"]["resourceVersion"] == before

    def test_a_claim_while_the_operator_submits_makes_no_second_submission(self, rig, backend):
        asked = [rig.request(f"claimed {number}", spec=job(hold=True)) for number in range(5)]
        for each in asked:
            backend.create(each)
            backend.claim(each.ref, 1)
        for each in asked:
            wait_for(lambda each=each: TestEnds.operator_says(rig, each) not in {"", "SUBMITTED"}, "the driver")
        assert [TestEnds.operator_says(rig, each) for each in asked] == ["RUNNING"] * 5

    def test_a_claim_at_any_moment_of_a_cancellation_is_kept(self, rig, backend):
        for number in range(1, 20):
            asked = rig.request(f"raced {number}", spec=job(hold=True))
            backend.create(asked)
            with Interrupted(rig, number, lambda asked=asked: rig.backend().claim(asked.ref, 2)) as api:
                KubeflowBackend(Environment("local", "kubeflow"), lambda _, api=api: api).cancel(asked.ref, cancellation())
            done = ended(backend, asked.ref)
            assert (done.state, done.waited_by) == (State.CANCELLED, 2 if api.interrupted else None)
            if not api.interrupted:
                assert number > 4
                return
        raise AssertionError("a cancellation has more requests than were tried")


class TestCancellations:
    def test_a_driver_that_does_not_start_has_failed_once_it_is_gone(self, rig, backend):
        rig.simulator.pause()
        asked = rig.request(spec=job(), submitted_at=1000.0)
        backend.create(asked)
        backend.claim(asked.ref, 3)
        wish = replace(cancellation(waiter(1), START_TIMEOUT), at=1600.0)
        backend.cancel(asked.ref, wish)
        done = ended(backend, asked.ref)
        assert (done.state, done.cancellation, done.waited_by) == (State.FAILED, wish, 3)
        assert (done.failure.kind, done.failure.code) == (FailureKind.PLATFORM, "DCP385")
        assert "did not start within 600 s" in done.failure.message
        assert rig.starts() == []

    def test_a_cancellation_that_came_too_late_is_taken_back(self, rig, backend):
        """The process that cancelled died between writing its wish down and deleting; meanwhile the driver ended well."""
        asked = rig.request()
        before = backend.create(asked)
        wait_for(lambda: TestEnds.operator_says(rig, asked) == "COMPLETED", "the end")
        rig.server.request("POST", config_maps(rig), tombstones.tombstone(before, cancellation(), None))
        done = backend.get(asked.ref)
        assert (done.state, done.cancellation) == (State.SUCCEEDED, None)
        assert names(rig) == [f"{asked.ref.name}-files"]

    def test_an_attempt_that_was_cancelled_never_comes_back(self, rig, backend):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        backend.cancel(asked.ref, cancellation())
        done = ended(backend, asked.ref)
        assert rig.backend().create(asked) == done
        assert rig.backend().latest(asked.ref) == done
        assert rig.server.request("GET", applications(rig))["items"] == []
        with pytest.raises(ExecutionError) as caught:
            backend.create(replace(asked, idempotency_key="somebody else's"))
        assert caught.value.code == "DCP310"

    def test_it_can_be_claimed_all_the_same(self, backend, rig):
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        backend.cancel(asked.ref, cancellation())
        ended(backend, asked.ref)
        assert backend.claim(asked.ref, 2).waited_by == 2
        assert rig.backend().claim(asked.ref, 4).waited_by == 2
        with pytest.raises(DcpEnvironmentError) as caught:
            backend.claim(rig.request("never made").ref, 1)
        assert caught.value.code == "DCP467"

    def test_a_claim_on_what_is_being_deleted_is_not_lost_with_it(self, backend, rig):
        """Somebody cancels before the first round has claimed the attempt; a clear must see that it belongs to that round."""
        asked = rig.request(spec=job(hold=True))
        backend.create(asked)
        path = f"{applications(rig)}/{asked.ref.name}"
        rig.server.request("PATCH", path, {"metadata": {"finalizers": ["tests/holds-it"]}})
        wish = cancellation(Actor(user="ana"))
        backend.cancel(asked.ref, wish)
        claimed = backend.claim(asked.ref, 2)
        assert (claimed.waited_by, claimed.cancellation, claimed.state.is_terminal) == (2, wish, False)
        assert rig.backend().claim(asked.ref, 4).waited_by == 2
        assert backend.get(asked.ref).waited_by == backend.latest(asked.ref).waited_by == 2
        rig.server.request("PATCH", path, {"metadata": {"finalizers": None}})
        done = ended(backend, asked.ref)
        assert (done.waited_by, done.cancellation) == (2, wish)

    @pytest.mark.parametrize("finish", ["get", "cancel"])
    def test_a_claim_between_the_two_steps_of_a_cancellation_is_not_lost(self, backend, rig, finish):
        """The tombstone is made of an attempt that nobody has claimed, and the application deleted after somebody has."""
        asked = rig.request(spec=job(hold=True))
        before = backend.create(asked)
        claimed = {"metadata": {"annotations": {WAITED_BY: "2"}}}
        rig.server.request("PATCH", f"{config_maps(rig)}/{asked.ref.name}-files", claimed)
        rig.server.request("POST", config_maps(rig), tombstones.tombstone(before, cancellation(), None))
        assert (backend.get(asked.ref) if finish == "get" else backend.cancel(asked.ref, cancellation())).waited_by == 2
        done = ended(backend, asked.ref)
        assert (done.state, done.waited_by) == (State.CANCELLED, 2)


class TestFiles:
    def test_they_go_with_the_application(self, rig, backend):
        asked = rig.request()
        backend.create(asked)
        ended(backend, asked.ref)
        assert names(rig) == [f"{asked.ref.name}-files"]
        rig.server.request("DELETE", f"{applications(rig)}/{asked.ref.name}")
        wait_for(lambda: names(rig) == [], "the files to go")

    def test_a_driver_whose_files_were_removed_gets_them_again(self, rig, backend):
        rig.simulator.pause()
        asked = rig.request()
        backend.create(asked)
        rig.server.request("DELETE", f"{config_maps(rig)}/{asked.ref.name}-files")
        backend.create(replace(asked, fingerprint="0" * 64))
        rig.simulator.resume()
        done = ended(backend, asked.ref)
        assert (done.state, done.request) == (State.SUCCEEDED, asked)


def test_a_log_is_read_on_after_a_rotation(rig, backend, fake_kubelet):
    asked = rig.request(spec=job(hold=True, lines=["first", "second"]))
    backend.create(asked)
    text, offset = wait_for(lambda: (now := backend.read_log(asked.ref))[0].count("\n") == 2 and now, "two lines")
    assert text == "first\nsecond\n"
    fake_kubelet.rotate(rig.namespace, f"{asked.ref.name}-driver")
    assert backend.read_log(asked.ref, offset) == ("", offset)
    rig.release()
    ended(backend, asked.ref)
    rest, end = backend.read_log(asked.ref, offset)
    assert rest.startswith("DCP_RESULT ")
    assert end > offset
