"""What is left over on a cluster: everything here is made, seen and swept on a real API server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest

from airflow_dcp_provider.model.cluster import Cluster
from airflow_dcp_provider.model.environment import Environment
from airflow_dcp_provider.model.errors import DcpEnvironmentError
from airflow_dcp_provider.model.execution import Actor, AttemptRequest, Cancellation
from airflow_dcp_provider.model.images import Images
from airflow_dcp_provider.runner.backends.kubernetes import api as api_module
from airflow_dcp_provider.runner.backends.kubernetes import tombstones
from airflow_dcp_provider.runner.backends.kubernetes.access import ClusterAccess
from airflow_dcp_provider.runner.backends.kubernetes.api import KubernetesApi
from airflow_dcp_provider.runner.backends.kubernetes.driver_files import files_config_map
from airflow_dcp_provider.runner.backends.kubernetes.kubeflow import KubeflowBackend
from airflow_dcp_provider.runner.backends.kubernetes.names import applications_path, core_path, files_name, tombstone_name
from airflow_dcp_provider.runner.backends.kubernetes.placing import ClusterQuestions
from airflow_dcp_provider.runner.backends.kubernetes.sweep import ClusterPlace
from airflow_dcp_provider.runner.sweeper import Action, Answer, Leftover, Rules, Swept, Waiting, Waits, nobody_knows, sweep
from tests.support.executions import cancellation, job, request
from tests.support.kubernetes.api_server import ApiServer

DAY = 86_400.0
WEEK_LATER, HOURS_LATER, MINUTES_LATER = 8 * DAY, 2 * 3_600.0, 600.0


@dataclass
class Scene:
    """One namespace and the sweeper's view of it, at a time of the test's choice."""

    server: ApiServer
    namespace: str
    api: KubernetesApi

    @property
    def backend(self) -> KubeflowBackend:
        environment = Environment("test", backend="kubeflow", images=Images(rules={"default": "spark:3.5"}))
        return KubeflowBackend(environment, lambda _: self.api)

    def place(self, **options: Any) -> ClusterPlace:
        return ClusterPlace(self.backend, self.api, "test", self.namespace, **options)

    def request(self, key: str = "key", **changes: Any) -> AttemptRequest:
        made = request(key, spec=replace(job(), environment="test"), **changes)
        return replace(made, ref=replace(made.ref, environment="test", cluster="c1", namespace=self.namespace))

    def sweep(
        self, later: float, waits: Waits = nobody_knows, rules: Rules | None = None, *, dry_run: bool = False, **options: Any
    ) -> list[Swept]:
        return sweep(self.place(**options), rules or Rules(), time.time() + later, waits, dry_run=dry_run)

    def found(self, later: float, waits: Waits = nobody_knows, **options: Any) -> list[tuple[Leftover, Action]]:
        swept = self.sweep(later, waits, **options)
        assert [one.error for one in swept if one.error] == []
        return [(one.finding.leftover, one.finding.action) for one in swept]

    def application(self, made: AttemptRequest) -> dict[str, Any] | None:
        return self.api.get(applications_path(self.namespace, made.ref.name))

    def config_maps(self) -> set[str]:
        listed = self.api.request("GET", core_path(self.namespace, "configmaps"))["items"]
        return {one["metadata"]["name"] for one in listed}

    def state(self, made: AttemptRequest, state: str) -> None:
        status = {"applicationState": {"state": state}, "driverInfo": {}}
        self.server.request("PATCH", f"{applications_path(self.namespace, made.ref.name)}/status", {"status": status})

    def note_cancel(self, made: AttemptRequest) -> None:
        """What a cancel leaves that dies before it deletes."""
        attempt = self.backend.get(made.ref)
        assert attempt is not None
        self.api.request("POST", core_path(self.namespace, "configmaps"), body=tombstones.tombstone(attempt, cancellation(), None))


@pytest.fixture
def scene(api_server: ApiServer, kube_namespace: str) -> Iterator[Scene]:
    with KubernetesApi(ClusterAccess("c1", kube_config=json.dumps(api_server.kube_config()))) as api:
        yield Scene(api_server, kube_namespace, api)


def ended(_: AttemptRequest) -> Answer:
    return Answer(Waiting.ENDED, Actor("wait"))


def test_a_sound_execution_is_left_alone_for_ever(scene: Scene) -> None:
    scene.backend.create(scene.request())
    assert scene.found(WEEK_LATER) == []


def test_files_of_an_application_that_was_never_made_go_after_a_while(scene: Scene) -> None:
    made = scene.request()
    scene.api.request("POST", core_path(scene.namespace, "configmaps"), body=files_config_map(made))
    assert scene.found(MINUTES_LATER) == []
    assert scene.found(HOURS_LATER, dry_run=True) == [(Leftover.FILES, Action.DELETE)]
    assert scene.config_maps() == {files_name(made.ref)}
    assert scene.found(HOURS_LATER) == [(Leftover.FILES, Action.DELETE)]
    assert scene.config_maps() == set()


def test_files_that_have_just_found_their_application_stay(scene: Scene) -> None:
    made = scene.request()
    scene.api.request("POST", core_path(scene.namespace, "configmaps"), body=files_config_map(made))
    place = scene.place()
    (finding,) = place.findings(Rules(), time.time() + HOURS_LATER, nobody_knows)
    scene.backend.create(made)
    place.carry_out(finding)
    assert scene.config_maps() == {files_name(made.ref)}


def test_missing_and_unowned_files_are_mended(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    path = core_path(scene.namespace, "configmaps", files_name(made.ref))
    scene.api.request("DELETE", path)
    assert scene.found(0) == []
    assert scene.found(MINUTES_LATER) == [(Leftover.UNOWNED, Action.MEND)]
    application = scene.application(made)
    assert application is not None
    assert scene.api.request("GET", path)["metadata"]["ownerReferences"][0]["uid"] == application["metadata"]["uid"]
    scene.server.request("PATCH", path, {"metadata": {"ownerReferences": None}})
    assert scene.found(MINUTES_LATER) == [(Leftover.UNOWNED, Action.MEND)]
    assert scene.found(MINUTES_LATER) == []


def test_mending_never_makes_an_application_that_somebody_deleted(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    scene.api.request("DELETE", core_path(scene.namespace, "configmaps", files_name(made.ref)))
    place = scene.place()
    (finding,) = place.findings(Rules(), time.time() + MINUTES_LATER, nobody_knows)
    scene.api.request("DELETE", applications_path(scene.namespace, made.ref.name))
    place.carry_out(finding)
    assert scene.application(made) is None


def test_a_deletion_that_was_lost_is_sent_again(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    scene.state(made, "RUNNING")
    scene.note_cancel(made)
    assert scene.found(0) == [(Leftover.LOST_CANCEL, Action.CANCEL)]
    application = scene.application(made)
    assert application is not None
    assert application["metadata"]["deletionTimestamp"]
    assert scene.found(WEEK_LATER) == []


def test_a_tombstone_goes_when_its_time_is_over(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    scene.note_cancel(made)
    scene.api.request("DELETE", applications_path(scene.namespace, made.ref.name))
    scene.api.request("DELETE", core_path(scene.namespace, "configmaps", files_name(made.ref)))
    assert scene.found(6 * DAY) == []
    assert scene.found(WEEK_LATER) == [(Leftover.TOMBSTONE, Action.DELETE)]
    assert scene.config_maps() == set()


def test_what_was_made_anew_under_its_name_stays(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    scene.note_cancel(made)
    scene.api.request("DELETE", applications_path(scene.namespace, made.ref.name))
    place = scene.place()
    findings = place.findings(Rules(), time.time() + WEEK_LATER, nobody_knows)
    stone_path = core_path(scene.namespace, "configmaps", tombstone_name(made.ref))
    stone = scene.api.request("GET", stone_path)
    scene.api.request("DELETE", stone_path)
    anew = {**stone, "metadata": {key: stone["metadata"][key] for key in ("name", "namespace", "labels")}}
    scene.api.request("POST", core_path(scene.namespace, "configmaps"), body=anew)
    for finding in findings:
        place.carry_out(finding)
    assert scene.config_maps() == {tombstone_name(made.ref)}


def test_a_fence_goes_when_its_time_is_over(scene: Scene) -> None:
    questions = ClusterQuestions(lambda _: scene.api, scene.request().ref)
    assert questions.fence(Cluster("c1", "kubernetes_c1"), scene.namespace)
    assert scene.found(6 * DAY) == []
    assert scene.found(WEEK_LATER) == [(Leftover.FENCE, Action.DELETE)]
    assert scene.config_maps() == set()


@pytest.mark.parametrize(("cancel", "action"), [(False, Action.SAY), (True, Action.CANCEL)])
def test_an_orphan_is_said_and_cancelled_when_asked(scene: Scene, cancel: bool, action: Action) -> None:
    made = scene.request()
    scene.backend.create(made)
    assert scene.found(0, ended, rules=Rules(cancel_orphans=cancel)) == []
    assert scene.found(MINUTES_LATER, ended, rules=Rules(cancel_orphans=cancel)) == [(Leftover.ORPHAN, action)]
    attempt = scene.backend.get(made.ref)
    assert attempt is not None
    assert (attempt.cancellation is not None) == cancel
    if attempt.cancellation is not None:
        assert (attempt.cancellation.asked_by, attempt.cancellation.reason) == (Actor("wait"), "orphan")


def test_a_cancel_that_could_not_be_sent_is_sent(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    wish = Cancellation(Actor("wait", 2, 1), "kill", 150.0)
    assert scene.found(0, intents={made.ref.name: wish}) == [(Leftover.CANCEL_INTENT, Action.CANCEL)]
    attempt = scene.backend.get(made.ref)
    assert attempt is not None
    assert attempt.cancellation == wish


def test_what_is_not_ours_is_not_touched(scene: Scene) -> None:
    other = scene.request("other")
    other = replace(other, ref=replace(other.ref, environment="staging"))
    scene.api.request("POST", core_path(scene.namespace, "configmaps"), body=files_config_map(other))
    mine = {"spark-runner/environment": "test", "spark-runner/kind": "unheard-of"}
    foreign = [
        {"metadata": {"name": "theirs-files"}, "data": {"a": "b"}},
        {"metadata": {"name": "odd-files", "labels": mine}},
        {"metadata": {"name": "without-suffix", "labels": {**mine, "spark-runner/kind": "files"}}},
    ]
    for one in foreign:
        body = {"apiVersion": "v1", "kind": "ConfigMap", **one}
        scene.api.request("POST", core_path(scene.namespace, "configmaps"), body=body)
    resource = scene.backend.render(scene.request("third"))
    del resource["metadata"]["annotations"]
    scene.api.request("POST", applications_path(scene.namespace), body=resource)
    before = scene.config_maps()
    assert scene.found(100 * DAY, ended, rules=Rules(cancel_orphans=True)) == []
    assert scene.config_maps() == before


def test_a_list_of_many_pages_is_seen_whole(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "PAGE", 2)
    for number in range(5):
        scene.backend.create(scene.request(f"key {number}"))
    remains = scene.place().remains()
    assert len({one.ref.execution_id for one in remains}) == 5
    assert all(one.request is not None and asdict(one.ref) == asdict(one.request.ref) for one in remains)


def test_all_namespaces_are_seen_at_once_by_who_may(scene: Scene) -> None:
    made = scene.request()
    scene.backend.create(made)
    everywhere = ClusterPlace(scene.backend, scene.api, "test")
    assert made.ref in {one.ref for one in everywhere.remains()}


def test_who_may_not_look_is_told_so(scene: Scene) -> None:
    token = scene.server.service_account(scene.namespace, "nobody")
    config = json.dumps(scene.server.kube_config(token))
    with KubernetesApi(ClusterAccess("c1", kube_config=config)) as api, pytest.raises(DcpEnvironmentError) as caught:
        ClusterPlace(scene.backend, api, "test", scene.namespace).remains()
    assert "configmaps" in str(caught.value)
